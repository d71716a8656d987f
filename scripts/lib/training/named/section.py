"""The card's section on the family that the published design names, from the stored figures. Works without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["FIGURES", "family_section", "verdict"]

# Beside the cards; written by `scripts/train --lstm` only.
FIGURES = "named_family.json"


def verdict(figures: Mapping[str, Any]) -> dict[str, str]:
    """Test set -> whether the LSTM is `better`, `worse` or `no different` in the model's first metric: what its 95 %
    interval says."""
    first = figures["against_shipped"][0]["name"]
    return {m["on"]: _word(m) for m in figures["against_shipped"] if m["name"] == first}


def _word(metric: Mapping[str, Any]) -> str:
    return "better" if metric["gain_low"] > 0 else "worse" if metric["gain_high"] < 0 else "no different"


def _percent(metric: Mapping[str, Any]) -> str:
    gain, low, high = (100 * metric[k] for k in ("gain", "gain_low", "gain_high"))
    return f"{gain:+.2f} % [{low:+.2f}, {high:+.2f}]"


def _conclusion(figures: Mapping[str, Any]) -> str:
    said = verdict(figures)
    first = figures["against_shipped"][0]["name"]
    words = set(said.values())
    if len(words) == 1:
        found = f"In {first} the LSTM is measurably {said.popitem()[1]} on both test sets"
        found = found.replace("measurably no different", "not measurably different")
    else:
        found = f"In {first} the LSTM is " + ", ".join(f"{word} on {on}" for on, word in said.items())
    lstm, shipped = (figures["speed"][which]["kilobytes"] for which in ("lstm", "shipped"))
    size = "smaller" if lstm < shipped else "larger"
    words_measured = [_word(m) for m in figures["measured"]]
    if words_measured:
        counted = ", ".join(f"{word} in {words_measured.count(word)}" for word in sorted(set(words_measured)))
        found += f" (of the {len(words_measured)} figures on measured series: {counted})"
    rest = (
        "The LSTM gives the point answers of the table alone, and a forecast here carries its interval: the trees are "
        "shipped."
    )
    if words == {"better"}:
        if words_measured.count("worse") > words_measured.count("better"):
            rest = (
                "The trees are shipped all the same: on measured series, which count for more than simulated ones, "
                "they are measurably better in more figures than the LSTM is, and they give intervals."
            )
        return f"{found}, and its file is {size}. {rest}"
    return f"{found}. A family that is not better on both does not replace the trees. The LSTM's file is {size}. {rest}"


def family_section(figures: Mapping[str, Any], sha256: str) -> list[str]:
    """The section's lines. When the shipped file has changed since the comparison, it says so."""
    learned, speed = figures["trained"], figures["speed"]
    weighting = "in the metric's unit" if learned["weighting"] else "in the point's own unit"
    against = {(m["name"], m["on"]): m for m in figures["against_baseline"]["lstm"]}
    lines = [
        "", "## The named family", "",
        (f"The published design names an {figures['named']}. One was trained on the same worlds and rows "
        f"({learned['rows']}; {learned['calibration_rows']} of the calibration worlds chose among "
        f"{len(learned['candidates'])} candidates and when to stop): {learned['steps']} lags as a sequence, oldest "
        f"first, a missing one masked; {learned['hidden']} hidden units, {learned['parameters']} parameters; it starts "
        "from a fitted straight line of all of this model's columns and learns what that leaves, absolute error "
        f"{weighting}, learning rate {learned['learning_rate']:g} and falling, {learned['epochs']} rounds "
        f"of {learned['rows_per_epoch']} rows. Both answer the same rows; the gain is the share of the other's error "
        "that is gone, with 95 % intervals as above."), "",
        "| metric | test set | n | LSTM | shipped | LSTM against shipped | LSTM against the baseline |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {m['name']} ({m['unit']}) | {m['on']} | {m['n']} | {m['value']:.4g} [{m['low']:.4g}, {m['high']:.4g}] "
        f"| {m['baseline']:.4g} | {_percent(m)}, {_word(m)} | {_percent(against[m['name'], m['on']])} |"
        for m in figures["against_shipped"]
    ]
    if figures["measured"]:
        lines += [
            "",
            "On the measured series, of which neither was taught anything:",
            "",
            "| metric | series | n | LSTM | shipped | LSTM against shipped |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {m['name']} ({m['unit']}) | {m['on']} | {m['n']} | {m['value']:.4g} [{m['low']:.4g}, {m['high']:.4g}] "
            f"| {m['baseline']:.4g} | {_percent(m)}, {_word(m)} |"
            for m in figures["measured"]
        ]  # fmt: skip
    one, other = speed["lstm"], speed["shipped"]
    lines += [
        "", _conclusion(figures), "",
        (f"As ONNX the LSTM has {one['kilobytes']} kB and took {one['us_single']:g} microseconds for a single row, "
        f"{one['us_per_row']:g} per row at batch 256; the shipped file, {other['kilobytes']} kB, took "
        f"{other['us_single']:g} and {other['us_per_row']:g} in the same run, one thread. "
        f"Largest difference between torch and ONNX: {figures['parity']:.1g} units."),
    ]  # fmt: skip
    if figures["shipped_sha256"] != sha256:
        lines += ["", f"The shipped model has changed since; it was compared as `{figures['shipped_sha256']}`."]
    return lines
