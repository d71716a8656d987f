"""The last lines of a run: commands to paste that look at what it left behind."""

from __future__ import annotations

from remhart_adt.demo.report import Outcome
from remhart_adt.demo.run import Demo

__all__ = ["commands"]


def commands(demo: Demo, outcome: Outcome) -> list[str]:
    """Three commands (a query, a twin, a plan), and before them how the ADT server is reached or started again."""
    stage = demo.stage
    lines = ["Passed." if outcome.passed else "Not passed."]
    if demo.options.keep:
        lines += [f"ADT stays up at {stage.endpoint}", f"Event Hub stays up at 127.0.0.1:{stage.eventhub_port}"]
        lines += [f"Stop them with: kill {' '.join(str(child.process.pid) for child in stage.stand_ins())}"]
    else:
        port = stage.endpoint.rsplit(":", 1)[1].rstrip("/")
        data = stage.folder / "adt.sqlite"
        lines += [f"The ADT server is down; this starts it again: remhart-adt local adt --port {port} --data {data} &"]
    alarms = outcome.report["alarms"]
    kind = alarms[-1]["kind"] if alarms else "voltageSag"
    twin = alarms[-1]["pointId"] if alarms else next(iter(demo.spec.points)).id if demo.spec else ""
    at = f"--endpoint {stage.endpoint}"
    lines += [
        f"  remhart-adt query {at} 'SELECT $dtId, alarms FROM DIGITALTWINS WHERE IS_DEFINED(alarms.{kind})'",
        f"  remhart-adt twins get {at} {twin}",
        f"  remhart-adt graph plan {at} {stage.folder / 'graph.yaml'}",
    ]
    return lines
