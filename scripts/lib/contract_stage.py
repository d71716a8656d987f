"""A small graph that requests can hit, and what to put into a request so that it does.

Schemathesis makes requests from the contract's schemas alone; hardly one of them would name a twin that exists. So in
most requests some parts are replaced by ones known to the graph, the others stay as they were made.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

import requests
from schemathesis import Case

import contract_jobs

__all__ = ["Stage", "aim"]

VERSION: Final = "2023-10-31"
# Above the limit of every body but the models', and above that one; these are sent less often.
_TOO_LARGE: Final = 33 * 1024
_FOREIGN_TAG: Final = 'W/"6d8f2f1e-5f3f-4d6b-8f5e-2a9f3d0a1b2c"'
_MODELS_TOO_LARGE: Final = 16 * 1024 * 1024
_TIMEOUT: Final = 30


def _interface(name: str, *contents: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "@id": f"dtmi:contract:{name};1",
        "@type": "Interface",
        "@context": "dtmi:dtdl:context;3",
        "contents": list(contents),
        **more,
    }


def _property(name: str, schema: Any) -> dict[str, Any]:
    return {"@type": "Property", "name": name, "schema": schema}


_MAP: Final = {
    "@type": "Map",
    "mapKey": {"name": "key", "schema": "string"},
    "mapValue": {"name": "value", "schema": "double"},
}
_OBJECT: Final = {"@type": "Object", "fields": [{"name": "street", "schema": "string"}]}
MODELS: Final = [
    _interface("Engine", _property("speed", "double"), _property("label", "string")),
    _interface(
        "Room",
        _property("name", "string"),
        _property("temperature", "double"),
        _property("floor", "integer"),
        _property("open", "boolean"),
        _property("tags", _MAP),
        _property("address", _OBJECT),
        {"@type": "Component", "name": "engine", "schema": "dtmi:contract:Engine;1"},
        {"@type": "Relationship", "name": "near", "properties": [_property("since", "integer")]},
    ),
    _interface("Hall", extends="dtmi:contract:Room;1"),
    _interface("Spare"),
]
ROOM: Final = "dtmi:contract:Room;1"
# Ids that a path must carry encoded, and one that looks like SQL.
TWINS: Final = ("room1", "room2", "a b/ü;1", "x' OR '1'='1", "alone1", "alone2", "alone3")
RELATIONSHIPS: Final = ("r1", "r2", "r/3")
ENDPOINT: Final = "contract"
ROUTES: Final = tuple(f"route{number}" for number in range(8))  # two more than there may be


def _twin(rng: random.Random) -> dict[str, Any]:
    body: dict[str, Any] = {"$metadata": {"$model": rng.choice((ROOM, ROOM, "dtmi:contract:Hall;1"))}}
    values: dict[str, Any] = {
        "name": rng.choice(("n", "", "ü' \" \\ \u2028", "x" * 4096)),
        "temperature": rng.choice((21.5, -1e300, 0, 5e-324)),
        "floor": rng.randint(-(2**31), 2**31 - 1),
        "open": rng.random() < 0.5,
        "tags": {"red": 1.0, "1 odd.key": 2},
        "address": {"street": "s"},
    }
    body |= {name: value for name, value in values.items() if rng.random() < 0.6}
    body["engine"] = {"$metadata": {}, **({"speed": 3.5} if rng.random() < 0.5 else {})}
    return body


def _patch(rng: random.Random) -> list[dict[str, Any]]:
    known = (
        {"op": "add", "path": "/name", "value": "new"},
        {"op": "add", "path": "/temperature", "value": 20},
        {"op": "replace", "path": "/engine/speed", "value": 7.25},
        {"op": "add", "path": "/tags", "value": {"blue": 1}},
        {"op": "remove", "path": "/floor"},
        {"op": "replace", "path": "/$metadata/$model", "value": "dtmi:contract:Hall;1"},
        {"op": "add", "path": "/$metadata/name/sourceTime", "value": "2024-05-06T07:08:09Z"},
    )
    return rng.sample(known, rng.randint(0, 3))


def _component_patch(rng: random.Random) -> list[dict[str, Any]]:
    known = ({"op": "add", "path": "/speed", "value": 1}, {"op": "add", "path": "/label", "value": "l"})
    return rng.sample(known, rng.randint(0, 2))


def _relationship(rng: random.Random) -> dict[str, Any]:
    body: dict[str, Any] = {"$relationshipName": "near", "$targetId": rng.choice(TWINS)}
    return body | ({"since": rng.randint(0, 9)} if rng.random() < 0.5 else {})


def _models(rng: random.Random) -> list[dict[str, Any]]:
    number = rng.randrange(10**9)
    fresh = [_interface(f"New{number}x{n}", _property("p", "string")) for n in range(rng.randint(1, 3))]
    return [*fresh, rng.choice(MODELS)] if rng.random() < 0.2 else fresh  # one that is there already


_QUERIES: Final = (
    "SELECT * FROM DIGITALTWINS",
    "SELECT T FROM DIGITALTWINS T WHERE T.temperature > 20 AND IS_OF_MODEL(T, 'dtmi:contract:Room;1')",
    "SELECT COUNT() FROM RELATIONSHIPS",
    "SELECT TOP(1) $dtId, name FROM DIGITALTWINS WHERE IS_DEFINED(tags.red) OR NOT IS_NULL(engine.speed)",
    "SELECT * FROM RELATIONSHIPS WHERE $relationshipName = 'near' AND since IN [1, 2, 3]",
    "SELECT T.address.street AS s FROM DIGITALTWINS T WHERE T.$dtId = 'x\\' OR \\'1\\'=\\'1'",
    "SELECT A, B FROM DIGITALTWINS A JOIN B RELATED A.near R WHERE A.$dtId = 'room1' AND R.since > 1",
    "SELECT A, B FROM DIGITALTWINS MATCH (A)-[:near*1..2]->(B) WHERE A.$dtId = 'room1'",
)


def _query(rng: random.Random) -> dict[str, Any]:
    text = rng.choice(_QUERIES)
    if rng.random() < 0.3:  # a piece cut out, a piece put in: nearly a query
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(("", "'", "[[", ")", " NOT ", "\x00", "ü")) + text[at + rng.randint(0, 4) :]
    return {"query": text}


_FILTERS: Final = (
    "true",
    "type = 'Microsoft.DigitalTwins.Twin.Update' AND NOT subject = 'room1'",
    "$eventType = 'DigitalTwinTelemetryMessages' or STARTS_WITH($body.modelId, 'dtmi:contract:')",
    "$body.properties.temperature >= 21.5 AND ($body.name != null OR dataschema <> 'x')",
    "this is no filter",
    "id =",
)


def _route(rng: random.Random) -> dict[str, Any]:
    return {"endpointName": rng.choice((ENDPOINT, ENDPOINT, "none")), "filter": rng.choice(_FILTERS)}


_BODIES: Final[Mapping[str, Callable[[random.Random], Any]]] = {
    "Models_Add": _models,
    "Models_Update": lambda _: [{"op": "replace", "path": "/decommissioned", "value": True}],
    "Twins_Add": _twin,
    "Twins_Update": _patch,
    "Twins_UpdateComponent": _component_patch,
    "Twins_AddRelationship": _relationship,
    "Twins_UpdateRelationship": lambda rng: [{"op": "add", "path": "/since", "value": rng.randint(0, 9)}],
    "Query_Run": _query,
    "EventRoutes_Add": _route,
}
_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Models": (ROOM, "dtmi:contract:Hall;1", "dtmi:contract:Spare;1"),
    "Twins": TWINS,
    "EventRoutes": ROUTES,
    **contract_jobs.IDS,
}


def _encoded(identifier: str) -> str:
    return quote(identifier, safe="")


def aim(case: Case, rng: random.Random, stage: Stage) -> Case:
    """Replace parts of a request by ones that the graph knows: each part, most times."""
    name = str(case.operation.definition.raw["operationId"])
    kind = name.partition("_")[0]

    def hit() -> bool:
        return rng.random() < 0.85

    if "id" in case.path_parameters and hit():
        ids = TWINS[:2] if "relationshipId" in case.path_parameters else _IDS[kind]
        case.path_parameters["id"] = _encoded(rng.choice(ids))
    if "componentPath" in case.path_parameters and hit():
        case.path_parameters["componentPath"] = "engine"
    if "relationshipId" in case.path_parameters and hit():
        case.path_parameters["relationshipId"] = _encoded(rng.choice(RELATIONSHIPS))
    if "continuationToken" in case.query and hit():
        del case.query["continuationToken"]
    if "dependenciesFor" in case.query and hit():
        case.query["dependenciesFor"] = [ROOM]
    for header, value in (("If-Match", _FOREIGN_TAG), ("If-None-Match", "*")):
        if header in case.headers and hit():
            del case.headers[header]
        if header in {one.name for one in case.operation.headers} and rng.random() < 0.15:
            case.headers[header] = value
    if name in _BODIES and hit():
        case.body = _BODIES[name](rng)
    contract_jobs.aim(case, name, rng, stage.storage)
    of_models = name.startswith("Models_")
    if "413" in case.operation.definition.raw["responses"] and rng.random() < (0.015 if of_models else 0.04):
        case.body = ["x" * (_MODELS_TOO_LARGE if of_models else _TOO_LARGE)]
    return case


class Stage:
    """A server with the graph on it, and the storage that its jobs use."""

    def __init__(self, endpoint: str, storage: contract_jobs.Storage) -> None:
        self.endpoint = endpoint
        self.storage = storage
        self.session = requests.Session()

    def empty(self) -> None:
        """Remove everything, what is in progress included."""
        self.send("POST", "/_remhart/reset", None, 204)

    def prepare(self, name: str, number: int) -> int:
        """Put there what the requests of an operation need, for the `number`th time; after how many of them again."""
        if name.partition("_")[0] in contract_jobs.IDS:
            self.empty()
            return contract_jobs.prepare(self, busy=number % 2 == (name != "ImportJobs_Cancel"))
        if not number or name.startswith("Models_"):  # what is decommissioned stays so
            self.empty()
        if name.startswith("EventRoutes_"):
            self._routes()
            return 10
        self._graph()
        return 20

    def _routes(self) -> None:
        document = {"kind": "file", "path": str(self.storage.folder / "events.ndjson")}
        self.send("PUT", f"/_remhart/instances/local/endpoints/{ENDPOINT}", document, 200, 201)
        for route in ROUTES:
            self.send("DELETE", f"/eventroutes/{route}", None, 204, 404)
        for route in ROUTES[:4]:
            self.send("PUT", f"/eventroutes/{route}", {"endpointName": ENDPOINT, "filter": "true"}, 204, 400)

    def _graph(self) -> None:
        self.send("POST", "/models", MODELS, 201, 400, 409)
        for model in MODELS:  # one by one: some may be gone, in the order in which they need each other
            self.send("POST", "/models", [model], 201, 409)
        engine = {"$metadata": {}, "speed": 1.5, "label": "e"}
        for twin in TWINS:
            body = {"$metadata": {"$model": ROOM}, "name": "n", "temperature": 21.5, "floor": 2, "engine": engine}
            self.send("PUT", f"/digitaltwins/{_encoded(twin)}", body, 200)
        for number, relationship in enumerate(RELATIONSHIPS):
            for source in TWINS[:2]:
                body = {"$relationshipName": "near", "$targetId": TWINS[number + 1], "since": number}
                if body["$targetId"] != source:
                    path = f"/digitaltwins/{source}/relationships/{_encoded(relationship)}"
                    self.send("PUT", path, body, 200)

    def send(self, method: str, path: str, body: Any, *statuses: int, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON of an answer that has one of these statuses."""
        url = f"{self.endpoint}{path}?api-version={VERSION}"
        answer = self.session.request(method, url, json=body, headers=headers, timeout=_TIMEOUT)
        if answer.status_code not in statuses:
            raise RuntimeError(f"{method} {path} answered {answer.status_code}: {answer.text}")
        return answer.json() if answer.content else None
