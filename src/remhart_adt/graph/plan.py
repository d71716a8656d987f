"""What has to change so that the service's graph is the file's: pure comparison, no call is made.

Only what the file owns is compared: properties of the daemon are neither written nor removed, and what a twin begins
with (switch state, tap position) is written when it is created and never again. So a plan of an applied file is empty,
whatever the daemon has written since.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from remhart_adt.client.patch import Patch
from remhart_adt.graph.ownership import (
    DAEMON_OWNED,
    INITIAL_ONLY,
    RELATIONSHIP_DAEMON_OWNED,
    first_state,
    is_initial_only,
)
from remhart_adt.graph.snapshot import LiveGraph, fetch, fetch_async, model_of
from remhart_adt.graph.spec import Entity, GraphSpec, Relation
from remhart_adt.graph.topology import Topology
from remhart_adt.ids import DTMI_COMPONENT

if TYPE_CHECKING:
    from remhart_adt.client import AdtClient, AsyncAdtClient

__all__ = ["Action", "Change", "Plan", "Verb", "diff_twin", "make_plan", "new_twin", "plan", "plan_async"]

_MISSING = object()


class Verb(enum.StrEnum):
    """What happens to a twin or relationship."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One value that an update sets (`new`) or clears (`new` is None), and what it was (None: absent)."""

    path: tuple[str, ...]
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Action:
    """One call. `source` is empty for a twin; `document` is the body of a creation; `reason` why, when not obvious."""

    verb: Verb
    id: str
    source: str = ""
    model: str = ""
    name: str = ""
    target: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    reason: str = ""

    @property
    def is_relationship(self) -> bool:
        """Whether this is about a relationship."""
        return bool(self.source)

    def patch(self) -> Patch:
        """The patch of an update."""
        return patch_of(self.changes)

    def row(self) -> dict[str, Any]:
        """The action as a flat row for people and machines."""
        changes = {".".join(change.path): {"old": change.old, "new": change.new} for change in self.changes}
        kind = self.name if self.is_relationship else self.model.rsplit(":", 1)[-1].partition(";")[0]
        row: dict[str, Any] = {"action": self.verb.value, "kind": kind, "id": self.id}
        if self.is_relationship:
            row |= {"source": self.source, "target": self.target}
        if changes:
            row["changes"] = changes
        return row | ({"reason": self.reason} if self.reason else {})


@dataclass(frozen=True, slots=True)
class Plan:
    """All actions, and what stays. `conflicts` are twins of another model under an id of the file: apply refuses."""

    actions: tuple[Action, ...]
    unchanged: int
    unmanaged: int = 0
    conflicts: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether the service's graph is the file's already."""
        return not self.actions and not self.conflicts

    def count(self, verb: Verb) -> int:
        """How many actions of one kind there are."""
        return sum(action.verb is verb for action in self.actions)

    def of(self, verb: Verb, *, relationships: bool) -> tuple[Action, ...]:
        """The actions of one kind, on twins or on relationships."""
        return tuple(a for a in self.actions if a.verb is verb and a.is_relationship is relationships)

    def summary(self) -> str:
        """One line for people."""
        counts = ", ".join(f"{self.count(verb)} to {verb.value}" for verb in Verb)
        kept = f", {self.unmanaged} not in the file (kept; --prune deletes them)" if self.unmanaged else ""
        return f"{counts}, {self.unchanged} unchanged{kept}"


def plan(client: AdtClient, spec: GraphSpec, *, prune: bool = False) -> Plan:
    """Compare the file with the instance as it is now."""
    return make_plan(spec, fetch(client), prune=prune)


async def plan_async(client: AsyncAdtClient, spec: GraphSpec, *, prune: bool = False) -> Plan:
    """Compare the file with the instance as it is now."""
    return make_plan(spec, await fetch_async(client), prune=prune)


def make_plan(spec: GraphSpec, live: LiveGraph, *, prune: bool = False) -> Plan:
    """The plan that turns `live` into `spec`. With `prune` twins and relationships that the file lacks are deleted."""
    topology = Topology.from_spec(spec)
    actions: list[Action] = []
    conflicts: list[str] = []
    unchanged = 0
    alive = topology.energized()
    for entity in spec.entities():
        twin = live.twins.get(entity.id)
        if twin is None:
            document = new_twin(entity, alive=alive.get(entity.id))
            actions.append(Action(Verb.CREATE, entity.id, model=entity.model, document=document))
        elif model_of(twin) != entity.model:
            conflicts.append(
                f"twin {entity.id} exists with the model {model_of(twin)}, the file makes it {entity.model}"
            )
        elif changes := diff_twin(entity, twin):
            actions.append(Action(Verb.UPDATE, entity.id, model=entity.model, changes=changes))
        else:
            unchanged += 1
    feeding = topology.energized_feeds()
    for relation in spec.relationships:
        found = live.relationships.get((relation.source, relation.id))
        alike = found is not None and (found["$relationshipName"], found["$targetId"]) == (
            relation.name,
            relation.target,
        )
        if found is not None and not alike:
            actions.append(_delete_relationship(found, "it leads elsewhere in the file"))
        if found is None or not alike:
            actions.append(_create_relationship(relation, feeding.get((relation.source, relation.id))))
        elif changes := _diff_relationship(relation, found):
            actions.append(_relationship_action(Verb.UPDATE, relation, changes=changes))
        else:
            unchanged += 1
    surplus = _surplus(spec, live)
    if prune:
        return Plan((*actions, *surplus), unchanged, 0, tuple(conflicts))
    return Plan(tuple(actions), unchanged, len(surplus), tuple(conflicts))


def new_twin(entity: Entity, *, alive: bool | None = None) -> dict[str, Any]:
    """The document that creates a twin: the file's properties and the state before the first reading."""
    document = {"$metadata": {"$model": entity.model}, **entity.properties, **first_state(entity.model)}
    if alive is not None and entity.model == DTMI_COMPONENT:
        document["energized"] = alive
    return document


def diff_twin(entity: Entity, twin: Mapping[str, Any]) -> tuple[Change, ...]:
    """The changes that make a twin's file-owned properties those of the entity."""
    owned = DAEMON_OWNED[entity.model]
    actual = {k: v for k, v in twin.items() if not k.startswith("$") and k not in owned}
    return tuple(_diff(entity.properties, actual, (), entity.model))


def patch_of(changes: tuple[Change, ...]) -> Patch:
    """The patch that carries out changes."""
    patch = Patch()
    for change in changes:
        if change.new is None:
            patch.remove(change.path)
        else:
            patch.add(change.path, change.new)
    return patch


def _diff(wanted: Any, actual: Any, path: tuple[str, ...], model: str) -> Iterator[Change]:
    if is_initial_only(model, path):
        return
    if wanted is _MISSING:
        if isinstance(actual, Mapping) and _holds_initial(model, path):
            for key, value in actual.items():
                yield from _diff(_MISSING, value, (*path, key), model)
        else:
            yield Change(path, actual, None)
    elif isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        # Below an object value by value, so that what the daemon keeps in the same object stays.
        for key in [*wanted, *(key for key in actual if key not in wanted)]:
            yield from _diff(wanted.get(key, _MISSING), actual.get(key, _MISSING), (*path, key), model)
    elif not _same(wanted, actual):
        yield Change(path, None if actual is _MISSING else actual, wanted)


def _holds_initial(model: str, path: tuple[str, ...]) -> bool:
    return any(own[: len(path)] == path for own in INITIAL_ONLY.get(model, ()))


def _same(one: Any, other: Any) -> bool:
    # 68 and 68.0 are the same number on the wire, True and 1 are not the same value.
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def _diff_relationship(relation: Relation, found: Mapping[str, Any]) -> tuple[Change, ...]:
    owned = RELATIONSHIP_DAEMON_OWNED.get(relation.name, frozenset())
    actual = {k: v for k, v in found.items() if not k.startswith("$") and k not in owned}
    return tuple(_diff(relation.properties, actual, (), ""))


def _create_relationship(relation: Relation, alive: bool | None) -> Action:
    document = {
        "$relationshipName": relation.name,
        "$targetId": relation.target,
        **relation.properties,
        **({"energized": alive} if alive is not None else {}),
    }
    return _relationship_action(Verb.CREATE, relation, document=document)


def _relationship_action(verb: Verb, relation: Relation, **rest: Any) -> Action:
    return Action(verb, relation.id, source=relation.source, name=relation.name, target=relation.target, **rest)


def _delete_relationship(found: Mapping[str, Any], reason: str) -> Action:
    return Action(
        Verb.DELETE,
        found["$relationshipId"],
        source=found["$sourceId"],
        name=found["$relationshipName"],
        target=found["$targetId"],
        reason=reason,
    )


def _surplus(spec: GraphSpec, live: LiveGraph) -> list[Action]:
    ids = {entity.id for entity in spec.entities()}
    wanted = {(relation.source, relation.id) for relation in spec.relationships}
    doomed = [key for key in live.twins if key not in ids]
    gone = set(doomed)
    found: list[Action] = []
    for key, row in live.relationships.items():
        # A twin can only be deleted without relationships, so all of its own go, whoever made them.
        ours = row["$sourceId"] in live.twins and row["$targetId"] in live.twins
        if key not in wanted and (ours or row["$sourceId"] in gone or row["$targetId"] in gone):
            found.append(_delete_relationship(row, "not in the file"))
    reason = "not in the file"
    return found + [Action(Verb.DELETE, key, model=model_of(live.twins[key]), reason=reason) for key in doomed]
