"""The graph as the service has it now: all twins of our interfaces and the relationships between them.

It is read by queries, which see a change some seconds after it was made; a daemon that refreshes from it lags by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from remhart_adt.graph.topology import Topology
from remhart_adt.ids import DTMI_COMPONENT, DTMI_POINT, DTMI_USER

if TYPE_CHECKING:
    from remhart_adt.client import AdtClient, AsyncAdtClient

__all__ = ["LiveGraph", "fetch", "fetch_async"]

# The service's largest page; twin documents are a few kB each.
_PAGE: Final = 1000
_TWINS: Final = tuple(
    f"SELECT * FROM digitaltwins WHERE IS_OF_MODEL('{model}')" for model in (DTMI_COMPONENT, DTMI_POINT, DTMI_USER)
)
_RELATIONSHIPS: Final = "SELECT * FROM relationships"


@dataclass(slots=True)
class LiveGraph:
    """Documents as the service sends them, by twin id and by (source id, relationship id)."""

    twins: dict[str, dict[str, Any]] = field(default_factory=dict)
    relationships: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def of_model(self, model: str) -> dict[str, dict[str, Any]]:
        """The twins of this interface, any version."""
        base = model.partition(";")[0]
        return {key: twin for key, twin in self.twins.items() if model_of(twin).partition(";")[0] == base}

    def topology(self) -> Topology:
        """Who feeds whom, with the switch states that the twins carry."""
        return Topology.from_twins(self.twins.values(), self.relationships.values())


def model_of(twin: Mapping[str, Any]) -> str:
    """The DTMI of a twin document's model."""
    return str(twin.get("$metadata", {}).get("$model", ""))


def fetch(client: AdtClient) -> LiveGraph:
    """Read the graph with a synchronous client."""
    twins = [row for text in _TWINS for row in client.query(text, page_size=_PAGE)]
    return _graph(twins, client.query(_RELATIONSHIPS, page_size=_PAGE))


async def fetch_async(client: AsyncAdtClient) -> LiveGraph:
    """Read the graph with an asynchronous client."""
    twins = [row for text in _TWINS async for row in client.query(text, page_size=_PAGE)]
    relationships = [row async for row in client.query(_RELATIONSHIPS, page_size=_PAGE)]
    return _graph(twins, relationships)


def _graph(twins: Iterable[dict[str, Any]], relationships: Iterable[dict[str, Any]]) -> LiveGraph:
    graph = LiveGraph({str(twin["$dtId"]): twin for twin in twins})
    for row in relationships:
        # An instance may hold other graphs too; only what touches ours counts.
        if row["$sourceId"] in graph.twins or row["$targetId"] in graph.twins:
            graph.relationships[row["$sourceId"], row["$relationshipId"]] = row
    return graph
