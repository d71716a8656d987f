"""What a client with models looks at before it sends: twins, patches, relationships and telemetry against their model.

No I/O here; each face does the same four steps around a call (`AdtClient._run`):

1. `reads` names what has to be read first, because the model of a twin is not known yet. What is not found is left.
2. `refuse` raises DtdlError for a call that the service would refuse.
3. `heard` takes every answer and remembers what it says of models, and
4. `forget` is told when a call failed: then nothing is sure, and the next call reads again.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from remhart_adt.client import core
from remhart_adt.client.core import Call
from remhart_adt.client.patch import pointer
from remhart_adt.errors import DtdlError

if TYPE_CHECKING:
    from remhart_adt.dtdl import InstanceProblem, ModelSet

__all__ = ["Checks"]

# Twins (and as many relationships) whose model (or name) is remembered; about 200 bytes each.
_REMEMBERED: Final = 10_000
_PUBLISH: Final = "_client.digital_twins.send_telemetry"
_PUBLISH_COMPONENT: Final = "_client.digital_twins.send_component_telemetry"
_NEEDS_MODEL: Final = frozenset(
    {
        "update_digital_twin",
        "update_component",
        "upsert_relationship",
        "update_relationship",
        _PUBLISH,
        _PUBLISH_COMPONENT,
    }
)
_CHECKED: Final = _NEEDS_MODEL | {"upsert_digital_twin"}

_K = TypeVar("_K", bound=Hashable)


class Checks:
    """The models, and what is known of which twin is of which; one for each client."""

    def __init__(self, models: ModelSet, remembered: int = _REMEMBERED) -> None:
        self._set = models
        self._models: _Memory[str] = _Memory(remembered)
        self._names: _Memory[tuple[str, str]] = _Memory(remembered)

    def reads(self, call: Call) -> Iterator[Call]:
        """What has to be read before this call can be checked; mostly nothing. The answer of each is heard before the
        next one is asked for."""
        if call.method not in _NEEDS_MODEL:
            return
        twin = call.args[0]
        if self._models.get(twin) is None:
            yield core.get_twin(twin)
        if self._models.get(twin) not in self._set:
            return
        if call.method == "upsert_relationship":
            target = call.args[2].get("$targetId")
            if isinstance(target, str) and target and self._models.get(target) is None:
                yield core.get_twin(target)
        elif call.method == "update_relationship" and self._names.get(call.args[:2]) is None:
            yield core.get_relationship(*call.args[:2])

    def refuse(self, call: Call) -> None:
        """Raise DtdlError, with the report of every problem, for what does not fit its model. A twin whose model is
        not in the set, or not known, passes."""
        if call.method not in _CHECKED:
            return
        from remhart_adt.dtdl import Report
        from remhart_adt.dtdl.instance import errors_of

        given = call.args[-1]
        found = self._problems(call, given)
        if errors_of(found):
            # What a program holds may be a sound value once it is JSON: an enumeration's member, a datetime.
            found = self._problems(call, _as_sent(given))
        errors = errors_of(found)
        if errors:
            more = len(errors) - 1
            what = errors[0].message.rstrip(".") + (f" (and {more} more problem{'s' * (more > 1)})" if more else "")
            raise DtdlError(what, report=Report(tuple(found)), where=call.where, remedy=errors[0].remedy)

    def heard(self, call: Call, answer: Any) -> None:
        """Remember what an answer says: a document read or stored, a patch that changed the model, a deletion."""
        match call.method:
            case "get_digital_twin" | "upsert_digital_twin":
                metadata = answer.get("$metadata") if isinstance(answer, Mapping) else None
                model = metadata.get("$model") if isinstance(metadata, Mapping) else None
                self._models.put(call.args[0], model)
            case "update_digital_twin":
                from remhart_adt.dtdl.instance import new_model

                model = new_model(call.args[1])
                if model is not None:
                    self._models.put(call.args[0], model)
            case "get_relationship" | "upsert_relationship" | "list_relationships" if isinstance(answer, Mapping):
                key = (call.args[0], str(answer.get("$relationshipId")))
                self._names.put(key, answer.get("$relationshipName"))
            case "delete_digital_twin" | "delete_relationship":
                self.forget(call)

    def forget(self, call: Call) -> None:
        """What is remembered of the twin or relationship that a call was about may be wrong."""
        if call.method in _CHECKED or call.method in ("get_digital_twin", "delete_digital_twin"):
            self._models.put(call.args[0], None)
        if call.method in ("get_relationship", "update_relationship", "upsert_relationship", "delete_relationship"):
            self._names.put((call.args[0], call.args[1]), None)

    def _problems(self, call: Call, given: Any) -> list[InstanceProblem]:
        from remhart_adt.dtdl import instance

        twin = call.args[0]
        if call.method == "upsert_digital_twin":
            metadata = given.get("$metadata")
            model = metadata.get("$model") if isinstance(metadata, Mapping) else None
            foreign = isinstance(model, str) and model not in self._set
            return [] if foreign else instance.check_twin(self._set, given)
        model = self._models.get(twin)
        if model is None or model not in self._set:
            return []
        match call.method:
            case "update_digital_twin":
                target = instance.new_model(given)
                foreign = target is not None and target not in self._set
                return [] if foreign else instance.check_patch(self._set, model, given)
            case "update_component":
                patch = [_below(operation, call.args[1]) for operation in given]
                return instance.check_patch(self._set, model, patch)
            case "upsert_relationship":
                target = self._models.get(str(given.get("$targetId")))
                target = target if target in self._set else None
                return instance.check_relationship(self._set, model, given, target)
            case "update_relationship":
                name = self._names.get((twin, call.args[1]))
                return [] if name is None else instance.check_relationship_patch(self._set, model, name, given)
            case _:
                component = call.args[1] if call.method == _PUBLISH_COMPONENT else None
                return instance.check_telemetry(self._set, model, given, component)


class _Memory(Generic[_K]):
    """A bounded memory of texts; what was used longest ago goes first. A client may be shared by threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[_K, str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _K) -> str | None:
        with self._lock:
            text = self._held.get(key)
            if text is not None:
                self._held.move_to_end(key)
            return text

    def put(self, key: _K, text: Any) -> None:
        """Remember a text; forget the key for anything else."""
        with self._lock:
            if not isinstance(text, str):
                self._held.pop(key, None)
                return
            self._held[key] = text
            self._held.move_to_end(key)
            if len(self._held) > self._size:
                self._held.popitem(last=False)


def _below(operation: Any, component: str) -> Any:
    """An operation on a component as one on its twin."""
    path = operation.get("path") if isinstance(operation, Mapping) else None
    if not isinstance(path, str) or not path.startswith("/"):
        return operation
    return {**operation, "path": pointer(component) + path}


def _as_sent(value: Any) -> Any:
    """The JSON value that arrives; the value itself when it cannot be sent."""
    try:
        return json.loads(json.dumps(value, default=_text_of))
    except (TypeError, ValueError, RecursionError):
        return value


def _text_of(value: Any) -> str:
    # As the SDK writes them: a time without a zone is taken for UTC.
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.isoformat() + "Z"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    raise TypeError(type(value).__name__)
