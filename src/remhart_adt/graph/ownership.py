"""Which properties the graph file owns and which the daemon owns.

The file says what a component is; the daemon says how it is. `graph apply` never writes over the second kind, so it
can be run at any time, also while the daemon runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from remhart_adt.ids import DTMI_COMPONENT, DTMI_POINT, DTMI_USER, MODELS

__all__ = [
    "DAEMON_OWNED",
    "INITIAL_ONLY",
    "RELATIONSHIP_DAEMON_OWNED",
    "first_state",
    "is_initial_only",
]

# Never in the file.
DAEMON_OWNED: Final[Mapping[str, frozenset[str]]] = {
    DTMI_COMPONENT: frozenset(
        {"energized", "loadFactor", "healthScore", "temperature", "lastUpdatedAt", "alarms", "activeAlarmCount"}
    ),
    DTMI_POINT: frozenset(
        {
            "voltage",
            "current",
            "frequency",
            "activePower",
            "reactivePower",
            "powerQuality",
            "temperature",
            "mlPredictions",
            "mlEngine",
            "connectivity",
            "lastReadingAt",
            "alarms",
            "activeAlarmCount",
        }
    ),
    DTMI_USER: frozenset({"lastLogin"}),
}

# In the file they say how the twin begins; afterwards component status readings change them.
INITIAL_ONLY: Final[Mapping[str, frozenset[tuple[str, ...]]]] = {
    DTMI_COMPONENT: frozenset({("switchState",), ("electrical", "tapPosition"), ("electrical", "stepsOn")}),
}

RELATIONSHIP_DAEMON_OWNED: Final[Mapping[str, frozenset[str]]] = {
    "feedsTo": frozenset({"activePower", "loading", "energized", "updatedAt"}),
    "monitoredBy": frozenset({"lastReadingAt", "dataQuality"}),
}


def is_initial_only(model: str, path: tuple[str, ...]) -> bool:
    """Whether the value at this path is written at creation only."""
    return path in INITIAL_ONLY.get(model, ())


def first_state(model: str) -> dict[str, Any]:
    """What a new twin of this model carries before the first reading.

    Every prediction object exists from the start, as abstained, so that a later patch can add below an existing parent
    and a slow model is never wiped by a fast one of the same module.
    """
    if model == DTMI_COMPONENT:
        return {"alarms": {}, "activeAlarmCount": 0}
    if model != DTMI_POINT:
        return {}
    engine: dict[str, Any] = {"$metadata": {}}
    for slot in MODELS:
        module = engine.setdefault(slot.module, {})
        module[slot.published] = {"status": "abstained", "reason": "no reading yet"}
    return {
        "connectivity": "offline",
        "mlPredictions": {},
        "alarms": {},
        "activeAlarmCount": 0,
        "mlEngine": engine,
    }
