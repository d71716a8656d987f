"""Clients that write, and know what the server must hold: what it acknowledged, or one request more.

Every thing (twin, relationship, model) has one writer, which has one request under way. So after a kill a thing stands
as last acknowledged, or as the request under way would have left it, and in no other way.
"""

from __future__ import annotations

import http.client
import random
import threading
from dataclasses import dataclass, field
from typing import Any

from adt_process import AdtProcess, Caller

__all__ = ["MODELS", "Thing", "Writer", "state_of"]

_DEVICE = "dtmi:crash:Device;1"
_ENGINE = "dtmi:crash:Engine;1"


def _interface(name: str, *contents: dict[str, Any]) -> dict[str, Any]:
    return {
        "@context": "dtmi:dtdl:context;3",
        "@id": f"dtmi:crash:{name};1",
        "@type": "Interface",
        "contents": contents,
    }


def _prop(name: str, schema: Any) -> dict[str, Any]:
    return {"@type": "Property", "name": name, "schema": schema}


_MAP = {"@type": "Map", "mapKey": {"name": "key", "schema": "string"}, "mapValue": {"name": "v", "schema": "integer"}}
MODELS = [
    _interface("Engine", _prop("stamp", "integer"), _prop("label", "string")),
    _interface(
        "Device",
        _prop("stamp", "integer"),
        _prop("padding", "string"),
        _prop("tags", _MAP),
        {"@type": "Component", "name": "engine", "schema": _ENGINE},
        {
            "@type": "Relationship",
            "name": "feeds",
            "properties": [_prop("stamp", "integer"), _prop("padding", "string")],
        },
    ),
]


def _padding(stamp: int) -> str:
    """Something as long as the stamp says, over several pages at times: half of it would be seen."""
    return f"{stamp}-" + "x" * (stamp * 37 % 3900)


@dataclass(slots=True)
class Thing:
    """`acknowledged` and `under_way` are states (None: it does not exist); `etag` is "" when it is not known."""

    path: str
    acknowledged: dict[str, Any] | None = None
    etag: str = ""
    is_under_way: bool = False
    under_way: dict[str, Any] | None = None
    seen: int = 0

    def judge(self, status: int, doc: Any) -> str:
        """What is wrong with an answer to GET, "" if nothing is; the answer is what counts from now on."""
        found = state_of(doc) if status == 200 else None
        good = found == self.acknowledged and (found is None or self.etag in ("", doc["$etag"]))
        if not good and not (self.is_under_way and found == self.under_way):
            return f"{self.path} is {found} ({status}), acknowledged {self.acknowledged}, under way {self.under_way}"
        if found is not None and found["stamp"] < self.seen:
            return f"{self.path} has stamp {found['stamp']}, and {self.seen} was read before the kill"
        self.acknowledged, self.etag = found, doc["$etag"] if found is not None else ""
        self.is_under_way, self.under_way, self.seen = False, None, 0
        return ""


def state_of(doc: dict[str, Any]) -> dict[str, Any]:
    """What a client had a say in."""
    kept = {k: v for k, v in doc.items() if k[:1] != "$" or k in ("$targetId", "$relationshipName")}
    if isinstance(kept.get("engine"), dict):
        kept["engine"] = {k: v for k, v in kept["engine"].items() if k != "$metadata"}
    return kept


class _RefusedError(Exception):
    """An answer that must not be."""


@dataclass
class Writer:
    """One client. `targets` are the twins of everybody, which its relationships may point to."""

    number: int
    seed: int
    twins: int
    targets: list[str]
    things: dict[str, Thing] = field(default_factory=dict)
    models: dict[str, bool] = field(default_factory=dict)
    acknowledged: int = 0
    etags: list[str] = field(default_factory=list)
    problem: str = ""
    _stamp: int = 0
    _batch: int = 0

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        for k in range(self.twins):
            path = f"/digitaltwins/w{self.number}-{k}"
            self.things[path] = Thing(path)
            for r in range(2):
                self.things[f"{path}/relationships/r{r}"] = Thing(f"{path}/relationships/r{r}")

    def run(self, server: AdtProcess, stop: threading.Event) -> None:
        """Write until the server is gone or `stop` is set; an answer that must not be ends in `problem`."""
        call = server.caller()
        try:
            while not stop.is_set():
                self._one(call)
        except (OSError, http.client.HTTPException, ValueError):
            return  # a torn answer, or none: the request stays under way
        except _RefusedError as error:
            self.problem = str(error)
        finally:
            call.close()

    def _one(self, call: Caller) -> None:
        self._stamp += 1
        if self._rng.random() < 0.02:
            self._write_models(call)
            return
        thing = self.things[self._rng.choice(list(self.things))]
        source = self.things[thing.path.split("/relationships")[0]]
        if source is not thing and source.acknowledged is None:
            thing = source
        if thing is source:
            self._write_twin(call, thing)
        else:
            self._write_relationship(call, thing)

    def _send(
        self,
        call: Caller,
        thing: Thing,
        method: str,
        body: Any,
        after: dict[str, Any] | None,
        may_fail: tuple[int, ...],
    ) -> None:
        """One request whose effect would be `after`; refusals in `may_fail` change nothing."""
        conditional = thing.etag and method != "PUT" and self._rng.random() < 0.5
        thing.under_way, thing.is_under_way = after, True
        status, etag, doc = call(method, thing.path, body, {"If-Match": thing.etag} if conditional else None)
        thing.is_under_way = False
        if status in may_fail:
            return
        if status not in (200, 204):
            raise _RefusedError(f"{method} {thing.path} was answered {status}: {doc}")
        if method == "PUT" and state_of(doc) != after:
            raise _RefusedError(f"PUT {thing.path} answered {doc} to {after}")
        thing.acknowledged, thing.etag = after, etag
        self.acknowledged += 1
        if etag:
            self.etags.append(etag)

    def _write_twin(self, call: Caller, thing: Thing) -> None:
        stamp, rng = self._stamp, self._rng
        drawn = rng.random()
        if thing.acknowledged is None or drawn < 0.15:
            state = {
                "stamp": stamp,
                "padding": _padding(stamp),
                "tags": {f"k{n}": stamp for n in range(stamp % 5)},
                "engine": {"stamp": stamp, "label": f"engine {stamp}"},
            }
            body = {**state, "$metadata": {"$model": _DEVICE}, "engine": {**state["engine"], "$metadata": {}}}
            self._send(call, thing, "PUT", body, state, ())
        elif drawn < 0.25:
            self._send(call, thing, "DELETE", None, None, (400,))  # it may have relationships
        else:
            key = f"k{stamp % 7}"
            state = {
                "stamp": stamp,
                "padding": _padding(stamp),
                "tags": {**thing.acknowledged["tags"], key: stamp},
                "engine": {**thing.acknowledged["engine"], "stamp": stamp},
            }
            ops = [
                {"op": "replace", "path": "/stamp", "value": stamp},
                {"op": "add", "path": "/padding", "value": state["padding"]},
                {"op": "add", "path": f"/tags/{key}", "value": stamp},
                {"op": "add", "path": "/engine/stamp", "value": stamp},
            ]
            self._send(call, thing, "PATCH", ops, state, ())

    def _write_relationship(self, call: Caller, thing: Thing) -> None:
        stamp, rng = self._stamp, self._rng
        drawn = rng.random()
        if thing.acknowledged is None or drawn < 0.2:
            target = rng.choice([name for name in self.targets if f"/{name}/" not in thing.path])
            names = {"$relationshipName": "feeds", "$targetId": target}
            state = {**names, "stamp": stamp, "padding": _padding(stamp)}
            self._send(call, thing, "PUT", state, state, (404,))  # another writer may have removed the target
        elif drawn < 0.5:
            self._send(call, thing, "DELETE", None, None, ())
        else:
            state = {**thing.acknowledged, "stamp": stamp, "padding": _padding(stamp)}
            ops = [{"op": "replace", "path": f"/{name}", "value": state[name]} for name in ("stamp", "padding")]
            self._send(call, thing, "PATCH", ops, state, ())

    def _write_models(self, call: Caller) -> None:
        """Three models in one request, each needing the next; or the removal of one that nothing needs."""
        gone = [name for name, there in self.models.items() if there and name.endswith("c")]
        if len(gone) > 3:
            path = f"/models/dtmi:crash:{gone[0]};1"
            self.models.pop(gone[0])  # whether it is removed is known only after the answer
            status, _, doc = call("DELETE", path)
            if status != 204:
                raise _RefusedError(f"DELETE {path} was answered {status}: {doc}")
            self.models[gone[0]] = False
        else:
            self._batch += 1
            names = [f"W{self.number}x{self._batch}{letter}" for letter in "abc"]
            base = [
                {**_interface(name, _prop(f"own_{name}", "integer")), "extends": f"dtmi:crash:{needed};1"}
                for name, needed in zip(names[1:], names[:-1], strict=True)
            ]
            status, _, doc = call("POST", "/models", [*base, _interface(names[0])])
            if status != 201:
                raise _RefusedError(f"POST /models was answered {status}: {doc}")
            self.models.update(dict.fromkeys(names, True))
        self.acknowledged += 1

    def judge(self, call: Caller, present: set[str]) -> list[str]:
        """What is wrong now; `present` are the names of all models. What is found is what counts from now on."""
        wrong = [self.problem] if self.problem else []
        for thing in self.things.values():
            status, etag, doc = call("GET", thing.path)
            if status == 200 and etag != doc["$etag"]:
                wrong.append(f"{thing.path} has etag {etag} in its header and {doc['$etag']} in its body")
            wrong += filter(None, [thing.judge(status, doc)])
        wrong += [
            f"model {name} is {'gone' if there else 'back'}"
            for name, there in self.models.items()
            if there != (name in present)
        ]
        # A batch that was not acknowledged is there as a whole or not at all.
        batches: dict[str, set[str]] = {}
        for name in present:
            if name.startswith(f"W{self.number}x"):
                batches.setdefault(name[:-1], set()).add(name)
        for batch, names in batches.items():
            if not any(f"{batch}{letter}" in self.models for letter in "abc"):
                if len(names) != 3:
                    wrong.append(f"of the models {batch}* only {sorted(names)} were stored")
                self.models.update(dict.fromkeys(names, True))
        return wrong
