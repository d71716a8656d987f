"""When a model answers: once per minute or quarter hour of a point, and again as soon as it can if it could not then.

A point that was dead, or whose reading was bad, at the very moment a model was due would otherwise wait a whole period
for its answer. The debt is part of the windows, so it survives a restart and does not depend on how a stream is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["answering"]


def answering(
    due: NDArray[np.bool_],
    row: NDArray[np.int64],
    owed: NDArray[np.bool_],
    can: Callable[[NDArray[np.int64]], NDArray[np.bool_]],
) -> NDArray[np.int64]:
    """The readings at which a model answers, ascending; `owed` is brought up to date.

    `due` and `row` (m,): whether the period of the reading's point begins with it, and the point's window row; readings
    of one point stand in stream order. `owed` (rows,): the model could not answer at the point's last due time and has
    not since. `can` says for some of the readings whether the model could answer.
    """
    if not due.any() and not owed[row].any():
        return np.zeros(0, np.int64)
    at_due = np.flatnonzero(due)
    able = np.zeros(len(due), bool)
    able[at_due] = can(at_due)
    if len(at_due) == len(due) and able.all():
        owed[row] = False
        return at_due
    late = owed.copy()
    late[row[at_due[~able[at_due]]]] = True
    later = np.flatnonzero(~due & late[row])
    able[later] = can(later)
    asked = np.concatenate([at_due, later[able[later]]])
    if not len(asked):
        return asked
    asked = asked[np.lexsort((asked, row[asked]))]
    mine, begins = row[asked], due[asked]
    first = np.r_[True, mine[1:] != mine[:-1]]
    starts = np.flatnonzero(first | begins)
    group = np.cumsum(first | begins) - 1
    # Whether the debt is settled before any repetition: by the due reading, or because there was none to settle.
    settled = np.where(begins[starts], able[asked[starts]], ~owed[mine[starts]])
    repeats = ~begins
    number = np.cumsum(repeats)
    place = number - (number[starts] - repeats[starts])[group]
    keep = begins | (repeats & ~settled[group] & (place == 1))
    paid = settled | (np.bincount(group, weights=repeats, minlength=len(starts)) > 0)
    last = np.r_[mine[starts][1:] != mine[starts][:-1], True]
    owed[mine[starts][last]] = ~paid[last]
    return np.sort(asked[keep])
