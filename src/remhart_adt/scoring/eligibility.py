"""Which readings a model answers, and why it must abstain at one of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.ids import MODELS
from remhart_adt.readings import PHASES
from remhart_adt.scoring.due import answering
from remhart_adt.scoring.features import INDEX

if TYPE_CHECKING:
    from collections.abc import Callable

    from remhart_adt.scoring.manifest import Entry, Needs
    from remhart_adt.scoring.windows import Windows

__all__ = ["Prepared", "due_readings", "eligibility"]

_PLACE: Final = {model.id: k for k, model in enumerate(MODELS)}
# Below this a phase counts as dead (IEEE 1159: interruption).
_DEAD: Final = 0.1
_PHASE_OF: Final = {f"{block}_{x.lower()}": x for block in ("v", "i", "p", "q", "thdv", "thdi") for x in PHASES}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch after the windows took it in: what eligibility and models look at, for its accepted readings.

    `index` (m,) into the batch, ascending; `features` (m, len(FEATURES)) float32; `absent` (m, channels) bool;
    `phases` (m, 3) bool: metered phases of the point; `rated`, `bad`, `minute`, `quarter` (m,) bool; `seen` (m,) int64;
    `row` (m,) int64 of the point in the windows.
    """

    accepted: NDArray[np.bool_]
    index: NDArray[np.int64]
    features: NDArray[np.float32]
    absent: NDArray[np.bool_]
    phases: NDArray[np.bool_]
    rated: NDArray[np.bool_]
    bad: NDArray[np.bool_]
    minute: NDArray[np.bool_]
    quarter: NDArray[np.bool_]
    seen: NDArray[np.int64]
    row: NDArray[np.int64]

    def take(self, chosen: NDArray[np.int64]) -> Prepared:
        """Some of the accepted readings."""
        parts = (getattr(self, field.name)[chosen] for field in fields(self)[1:])
        return Prepared(self.accepted, *parts)


def due_readings(
    entry: Entry, prepared: Prepared, windows: Windows
) -> tuple[NDArray[np.int64], NDArray[np.int32], tuple[str, ...]]:
    """The accepted readings at which a model answers, ascending; for each 0 or its reason to abstain; the reasons."""
    every = np.arange(len(prepared.index))
    if entry.rate == "reading":
        return (every, *eligibility(entry, prepared, every))
    due = prepared.minute if entry.rate == "minute" else prepared.quarter
    owed = windows.owed[:, _PLACE[entry.id]]
    # Who may be asked: a point's reading that is due, any after it, and any of a point that owes an answer.
    if due.all():
        asked = every
    else:
        open_ = owed.copy()
        open_[prepared.row[due]] = True
        asked = np.flatnonzero(open_[prepared.row])
    if not len(asked):
        return asked, np.zeros(0, np.int32), ("",)
    verdict, reasons = eligibility(entry, prepared, asked)
    if asked is every and not verdict.any():
        owed[prepared.row] = False
        return every, verdict, reasons
    found = np.zeros(len(due), np.int32)
    found[asked] = verdict
    chosen = answering(due, prepared.row, owed, lambda some: np.asarray(found[some] == 0))
    return chosen, found[chosen], reasons


def eligibility(
    entry: Entry, prepared: Prepared, chosen: NDArray[np.int64]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """For each chosen reading 0, or the index of the first reason why the model must abstain."""
    needs, n = entry.needs, len(chosen)
    if n < len(prepared.index):
        prepared = prepared.take(chosen)
    features, absent, phases = prepared.features, prepared.absent, prepared.phases
    reason = np.zeros(n, np.int32)
    reasons = [""]

    def fail(where: NDArray[np.bool_], text: str) -> None:
        if not where.any():
            return
        where = where & (reason == 0)
        if where.any():
            reason[where] = len(reasons)
            reasons.append(text)

    def fail_counted(have: NDArray[np.float32], least: int, what: str) -> None:
        low = ~(have > least - 0.5)
        if not low.any():
            return
        low &= reason == 0
        counts = np.rint(np.nan_to_num(have)).astype(np.int64)
        for count in np.unique(counts[low]).tolist():
            fail(low & (counts == count), f"cold start: {count} of {least} {what}")

    enough = ~absent.take(needs.instead_at, axis=1).all(1) if needs.instead else None

    def fail_measured(where: NDArray[np.bool_], text: str) -> None:
        fail(where if enough is None else where & ~enough, text)

    fail(prepared.bad, "quality bad")
    if needs.phases > 1 and not phases.all():
        fail_measured(phases.sum(1) < needs.phases, f"needs {needs.phases} metered phases")
    _fail_missing(needs, absent, phases, fail_measured)
    if needs.rating:
        fail_measured(~prepared.rated, "no rated current")
    if needs.energised:
        with np.errstate(invalid="ignore"):
            fail(features[:, INDEX["v_max"]] < _DEAD, "not energised")
    if needs.load > 0:
        low = ~(features[:, INDEX["i_max"]] >= needs.load)
        fail_measured(low, f"load below {needs.load:.0%} of the rating")
    if needs.importing:
        with np.errstate(invalid="ignore"):
            fail(features[:, INDEX["p_total"]] < 0, "feeding back")
    if needs.readings > 1:
        fail_counted(prepared.seen.astype(np.float32), needs.readings, "readings")
    if needs.quarters_of_day:
        fail_counted(features[:, INDEX["slots_day"]] * 96, needs.quarters_of_day, "quarter hours")
    if needs.quarters_of_line:
        fail_counted(features[:, INDEX["slots_line"]], needs.quarters_of_line, "quarter hours")
    if needs.quarters_of_voltage:
        have = features[:, INDEX["quality_windows"]]
        fail_counted(have, needs.quarters_of_voltage, "quarter hours with voltage")
    if needs.frequency_s:
        spacing = features[:, INDEX["f_spacing_s"]]
        with np.errstate(invalid="ignore"):
            fail(spacing > needs.frequency_s, f"frequency less often than every {needs.frequency_s:g} s")
        fail(np.isnan(features[:, INDEX["f_lag10"]]), "less than 10 s of frequency")
    if needs.quarters_of_current:
        have = features[:, INDEX["slots_current"]]
        fail_counted(have, needs.quarters_of_current, "quarter hours with current")
    return reason, tuple(reasons)


def _fail_missing(
    needs: Needs, absent: NDArray[np.bool_], phases: NDArray[np.bool_], fail: Callable[[NDArray[np.bool_], str], None]
) -> None:
    """One reason per set of missing channels; a channel of a phase that is not metered is not missed."""
    if not needs.channels or not len(absent):
        return
    missed = absent.take(needs.channels_at, axis=1)
    if not missed.any():
        return
    for k, name in enumerate(needs.channels):
        if name in _PHASE_OF:
            missed[:, k] &= phases[:, PHASES.index(_PHASE_OF[name])]
    code = (missed * (1 << np.arange(len(needs.channels)))).sum(1)
    for one in np.unique(code[code > 0]).tolist():
        listed = ", ".join(name for k, name in enumerate(needs.channels) if one >> k & 1)
        fail(code == one, f"missing channel: {listed}")
