"""The twin graph of a feeder, in the form of the graph file: components, measurement points, users, relationships."""

from __future__ import annotations

from typing import Any

from remhart_adt.simulate.spec import Bank, Breaker, Element, FeederSpec, Line, Meter, Solar

__all__ = ["graph_of"]

# What a kilowatt-hour costs, in the currency of the demo: from the grid, and the upkeep of a plant.
_PRICE = 0.28
_UPKEEP = 0.01


def graph_of(spec: FeederSpec, simulation: dict[str, str]) -> dict[str, Any]:
    """The whole graph as a mapping ready to be written as YAML; `simulation` becomes each point's simulationMetadata.

    `feedsTo` runs from the substation outwards, and from a photovoltaic plant, which may not island, into what it
    hangs on.
    """
    monitored: dict[str, list[str]] = {}
    for point in spec.points:
        monitored.setdefault(point.element, []).append(point.id)
    feeds: dict[str, list[str]] = {}
    solar = {e.id for e in spec.elements if isinstance(e, Solar)}
    for child, parent in spec.parents().items():
        source, target = (child, parent) if child in solar else (parent, child)
        feeds.setdefault(source, []).append(target)
    components = [_substation(spec), _transformer(spec), *(_element(e) for e in spec.elements)]
    for body in components:
        body["location"] = _location(spec)
        body["status"] = "operational"
        if feeds.get(body["id"]):
            body["feedsTo"] = feeds[body["id"]]
        if body["id"] in monitored:
            body["monitoredBy"] = [{"to": name, "phases": "ABC"} for name in monitored[body["id"]]]
    manager = {point: user.id for user in reversed(spec.users) for point in user.points}
    points = []
    for point in spec.points:
        row: dict[str, Any] = {
            "id": point.id,
            "gridStandard": {
                "nominalVoltage": spec.nominal_v,
                "nominalFrequency": spec.hz,
                "phaseConfiguration": "threePhaseFourWire",
                "ratedCurrent": point.rated_a,
                "reactivePowerConvention": "fundamental",
            },
            "location": _location(spec),
            "isSimulation": True,
            "simulationMetadata": dict(simulation),
            "connectedTo": point.element,
        }
        if point.id in manager:
            row["managedBy"] = manager[point.id]
        points.append(row)
    users = [
        {
            "id": user.id,
            "username": user.id,
            "email": f"{user.id}@example.org",
            "fullName": user.full_name,
            "role": user.role,
            "isActive": True,
            "manages": list(user.points),
        }
        for user in spec.users
    ]
    return {"version": 1, "components": components, "points": points, "users": users}


def _location(spec: FeederSpec) -> dict[str, Any]:
    return {"latitude": spec.site.latitude, "longitude": spec.site.longitude, "address": spec.site.address}


def _substation(spec: FeederSpec) -> dict[str, Any]:
    dispatch = {"minPower": 0.0, "maxPower": spec.transformer.kva * 1000.0, "costB": _PRICE}
    capacity = spec.source.mva_sc3 * 1e6 / 20
    return {"id": spec.source.id, "type": "substation", "ratedCapacity": capacity, "dispatch": dispatch}


def _transformer(spec: FeederSpec) -> dict[str, Any]:
    t = spec.transformer
    return {
        "id": t.id,
        "type": "transformer",
        "ratedCapacity": t.kva * 1000,
        "ratedCurrent": round(t.kva / (3**0.5 * t.lv_kv), 1),
        "installationDate": t.installed,
        "electrical": {
            "noLoadLoss": t.no_load_loss_w,
            "loadLoss": t.load_loss_w,
            "shortCircuitVoltage": t.uk_percent,
            "tapMin": t.tap_min,
            "tapMax": t.tap_max,
            "tapStep": t.tap_step,
            "tapPosition": t.tap,
            "neutralEarthed": True,
        },
    }


def _element(element: Element) -> dict[str, Any]:
    if isinstance(element, Breaker):
        return {
            "id": element.id,
            "type": "circuit_breaker",
            "ratedCurrent": element.rated_a,
            "switchState": "closed",
        }
    if isinstance(element, Bank):
        return {
            "id": element.id,
            "type": "capacitor_bank",
            "ratedCapacity": element.step_kvar * element.steps * 1000,
            "electrical": {"stepKvar": element.step_kvar, "steps": element.steps, "stepsOn": element.steps_on},
        }
    cable = element.cable
    body: dict[str, Any] = {
        "id": element.id,
        "ratedCurrent": cable.ampacity,
        "electrical": {"r1": cable.r1, "x1": cable.x1, "r0": cable.r0, "x0": cable.x0, "length": element.length_km},
    }
    if isinstance(element, Line):
        return {"type": "transmission_line", **body}
    if isinstance(element, Meter):
        return {"type": "meter", **body}
    peak = sum(element.kw) * 1000
    dispatch = {"minPower": 0.0, "maxPower": peak, "costB": _UPKEEP}
    return {"type": "renewable_source", **body, "ratedCapacity": peak, "canIsland": False, "dispatch": dispatch}
