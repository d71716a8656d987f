"""Streams and graphs for the daemon's tests, small and in memory."""

from __future__ import annotations

import itertools
import json
from typing import Any

from remhart_adt.clock import format_us
from remhart_adt.ids import DTMI_COMPONENT, DTMI_POINT, MODELS
from remhart_adt.sync.types import RawEvent

T0 = 1_760_000_040_000_000  # a whole minute and a whole 30-second bucket
VN = 230.0


def reading(point: str, t: float, volts: Any = (230.0, 230.0, 230.0), **more: Any) -> dict[str, Any]:
    """A nested reading `t` seconds after T0."""
    body: dict[str, Any] = {
        "pointId": point,
        "timestamp": format_us(T0 + round(t * 1e6)),
        "voltage": dict(zip(("phaseA", "phaseB", "phaseC"), volts, strict=True)),
        "current": {"phaseA": 10.0, "phaseB": 11.0, "phaseC": 12.0},
        "activePower": {"phaseA": 2000.0, "phaseB": 2100.0, "phaseC": 2200.0},
        "reactivePower": {"phaseA": 200.0, "phaseB": 210.0, "phaseC": 220.0},
        "frequency": 50.0,
    }
    body.update(more)
    return body


def status(component: str, t: float, **more: Any) -> dict[str, Any]:
    return {"componentId": component, "timestamp": format_us(T0 + round(t * 1e6)), **more}


def event(sequence: int, body: Any, *, device_id: str | None = None, enqueued_us: int | None = None) -> RawEvent:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    when = T0 + 3600 * 1_000_000 if enqueued_us is None else enqueued_us
    return RawEvent(sequence, str(sequence), when, data, device_id)


def stream(bodies: list[Any], **more: Any) -> list[RawEvent]:
    return [event(i, body, **more) for i, body in enumerate(bodies)]


def point_twin(name: str, **more: Any) -> dict[str, Any]:
    modules: dict[str, Any] = {"$metadata": {}}
    for model in MODELS:
        modules.setdefault(model.module, {})[model.published] = {"status": "abstained", "reason": "no reading yet"}
    twin: dict[str, Any] = {
        "$dtId": name,
        "$metadata": {"$model": DTMI_POINT},
        "gridStandard": {"nominalVoltage": VN, "nominalFrequency": 50.0, "ratedCurrent": 100.0},
        "mlPredictions": {},
        "alarms": {},
        "activeAlarmCount": 0,
        "connectivity": "offline",
        "mlEngine": modules,
    }
    twin.update(more)
    return twin


def component_twin(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"$dtId": name, "$metadata": {"$model": DTMI_COMPONENT}, "componentType": kind, "electrical": {}, **more}


def relation(source: str, name: str, target: str, **more: Any) -> dict[str, Any]:
    return {
        "$relationshipId": f"{name}.{target}",
        "$sourceId": source,
        "$relationshipName": name,
        "$targetId": target,
        **more,
    }


def small_graph() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """sub -> tr -> b1 -> line1 -> b2 -> line2; points at tr, line1 and line2."""
    twins = [
        component_twin("sub", "substation"),
        component_twin("tr", "transformer", ratedCapacity=100_000.0),
        component_twin("b1", "circuit_breaker", switchState="closed"),
        component_twin("line1", "transmission_line", ratedCurrent=100.0),
        component_twin("b2", "circuit_breaker", switchState="closed"),
        component_twin("line2", "transmission_line", ratedCurrent=100.0),
        *(point_twin(name) for name in ("mp-tr", "mp-1", "mp-2")),
    ]
    chain = ("sub", "tr", "b1", "line1", "b2", "line2")
    rels = [relation(a, "feedsTo", b) for a, b in itertools.pairwise(chain)]
    rels += [
        relation("tr", "monitoredBy", "mp-tr", phases="ABC"),
        relation("line1", "monitoredBy", "mp-1", phases="ABC"),
        relation("line2", "monitoredBy", "mp-2", phases="ABC"),
    ]
    return twins, rels
