"""Whether the stream still looks like what the models learned from: population stability of every feature.

PSI = sum over bins of (a - e) ln(a / e), a and e the shares of a bin now and in training (Siddiqi, Credit Risk
Scorecards, 2006: below 0.1 stable, above 0.25 shifted). Bins are the deciles of the training rows, and one for a
missing value. Rows are one per point and quarter hour, so that fast meters do not outweigh slow ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.errors import ModelError
from remhart_adt.limits import INPUT_FILE_BYTES
from remhart_adt.scoring.features import FEATURES, INDEX

__all__ = ["FILE", "LEAST_ROWS", "SHIFTED", "Drift", "Reference", "make_reference"]

FILE: Final = "reference.json"
SHIFTED: Final = 0.25
# With fewer rows the index is mostly chance: its expectation for n rows of the same population is about 10 / n.
LEAST_ROWS: Final = 500
# So many rows are remembered in full; beyond them older ones count half, again and again.
_MEMORY: Final = 50_000
_SCHEMA: Final = 1
_LEAST_SHARE: Final = 1e-4
_CALENDAR: Final = ("hour_", "week")
_EDGES: Final = 9


def _watched() -> list[str]:
    """Features that may drift: not what the twin declares, nor the calendar."""
    return [f.name for f in FEATURES if f.source != "twin" and not f.name.startswith(_CALENDAR)]


@dataclass(frozen=True)
class Reference:
    """How features lay in training: `edges` (k, 9) deciles, `shares` (k, 11) of the ten bins and of missing values."""

    names: tuple[str, ...]
    edges: NDArray[np.float32]
    shares: NDArray[np.float64]

    @classmethod
    def load(cls, folder: Path) -> Reference | None:
        """The reference beside a manifest; None when there is none. Raises ModelError when it cannot be used."""
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            if path.stat().st_size > INPUT_FILE_BYTES:
                raise ValueError("the file is too large")
            document = json.loads(path.read_bytes())
            if document["schema"] != _SCHEMA:
                raise ValueError(f"schema {document['schema']!r} is not {_SCHEMA}")
            rows = {name: row for name, row in document["features"].items() if name in INDEX}
            edges = np.array([row["edges"] for row in rows.values()], np.float32).reshape(len(rows), _EDGES)
            shares = np.array([row["shares"] for row in rows.values()], np.float64).reshape(len(rows), _EDGES + 2)
            if not np.isfinite(shares).all():
                raise ValueError("a share is no number")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError("reference", f"{FILE} cannot be used: {error}", where=str(path)) from error
        return cls(tuple(rows), edges, shares)

    def median(self, name: str) -> float | None:
        """The median in training; None for a feature that is not watched."""
        if name not in self.names:
            return None
        value = float(self.edges[self.names.index(name), _EDGES // 2])
        return value if np.isfinite(value) else None


class Drift:
    """Counts of what came, and their distance from the reference. One thread at a time."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.rows = 0.0
        self._columns = np.array([INDEX[name] for name in reference.names], np.intp)
        self._first_bin = np.arange(len(self._columns)) * (_EDGES + 2)
        self._counts = np.zeros(reference.shares.shape)

    def add(self, features: NDArray[np.float32]) -> None:
        """Count rows of the whole feature table, (m, features)."""
        x = features.take(self._columns, axis=1)
        with np.errstate(invalid="ignore"):
            bins = (x[:, :, None] > self.reference.edges).sum(2)
        bins[np.isnan(x)] = _EDGES + 1
        cells = np.bincount((bins + self._first_bin).reshape(-1), minlength=self._counts.size)
        self._counts += cells.reshape(self._counts.shape)
        self.rows += len(x)
        if self.rows > 2 * _MEMORY:
            self._counts /= 2
            self.rows /= 2

    def psi(self) -> dict[str, float]:
        """Stability index by feature; nothing before there are enough rows."""
        if self.rows < LEAST_ROWS:
            return {}
        now = np.maximum(self._counts / self.rows, _LEAST_SHARE)
        then = np.maximum(self.reference.shares, _LEAST_SHARE)
        index = ((now - then) * np.log(now / then)).sum(1)
        return dict(zip(self.reference.names, np.round(index, 4).tolist(), strict=True))


def make_reference(features: NDArray[np.float32]) -> dict[str, Any]:
    """The document of `reference.json` for training rows, (n, features)."""
    out = {}
    for name in _watched():
        x = features[:, INDEX[name]]
        known = x[np.isfinite(x)]
        if not len(known):
            continue
        edges = np.quantile(known, np.arange(1, _EDGES + 1) / (_EDGES + 1)).astype(np.float32)
        # As they will be read, or a value on an edge would fall into another bin than it did here.
        edges = np.array([float(f"{edge:.6g}") for edge in edges], np.float32)
        bins = (known[:, None] > edges).sum(1)
        counts = np.append(np.bincount(bins, minlength=_EDGES + 1), len(x) - len(known))
        out[name] = {
            "edges": [float(f"{edge:.6g}") for edge in edges],
            "shares": [round(float(n), 6) for n in counts / len(x)],
        }
    return {"schema": _SCHEMA, "rows": len(features), "features": out}
