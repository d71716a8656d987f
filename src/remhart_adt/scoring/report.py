"""One HTML page about a scored file: what each model answered, why others did not, and a few plots."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from remhart_adt.scoring.types import Slot

__all__ = ["render"]

_POINTS: Final = 4
_STYLE: Final = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{border-bottom:1px solid #ddd;padding:.25rem .7rem;text-align:left}"
    "img{max-width:100%}.n{text-align:right}"
)
# Outputs worth a curve: column, label, limit lines.
_CURVES: Final[tuple[tuple[str, str, tuple[float, ...]], ...]] = (
    ("voltage_anomaly.anomalyScore", "anomaly score", ()),
    ("phase_imbalance.vuf", "voltage unbalance factor, %", (2.0, 5.0, 10.0)),
    ("overload_risk.maxHotSpot", "highest hot spot, next hour, °C", (98.0, 110.0, 120.0)),
    ("overload_risk.maxLoading", "highest loading, next hour, p.u.", (0.8, 1.0, 1.2)),
    ("load_forecast.forecastedLoad", "load forecast at +1 h, W", ()),
    ("reactive_power.forecastReactivePower", "reactive power at +10 min, var", ()),
    ("energy_loss.estimatedLoss", "losses, % of infeed", ()),
)


def render(
    columns: Mapping[str, Sequence[Any]], slots: Mapping[str, Slot], summary: Mapping[str, Any], title: str
) -> str:
    """The page. Needs matplotlib for the plots and says so by ModuleNotFoundError."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style><h1>{html.escape(title)}</h1>",
        _table(("", "count"), [(k, v) for k, v in summary.items()]),
        "<h2>Models</h2>",
        _table(("model", "state", "ok", "abstained", "failed", "most frequent reason"), _models(columns, slots)),
        "<h2>Curves</h2>",
        *_plots(columns),
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = "".join(f"<th>{html.escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"


def _models(columns: Mapping[str, Sequence[Any]], slots: Mapping[str, Slot]) -> list[tuple[Any, ...]]:
    rows = []
    for name, slot in slots.items():
        status = columns.get(f"{name}.status", ())
        reasons: dict[str, int] = {}
        for reason in columns.get(f"{name}.reason", ()):
            if reason:
                reasons[reason] = reasons.get(reason, 0) + 1
        top = max(reasons, key=lambda r: reasons[r], default="")
        counts = [sum(1 for s in status if s == word) for word in ("ok", "abstained", "failed")]
        rows.append((name, slot.state.value, *counts, top))
    return rows


def _plots(columns: Mapping[str, Sequence[Any]]) -> list[str]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from remhart_adt.clock import parse_us

    ids = list(dict.fromkeys(columns.get("pointId", ())))[:_POINTS]
    out = []
    for column, label, limits in _CURVES:
        values = columns.get(column, ())
        if not any(v is not None for v in values):
            continue
        figure, axes = plt.subplots(figsize=(10, 2.8), layout="constrained")
        for point in ids:
            rows = [i for i, p in enumerate(columns["pointId"]) if p == point and values[i] is not None]
            if rows:
                hours = [parse_us(columns["timestamp"][i]) / 3.6e9 for i in rows]
                axes.plot([h - hours[0] for h in hours], [values[i] for i in rows], lw=0.8, label=point)
        for limit in limits:
            axes.axhline(limit, color="#b00", lw=0.6, ls="--")
        axes.set_xlabel("hours from the point's first answer")
        axes.set_ylabel(label)
        axes.legend(fontsize=8)
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=110)
        plt.close(figure)
        encoded = base64.b64encode(data.getvalue()).decode()
        out.append(f'<p><img alt="{html.escape(label)}" src="data:image/png;base64,{encoded}">')
    return out
