"""What a run has to show at the end: the report, and whether it passed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from remhart_adt.checker import Case, read_journal
from remhart_adt.demo.alarms import compare, raised
from remhart_adt.errors import LocalServerError
from remhart_adt.ids import MODELS

__all__ = ["OK_SHARE", "ModelShares", "Outcome", "judge", "summary"]

_LEDGER: Final = (
    "received",
    "redelivered",
    "applied",
    "merged",
    "skipped",
    "dead_lettered",
    "dead_by_cause",
    "in_flight",
    "scored",
    "abstained_by_model",
    "patches_twin",
    "patches_relationship",
)
_OUTCOMES: Final = ("applied", "merged", "skipped", "dead_lettered")
# A model's word that it does not concern this point at all is no abstention from its job.
_ELSEWHERE: Final = ("scored at ", "this point belongs to no feeder")
# The history before the play comes by the minute: these need some seconds of faster readings first.
_NOT_YET: Final = ("frequency less often than", "less than 10 s of frequency")
_CHECKER_SECONDS: Final = 300
OK_SHARE: Final = 0.9


@dataclass(slots=True)
class ModelShares:
    """Per model, how often (point, second) it was ok, of those it applies to and was installed."""

    ok: dict[str, int] = field(default_factory=dict)
    applicable: dict[str, int] = field(default_factory=dict)

    def look(self, points: Iterable[Mapping[str, Any]]) -> None:
        """Count one second's twins."""
        for point in points:
            engine = point.get("mlEngine") or {}
            for model in MODELS:
                answer = (engine.get(model.module) or {}).get(model.published) or {}
                reason = str(answer.get("reason", ""))
                if not answer.get("modelVersion") or reason.startswith((*_ELSEWHERE, *_NOT_YET)):
                    continue  # not installed, another point's business, or not yet
                self.applicable[model.id] = self.applicable.get(model.id, 0) + 1
                self.ok[model.id] = self.ok.get(model.id, 0) + (answer.get("status") == "ok")

    def to_json(self) -> dict[str, float]:
        """Share by model."""
        return {name: round(self.ok[name] / n, 4) for name, n in self.applicable.items()}


@dataclass(slots=True)
class Outcome:
    """The report of a run and what speaks against it; `passed` when nothing does."""

    report: dict[str, Any]
    against: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Nothing speaks against the run."""
        return not self.against


def _verdicts(case: Case) -> dict[str, Any]:
    """Run the checker in a process of its own. The case goes through a pipe: it holds the secrets to look for."""
    done = subprocess.run(
        [sys.executable, "-m", "remhart_adt.checker"],
        input=json.dumps(case.to_json()),
        capture_output=True,
        text=True,
        timeout=_CHECKER_SECONDS,
        check=False,
    )
    if done.returncode:
        raise LocalServerError(f"the checker could not judge the run: {done.stderr.strip()[-800:]}")
    verdicts = json.loads(done.stdout)
    assert isinstance(verdicts, dict)
    return verdicts


def judge(
    case: Case,
    *,
    dead: Mapping[str, int],
    expected: Sequence[Mapping[str, Any]] | None,
    period_us: int,
    ended_us: int | None = None,
    figures: Mapping[str, Any],
    shares: ModelShares,
    against: Iterable[str] = (),
) -> Outcome:
    """Put the report together and hold it against what had to happen.

    `dead` is what the producers injected, by cause; `expected` the event list's alarms, None when there is no such list
    (measured data): then alarms and model shares are reported and not judged. `ended_us`: see `compare`.
    """
    ledger = case.ledger
    verdicts = _verdicts(case)
    alarms = raised(read_journal(case.journal))
    outcome = Outcome(
        {
            "sent": case.sent,
            "hub_retained": verdicts["hub_retained"],
            **{name: ledger.get(name) for name in _LEDGER},
            **figures,
            "model_ok_share": shares.to_json(),
            "alarms": [alarm.to_json() for alarm in alarms],
            "expected_alarms": None if expected is None else [dict(wish) for wish in expected],
            "invariants": {name: verdict["holds"] for name, verdict in verdicts["invariants"].items()},
            "invariant_details": verdicts["invariants"],
        },
        list(against),
    )
    outcome.against += _faults(outcome.report, verdicts, dead)
    if expected is not None:
        outcome.against += compare(alarms, expected, period_us=period_us, ended_us=ended_us)
    for name, share in shares.to_json().items():
        if expected is not None and share < OK_SHARE:
            outcome.against.append(f"{name} was ok on {share:.0%} of the points it applies to, not {OK_SHARE:.0%}")
    return outcome


def _faults(report: Mapping[str, Any], verdicts: Mapping[str, Any], dead: Mapping[str, int]) -> list[str]:
    against: list[str] = []
    total = sum(int(report[name] or 0) for name in _OUTCOMES)
    if report["hub_retained"] != total or report["sent"] not in (None, total):
        against.append(f"sent {report['sent']}, retained {report['hub_retained']}, accounted for {total}")
    if report["in_flight"]:
        against.append(f"{report['in_flight']} readings are still in flight")
    counted = {cause: n for cause, n in (report["dead_by_cause"] or {}).items() if n}
    if counted != dict(dead):
        against.append(f"dead letters by cause {counted}, injected {dict(dead)}")
    for name, verdict in verdicts["invariants"].items():
        if not verdict["holds"]:
            reason = "; ".join(verdict["violations"][:3]) or "there was nothing to look at"
            against.append(f"{name} does not hold ({verdict['count']} violations): {reason}")
    return against


def summary(outcome: Outcome) -> list[str]:
    """The end of a run in a few lines."""
    report = outcome.report

    def figure(name: str, unit: str = "", digits: int = 0) -> str:
        value = report.get(name)
        return "-" if value is None else f"{value:,.{digits}f}{unit}"

    outcomes = " + ".join(f"{name.replace('_', '-')} {figure(name)}" for name in _OUTCOMES)
    rates = (
        f"history {figure('history_readings_per_s')} readings/s, live {figure('readings_per_s', digits=1)} readings/s"
    )
    latency = f"latency p50 {figure('latency_p50_ms', ' ms')}, p99 {figure('latency_p99_ms', ' ms')}"
    expected = "" if report["expected_alarms"] is None else f", expected {len(report['expected_alarms'])}"
    shares = ", ".join(f"{name} {share:.0%}" for name, share in report["model_ok_share"].items())
    invariants = ", ".join(f"{name} {'holds' if holds else 'BROKEN'}" for name, holds in report["invariants"].items())
    return [
        f"sent {figure('sent')} = retained {figure('hub_retained')} = {outcomes}; in flight {figure('in_flight')}",
        f"{rates}, {latency}; patches: {figure('patches_twin')} twin, {figure('patches_relationship')} relationship",
        f"alarms raised {len(report['alarms'])}{expected}",
        f"models ok, share of the points they apply to: {shares or 'not looked at'}",
        f"invariants: {invariants}",
        *(f"against: {text}" for text in outcome.against),
    ]
