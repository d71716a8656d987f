"""Which readings a model answers, and why it must abstain at one of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.ids import MODELS
from remhart_adt.readings import PHASES
from remhart_adt.scoring.due import answering
from remhart_adt.scoring.features import INDEX

if TYPE_CHECKING:
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
    _known: dict[Hashable, NDArray[Any] | None] = field(default_factory=dict, init=False, compare=False, repr=False)

    def take(self, chosen: NDArray[np.int64]) -> Prepared:
        """Some of the accepted readings."""
        parts = (getattr(self, field.name)[chosen] for field in fields(self)[1:] if field.init)
        return Prepared(self.accepted, *parts)

    def where(self, what: Hashable, of: Callable[[], NDArray[Any]]) -> NDArray[Any] | None:
        """What `of` finds, None when that is nothing. Models ask for the same things, which are looked for once."""
        if what not in self._known:
            found = of()
            self._known[what] = found if found.any() else None
        return self._known[what]


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

    def fail(where: NDArray[np.bool_] | None, text: str) -> None:
        if where is None:
            return
        where = where & (reason == 0)
        if where.any():
            reason[where] = len(reasons)
            reasons.append(text)

    def fail_counted(name: str, scale: float, least: int, what: str) -> None:
        have = prepared.seen.astype(np.float32) if name == "seen" else features[:, INDEX[name]] * scale
        low = prepared.where((name, least), lambda: ~(have > least - 0.5))
        if low is None:
            return
        low = low & (reason == 0)
        counts = np.rint(np.nan_to_num(have)).astype(np.int64)
        for count in np.unique(counts[low]).tolist():
            fail(low & (counts == count), f"cold start: {count} of {least} {what}")

    enough = ~absent.take(needs.instead_at, axis=1).all(1) if needs.instead else None

    def fail_measured(where: NDArray[np.bool_] | None, text: str) -> None:
        fail(where if enough is None or where is None else where & ~enough, text)

    with np.errstate(invalid="ignore"):
        fail(prepared.where("bad", lambda: prepared.bad), "quality bad")
        if needs.phases > 1:
            few = prepared.where(("phases", needs.phases), lambda: phases.sum(1) < needs.phases)
            fail_measured(few, f"needs {needs.phases} metered phases")
        _fail_missing(needs, prepared, fail_measured)
        if needs.rating:
            fail_measured(prepared.where("rating", lambda: ~prepared.rated), "no rated current")
        if needs.energised:
            fail(prepared.where("dead", lambda: features[:, INDEX["v_max"]] < _DEAD), "not energised")
        if needs.load > 0:
            low = prepared.where(("load", needs.load), lambda: ~(features[:, INDEX["i_max"]] >= needs.load))
            fail_measured(low, f"load below {needs.load:.0%} of the rating")
        if needs.importing:
            fail(prepared.where("export", lambda: features[:, INDEX["p_total"]] < 0), "feeding back")
        if needs.readings > 1:
            fail_counted("seen", 1.0, needs.readings, "readings")
        if needs.quarters_of_day:
            fail_counted("slots_day", 96.0, needs.quarters_of_day, "quarter hours")
        if needs.quarters_of_line:
            fail_counted("slots_line", 1.0, needs.quarters_of_line, "quarter hours")
        if needs.quarters_of_voltage:
            fail_counted("quality_windows", 1.0, needs.quarters_of_voltage, "quarter hours with voltage")
        if needs.frequency_s:
            rare = prepared.where(
                ("rare", needs.frequency_s), lambda: features[:, INDEX["f_spacing_s"]] > needs.frequency_s
            )
            fail(rare, f"frequency less often than every {needs.frequency_s:g} s")
            short = prepared.where("short", lambda: np.isnan(features[:, INDEX["f_lag10"]]))
            fail(short, "less than 10 s of frequency")
        if needs.quarters_of_current:
            fail_counted("slots_current", 1.0, needs.quarters_of_current, "quarter hours with current")
    return reason, tuple(reasons)


def _fail_missing(needs: Needs, prepared: Prepared, fail: Callable[[NDArray[np.bool_] | None, str], None]) -> None:
    """One reason per set of missing channels; a channel of a phase that is not metered is not missed."""
    if not needs.channels:
        return
    found = prepared.where(needs.channels, lambda: prepared.absent.take(needs.channels_at, axis=1))
    if found is None:
        return
    missed = found.copy()
    for k, name in enumerate(needs.channels):
        if name in _PHASE_OF:
            missed[:, k] &= prepared.phases[:, PHASES.index(_PHASE_OF[name])]
    code = (missed * (1 << np.arange(len(needs.channels)))).sum(1)
    for one in np.unique(code[code > 0]).tolist():
        listed = ", ".join(name for k, name in enumerate(needs.channels) if one >> k & 1)
        fail(code == one, f"missing channel: {listed}")
