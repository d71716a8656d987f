"""The members of a feeder as columns: what is declared of them, and where each stands in the windows.

Whatever is asked of members is asked of all at once, so that a feeder of hundreds costs little more than one of ten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import PHASES
from remhart_adt.scoring.types import PointInfo
from remhart_adt.scoring.windows import Windows

__all__ = ["LEAF_KINDS", "Members", "added"]

LEAF_KINDS: Final = frozenset({"load", "meter", "renewable_source", "capacitor_bank"})


@dataclass(frozen=True, eq=False)
class Members:
    """The head and the members that have had a reading, (n,) each: `ids`, the head first when it is there; `infos`;
    `home` and `row`, the windows and the row in them; nominal voltage (V), frequency (Hz) and rated current (A, NaN
    when not declared); `metered` (n, 3) phases; `leaf`, whether it meters a load, a plant or a bank.

    `absent` names those that have had none.
    """

    windows: tuple[Windows, ...]
    ids: tuple[str, ...]
    infos: tuple[PointInfo, ...]
    home: NDArray[np.int64]
    row: NDArray[np.int64]
    nominal_v: NDArray[np.float64]
    hz: NDArray[np.float64]
    rated_a: NDArray[np.float64]
    metered: NDArray[np.bool_]
    leaf: NDArray[np.bool_]
    absent: tuple[str, ...]

    @classmethod
    def of(cls, windows: Sequence[Windows], head_id: str, members: Sequence[str]) -> Members:
        """Look the members up; the first windows that know one are its home."""
        found: dict[str, tuple[int, int]] = {}
        absent = []
        for member in dict.fromkeys((head_id, *members)):
            for k, window in enumerate(windows):
                if (row := window.row_of(member)) is not None:
                    found[member] = (k, row)
                    break
            else:
                absent.append(member)
        infos = tuple(windows[k].infos[row] for k, row in found.values())
        where = np.array(list(found.values()), np.int64).reshape(-1, 2)
        return cls(
            tuple(windows), tuple(found), infos, where[:, 0].copy(), where[:, 1].copy(),
            np.array([info.nominal_v_ln for info in infos], np.float64),
            np.array([info.hz for info in infos], np.float64),
            np.array([np.nan if info.rated_a is None else info.rated_a for info in infos], np.float64),
            np.array([[x in info.phases for x in PHASES] for info in infos], bool).reshape(-1, 3),
            np.array([info.kind in LEAF_KINDS for info in infos], bool) & (np.arange(len(infos)) > 0),
            tuple(absent),
        )  # fmt: skip

    def collect(
        self, of: Callable[[Windows, NDArray[np.int64]], NDArray[Any]], some: NDArray[np.int64] | None = None
    ) -> NDArray[Any]:
        """What `of` says of rows of windows, (rows, ...), for all members or `some` of them, in their order."""
        home, row = (self.home, self.row) if some is None else (self.home[some], self.row[some])
        at = [np.flatnonzero(home == k) for k in range(len(self.windows))]
        parts = [of(window, row[own]) for window, own in zip(self.windows, at, strict=True) if len(own)]
        if len(parts) == 1:
            return parts[0]
        out = np.concatenate(parts)
        back = np.empty_like(out)
        back[np.concatenate(at)] = out
        return back


def added(x: NDArray[np.float64]) -> float:
    """Sum over members one by one: a library's own order may depend on how many there are."""
    return float(np.cumsum(x)[-1]) if len(x) else 0.0
