"""The alarms a run raised, read from the server's journal, held against the events of the simulation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from remhart_adt.checker import Request
from remhart_adt.clock import format_us, parse_us

__all__ = ["Alarm", "compare", "raised"]

_PREFIX: Final = "/alarms/"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm instance on one twin, as last written."""

    twin: str
    kind: str
    raised_us: int
    cleared_us: int | None
    phases: str
    severity: str
    value: float | None
    limit: float | None
    source: str

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "pointId": self.twin,
            "kind": self.kind,
            "raisedAt": format_us(self.raised_us),
            "clearedAt": None if self.cleared_us is None else format_us(self.cleared_us),
            "phases": self.phases,
            "severity": self.severity,
            "value": self.value,
            "limit": self.limit,
            "source": self.source,
        }


def raised(requests: Iterable[Request]) -> list[Alarm]:
    """Every alarm instance that was told to the service, oldest first; an instance is (twin, kind, raisedAt).

    The twin's map holds the last instance of each kind, so when two fall between two writes only the alarm telemetry
    tells of the first: both are read. A message that was sent twice counts once.
    """
    found: dict[tuple[str, str, int], Alarm] = {}
    ends: dict[tuple[str, str], set[int]] = {}
    for request in requests:
        if request.status != 204:
            continue
        if request.method == "PATCH" and request.kind == "twin":
            for operation in request.body or ():
                value, path = operation.get("value"), operation.get("path", "")
                if path.startswith(_PREFIX) and isinstance(value, Mapping) and "raisedAt" in value:
                    alarm = _alarm(request.twin, path.removeprefix(_PREFIX), value["raisedAt"], value)
                    found[alarm.twin, alarm.kind, alarm.raised_us] = alarm
        elif request.kind == "telemetry" and isinstance(request.body, Mapping):
            for word, body in request.body.items():
                key = (request.twin, str(body.get("alarmName")))
                if word == "alarmRaised":
                    alarm = _alarm(*key, body["timestamp"], body)
                    found.setdefault((*key, alarm.raised_us), alarm)
                elif word == "alarmCleared":
                    ends.setdefault(key, set()).add(parse_us(body["timestamp"]))
    alarms = [_ended(alarm, ends.get((alarm.twin, alarm.kind), set())) for alarm in found.values()]
    return sorted(alarms, key=lambda alarm: (alarm.raised_us, alarm.twin, alarm.kind))


def _ended(alarm: Alarm, ends: Iterable[int]) -> Alarm:
    if alarm.cleared_us is not None:
        return alarm
    return replace(alarm, cleared_us=min((end for end in ends if end > alarm.raised_us), default=None))


def _alarm(twin: str, kind: str, since: str, value: Mapping[str, Any]) -> Alarm:
    cleared = value.get("clearedAt")
    return Alarm(
        twin=twin,
        kind=kind,
        raised_us=parse_us(since),
        cleared_us=parse_us(cleared) if cleared else None,
        phases=value.get("phases", ""),
        severity=value.get("severity", ""),
        value=value.get("value"),
        limit=value.get("limit"),
        source=value.get("source", ""),
    )


def compare(
    alarms: Sequence[Alarm],
    expected: Sequence[Mapping[str, Any]],
    *,
    period_us: int,
    readings: int = 3,
    ended_us: int | None = None,
) -> list[str]:
    """The differences in words, none when the alarms equal the event list.

    An expected alarm (`pointId`, `kind`, `phases`, `raisedAfter_us`) matches one of that point and kind, raised within
    `readings` readings after the event's first one; whatever matches nothing is one too many. `ended_us`: the last
    reading of a play that was broken off: what was due in its last `readings` readings may be missing.
    """
    left = list(alarms)
    differences: list[str] = []
    for wish in sorted(expected, key=lambda e: e["raisedAfter_us"]):
        first = int(wish["raisedAfter_us"])
        match = next(
            (
                alarm
                for alarm in left
                if alarm.twin == wish["pointId"]
                and alarm.kind == wish["kind"]
                and -period_us // 2 <= alarm.raised_us - first <= readings * period_us
            ),
            None,
        )
        if match is None and ended_us is not None and first + readings * period_us > ended_us:
            continue
        if match is None:
            differences.append(f"missing: {wish['kind']} on {wish['pointId']} at {format_us(first)}")
            continue
        left.remove(match)
        if wish.get("phases") and match.phases != wish["phases"]:
            differences.append(f"{match.kind} on {match.twin}: phases {match.phases}, the event had {wish['phases']}")
    differences += [f"unexpected: {alarm.kind} on {alarm.twin} at {format_us(alarm.raised_us)}" for alarm in left]
    return differences
