"""Standard load profiles of the German association of energy and water industries (BDEW, 2025): H25 and G25.

`profiles.csv` beside this file is made by `scripts/profiles` from the package demandlib: the mean course of a day of
each month, for a working day, a Saturday and a Sunday or holiday, in quarter hours of civil time, as a share of the
profile's highest value. H25 holds its dynamisation over the year. A profile is the mean of many customers: what makes
one customer differ from another is laid over it in `loads`.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAYS", "PROFILES", "profile_level"]

Floats = NDArray[np.float64]

PROFILES: Final = {"residential": "H25", "commercial": "G25"}  # class of loads -> profile
DAYS: Final = ("working", "saturday", "holiday")
_MONTHS: Final = 12
_QUARTERS: Final = 96


@cache
def _table(profile: str) -> Floats:
    """(month, day, quarter)."""
    table = np.full((_MONTHS, len(DAYS), _QUARTERS), np.nan)
    text = files(__package__).joinpath("profiles.csv").read_text(encoding="utf-8")
    for name, month, day, *values in csv.reader(text.splitlines()):
        if name == profile:
            table[int(month) - 1, DAYS.index(day)] = [float(value) for value in values]
    if np.isnan(table).any():
        raise ValueError(f"profiles.csv does not hold every day of {profile}; make it again with scripts/profiles")
    return table


def profile_level(kind: str, season: Floats, day: NDArray[np.intp], hour: Floats) -> Floats:
    """Share of the profile's highest value, (n, L), of the classes in `PROFILES`.

    `season` (n,) is the fraction of a northern year, `day` (n,) an index of `DAYS`, `hour` (n, L) any civil hour; both
    are taken round the clock. Between the middles of quarters and of months the values lie on a line.
    Raises KeyError for another class.
    """
    table = _table(PROFILES[kind])
    month, quarter = season[:, None] * _MONTHS - 0.5, hour * (_QUARTERS / 24) - 0.5
    m, q = np.floor(month).astype(np.intp), np.floor(quarter).astype(np.intp)
    late, after = month - m, quarter - q
    d = day[:, None]

    def course(which: NDArray[np.intp]) -> Floats:
        rows = which % _MONTHS
        return np.asarray((1 - after) * table[rows, d, q % _QUARTERS] + after * table[rows, d, (q + 1) % _QUARTERS])

    return np.asarray((1 - late) * course(m) + late * course(m + 1))
