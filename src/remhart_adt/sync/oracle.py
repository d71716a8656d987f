"""The oracle: what the graph must look like after a given log, by a run without faults, network or time.

It feeds the same processors as the daemon, but whole partitions at once and in any order, and applies every effect to
documents in memory by the same lane rules. A daemon that crashed, retried and merged its way through the same log must
end with the same documents; only `$etag`, the `lastUpdateTime` metadata, `connectivity` and what describes the run
itself (engineVersion, modelRegistry, featureEngineering, inferenceMetrics) are its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from remhart_adt.sync.grid import Grid
from remhart_adt.sync.lanes import LaneWrite, Target, Verdict, apply_ops, decide
from remhart_adt.sync.processor import Processor
from remhart_adt.sync.site import build_site
from remhart_adt.sync.types import RawEvent

if TYPE_CHECKING:
    from remhart_adt.scoring.engine import Engine
    from remhart_adt.sync.decode import Dead
    from remhart_adt.sync.mapping import Mapping as MappingFile

__all__ = ["Expected", "comparable", "replay"]

_OWN_OF_THE_RUN = ("connectivity",)
_OWN_OF_THE_ENGINE = ("engineVersion", "modelRegistry", "featureEngineering", "inferenceMetrics")


@dataclass(slots=True)
class Expected:
    """What must be true at the end: documents by twin id, relationships by (source, id), the dead letters by
    (partition, sequence, index), and how many items there were."""

    twins: dict[str, dict[str, Any]] = field(default_factory=dict)
    relationships: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    dead: dict[tuple[str, int, int], Dead] = field(default_factory=dict)
    received: int = 0


def replay(
    events: Mapping[str, Sequence[RawEvent]],
    twins: Iterable[Mapping[str, Any]],
    relationships: Iterable[Mapping[str, Any]],
    engine: Engine,
    *,
    mapping: MappingFile | None = None,
    translate: bool = False,
    order: Sequence[str] | None = None,
    schedule: Iterable[tuple[str, int]] = (),
) -> Expected:
    """The expected end of a run over `events` (partition -> its events in order) that began with this graph.

    `mapping` gives nominal values and, with `translate`, turns foreign events into readings. The answer must not depend
    on the rest: `schedule` says in which batches events are taken first (partition, how many), `order` in which order
    the partitions' remaining events follow, each as one batch.
    """
    site = build_site(copy.deepcopy(list(twins)), copy.deepcopy(list(relationships)), mapping)
    expected = Expected()
    documents: dict[Target, dict[str, Any]] = {}
    for target, document in site.documents.items():
        documents[target] = copy.deepcopy(dict(document))
    grid = Grid(site, engine)
    function = mapping.translate if mapping is not None and translate else None
    processors = {name: Processor(name, site, engine, grid, translate=function) for name in events}
    apply_writes(documents, grid.restate())
    taken = dict.fromkeys(events, 0)
    steps = [*schedule, *((partition, len(events[partition])) for partition in order or sorted(events))]
    for partition, count in steps:
        batch = events[partition][taken[partition] : taken[partition] + count]
        taken[partition] += len(batch)
        if batch:
            effects = processors[partition].feed(batch)
            apply_writes(documents, effects.writes)
            expected.received += effects.counts["received"]
            expected.dead |= {(partition, dead.sequence, dead.index): dead for dead in effects.dead}
    for target, document in documents.items():
        if target.relationship:
            expected.relationships[target.twin, target.relationship] = document
        else:
            expected.twins[target.twin] = document
    return expected


def apply_writes(documents: dict[Target, dict[str, Any]], writes: Iterable[LaneWrite]) -> None:
    """Do what the writer does, to documents in memory; writes to targets that do not exist are dropped."""
    for write in writes:
        document = documents.get(write.target)
        if document is not None and decide(write, document) is Verdict.WRITE:
            apply_ops(document, write.ops)


def comparable(document: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a twin or relationship that two runs over the same log must agree on."""
    plain = {key: value for key, value in document.items() if key not in ("$etag", "$metadata", *_OWN_OF_THE_RUN)}
    metadata = document.get("$metadata")
    if isinstance(metadata, Mapping):
        kept = {
            key: {"sourceTime": value["sourceTime"]}
            for key, value in metadata.items()
            if isinstance(value, Mapping) and "sourceTime" in value
        }
        plain["$metadata"] = {"$model": metadata.get("$model"), **kept}
    engine = plain.get("mlEngine")
    if isinstance(engine, Mapping):
        plain["mlEngine"] = {
            key: value for key, value in engine.items() if key not in ("$metadata", *_OWN_OF_THE_ENGINE)
        }
    return plain
