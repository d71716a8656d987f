"""The plot of a card: how reliable a probability is, or how large the error is by operating point.

The figures are kept with the evaluation; the picture is drawn from them as SVG text, the same bytes for the same
figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["curve", "svg", "week_svg"]

_BINS = 10
_WIDTH, _HEIGHT, _LEFT, _TOP, _PANEL, _DEEP = 720, 300, 56, 34, 280, 210
_INK, _MODEL, _RULE = "#444", "#1f6feb", "#b35900"


def curve(truth: NDArray[Any], got: NDArray[Any], rule: NDArray[Any]) -> dict[str, Any]:
    """What is drawn: of a probability the observed share by said probability, of a number the mean error of the model
    and of the baseline by the true value; in ten bins of as many rows each."""
    good = np.isfinite(truth) & np.isfinite(got) & np.isfinite(rule)
    truth, got, rule = (np.asarray(a, np.float64)[good] for a in (truth, got, rule))
    probability = set(np.unique(truth)) <= {0.0, 1.0}
    order = np.argsort(got if probability else truth, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    if probability:
        rows = [("x", got), ("model", truth)]
    else:
        rows = [("x", truth), ("model", np.abs(got - truth)), ("baseline", np.abs(rule - truth))]
    out = {name: [float(f"{values[part].mean():.5g}") for part in parts] for name, values in rows}
    return {"kind": "reliability" if probability else "error", **out}


def svg(curves: Mapping[str, Mapping[str, Any]], output: str, unit: str) -> str:
    """One panel per test set."""
    body = []
    for k, (on, one) in enumerate(curves.items()):
        body += _panel(_LEFT + k * (_PANEL + 80), on, one, output, unit)
    return _document(body)


def week_svg(week: Mapping[str, Any]) -> str:
    """A week of a forecast with its interval beside what came."""
    at = [_LEFT, _TOP, _WIDTH - _LEFT - 20, _DEEP]
    hour, xs = week["hour"], (0.0, 168.0)
    ys = (min(min(week["low"]), min(week["truth"])), max(max(week["high"]), max(week["truth"])))
    bottom = _TOP + _DEEP
    band = f"{_points(at, hour, week['high'], xs, ys)} {_points(at, hour[::-1], week['low'][::-1], xs, ys)}"
    came = f"{_escape(week['on'])}, the week from {week['from']}: what came"
    said = "said an hour ahead, with its 80 % interval"
    body = [
        f'<rect x="{at[0]}" y="{_TOP}" width="{at[2]}" height="{_DEEP}" fill="none" stroke="{_INK}"/>',
        f'<polygon fill="{_MODEL}" fill-opacity="0.2" points="{band}"/>',
        _path(at, hour, week["model"], xs, ys, _MODEL),
        _path(at, hour, week["truth"], xs, ys, _INK),
        f'<text x="{at[0]}" y="{_TOP - 10}" fill="{_INK}">{came}</text>',
        f'<text x="{at[0] + at[2]}" y="{_TOP - 10}" text-anchor="end" fill="{_MODEL}">{said}</text>',
    ]
    for day, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")):
        x = at[0] + at[2] * (day + 0.5) / 7
        body.append(f'<text x="{x:.0f}" y="{bottom + 14}" text-anchor="middle" fill="{_INK}">{name}</text>')
    for value, y in ((ys[0], bottom), (ys[1], _TOP + 10)):
        body.append(f'<text x="{at[0] - 4}" y="{y}" text-anchor="end" fill="{_INK}">{value:.3g} {week["unit"]}</text>')
    return _document(body)


def _document(body: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _panel(left: int, on: str, one: Mapping[str, Any], output: str, unit: str) -> list[str]:
    reliability = one["kind"] == "reliability"
    lines = [("model", _MODEL)] if reliability else [("baseline", _RULE), ("model", _MODEL)]
    x = one["x"]
    xs = _scale(x, zero=reliability)
    top = max(max(one[name]) for name, _ in lines)
    ys = _scale([0.0, max(top, max(x)) if reliability else top], zero=True)
    if reliability:
        xs = ys
    at = [left, _TOP, _PANEL, _DEEP]
    bottom = _TOP + _DEEP
    out = [
        f'<rect x="{left}" y="{_TOP}" width="{_PANEL}" height="{_DEEP}" fill="none" stroke="{_INK}"/>',
        f'<text x="{left}" y="{_TOP - 10}" fill="{_INK}">{_escape(on)}</text>',
    ]
    for name, colour, place in [(n, c, k) for k, (n, c) in enumerate(lines)]:
        text = "observed share" if reliability else f"mean error, {name}"
        out.append(
            f'<text x="{left + _PANEL}" y="{_TOP - 20 + 12 * place}" text-anchor="end" fill="{colour}">{text}</text>'
        )
    if reliability:
        out.append(_path(at, [xs[0], xs[1]], [ys[0], ys[1]], xs, ys, "#aaa"))
    for name, colour in lines:
        out.append(_path(at, x, one[name], xs, ys, colour))
    for low_high, anchor, px in ((xs[0], "start", left), (xs[1], "end", left + _PANEL)):
        out.append(f'<text x="{px}" y="{bottom + 14}" text-anchor="{anchor}" fill="{_INK}">{low_high:.4g}</text>')
    for value, py in ((ys[0], bottom), (ys[1], _TOP + 10)):
        out.append(f'<text x="{left - 4}" y="{py}" text-anchor="end" fill="{_INK}">{value:.3g}</text>')
    said = f"{output} said" if reliability else f"true {output}"
    label = said + (f" ({unit})" if unit else "")
    out.append(
        f'<text x="{left + _PANEL // 2}" y="{bottom + 28}" text-anchor="middle" fill="{_INK}">{_escape(label)}</text>'
    )
    return out


def _scale(values: Sequence[float], *, zero: bool) -> tuple[float, float]:
    low, high = (0.0 if zero else min(values)), max(values)
    return (low, high) if high > low else (low, low + 1.0)


def _path(
    at: Sequence[int], x: Sequence[float], y: Sequence[float], xs: tuple[float, float], ys: tuple[float, float],
    colour: str,
) -> str:  # fmt: skip
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{_points(at, x, y, xs, ys)}"/>'


def _points(
    at: Sequence[int], x: Sequence[float], y: Sequence[float], xs: tuple[float, float], ys: tuple[float, float]
) -> str:
    return " ".join(
        f"{at[0] + at[2] * (a - xs[0]) / (xs[1] - xs[0]):.1f},{at[1] + at[3] * (1 - (b - ys[0]) / (ys[1] - ys[0])):.1f}"
        for a, b in zip(x, y, strict=True)
    )


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
