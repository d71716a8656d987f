"""Is everything behind an open breaker without supply, and everything else with it? Asked of the twins."""

from __future__ import annotations

from remhart_adt.graph.snapshot import LiveGraph
from remhart_adt.ids import DTMI_COMPONENT

__all__ = ["supply_differences"]


def supply_differences(graph: LiveGraph, *, opened: str | None) -> list[str]:
    """What the twins say against the topology with `opened` open (None: with all switches as their twins say).

    Components and `feedsTo` relationships are both looked at.
    """
    topology = graph.topology()
    if opened is not None and str(graph.twins[opened].get("switchState")) != "open":
        return [f"{opened} is open in the field and {graph.twins[opened].get('switchState')} on its twin"]
    alive, feeds = topology.energized(), topology.energized_feeds()
    found: list[str] = []
    for name, twin in graph.of_model(DTMI_COMPONENT).items():
        if twin.get("energized") is not alive[name]:
            found.append(f"{name} says energized {twin.get('energized')}, the topology says {alive[name]}")
    for (source, relationship), row in graph.relationships.items():
        wanted = feeds.get((source, relationship))
        if wanted is not None and row.get("energized") is not wanted:
            found.append(f"feedsTo {source} -> {row['$targetId']} says energized {row.get('energized')}, not {wanted}")
    if opened is not None and all(alive.values()):
        found.append(f"opening {opened} left everything energized")
    return found
