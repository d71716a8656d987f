"""Operations on relationships."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import orjson

from remhart_adt import limits
from remhart_adt.local.adt import documents, errors, patch
from remhart_adt.local.adt.instance import Instance, check_if_match, creates_only, found_twin, json_body
from remhart_adt.local.adt.types import Relationship, Request, Response

__all__ = [
    "delete_relationship",
    "get_relationship",
    "list_incoming",
    "list_relationships",
    "patch_relationship",
    "put_relationship",
]

_PAGE: Final = 10
_MAX_ID: Final = 128


def _found(instance: Instance, source: str, relationship_id: str) -> Relationship:
    found_twin(instance, source)
    relationship = instance.store.relationship(source, relationship_id)
    if relationship is None:
        raise errors.relationship_not_found(source, relationship_id)
    return relationship


def get_relationship(instance: Instance, _request: Request, source: str, relationship_id: str) -> Response:
    """GET /digitaltwins/{id}/relationships/{rid}."""
    found = _found(instance, source, relationship_id)
    return Response(200, found.raw, found.etag)


def put_relationship(instance: Instance, request: Request, source: str, relationship_id: str) -> Response:
    """PUT /digitaltwins/{id}/relationships/{rid}: create, or replace as a whole."""
    body = json_body(request)
    if not isinstance(body, dict):
        raise errors.invalid_argument("Could not deserialize relationship create body.")
    if not 0 < len(relationship_id) <= _MAX_ID:
        raise errors.invalid_argument(f"A relationship id has 1 to {_MAX_ID} characters.")
    name, target = body.get("$relationshipName"), body.get("$targetId")
    if not isinstance(name, str) or not name or not isinstance(target, str) or not target:
        raise errors.invalid_argument("Could not deserialize relationship create body.")
    twin = found_twin(instance, source)
    previous = instance.store.relationship(source, relationship_id)
    if creates_only(request) and previous is not None:
        raise errors.if_none_match("relationship", relationship_id)
    target_model = instance.store.twin_model(target)
    if target_model is None:
        raise errors.target_not_found()
    if source == target:
        raise errors.AdtError(400, "OperationNotAllowed", "A relationship cannot connect to the same digital twin.")
    properties = {key: value for key, value in body.items() if key[:1] != "$"}
    instance.catalog.check_relationship(twin.model, name, properties, target_model)
    if previous is None:
        instance.bounds.check_new_relationship(instance.store, source, target)
    doc = documents.put_relationship(source, relationship_id, name, target, properties, request.chance.etag())
    stored = _store(instance, source, relationship_id, name, target, doc)
    if instance.events.active:
        instance.events.relationship_put(request, previous, stored, twin.model)
    return Response(200, stored.raw, stored.etag)


def patch_relationship(instance: Instance, request: Request, source: str, relationship_id: str) -> Response:
    """PATCH /digitaltwins/{id}/relationships/{rid}: only its properties; an empty patch renews the entity tag, too."""
    ops = patch.parse_ops(request.body)
    found = _found(instance, source, relationship_id)
    check_if_match(request, found.etag)
    for op in ops:
        if op.names[0][:1] == "$":
            raise errors.json_patch_invalid(f"{op.path} cannot be patched.")
    doc = patch.apply(found.doc, ops, None).root
    doc["$etag"] = request.chance.etag()
    properties = {key: value for key, value in doc.items() if key[:1] != "$"}
    source_model = instance.store.twin_model(source) or ""
    target_model = instance.store.twin_model(found.target)
    instance.catalog.check_relationship(source_model, found.name, properties, target_model)
    size = len(orjson.dumps(doc))  # patches may add to a map again and again
    if size > limits.ADT_TWIN_BYTES:
        raise errors.invalid_relationship([f"The relationship has {size} bytes, more than {limits.ADT_TWIN_BYTES}."])
    stored = _store(instance, source, relationship_id, found.name, found.target, doc)
    if instance.events.active:
        instance.events.relationship_patched(request, stored, source_model, ops)
    return Response(204, None, stored.etag)


def _store(
    instance: Instance, source: str, relationship_id: str, name: str, target: str, doc: dict[str, Any]
) -> Relationship:
    stored = instance.store.put_relationship(source, relationship_id, name, target, doc)
    row = (stored.n, relationship_id, source, name, target, stored.etag, stored.raw)
    instance.lag.changed("relationships", stored.n, row)
    return stored


def delete_relationship(instance: Instance, request: Request, source: str, relationship_id: str) -> Response:
    """DELETE /digitaltwins/{id}/relationships/{rid}."""
    found = _found(instance, source, relationship_id)
    check_if_match(request, found.etag)
    instance.store.delete_relationship(source, relationship_id)
    instance.lag.changed("relationships", found.n, None)
    if instance.events.active:
        instance.events.relationship_deleted(request, found)
    return Response(204)


def list_relationships(instance: Instance, request: Request, source: str) -> Response:
    """GET /digitaltwins/{id}/relationships: pages of ten in order of id; nextLink stands before value."""
    found_twin(instance, source)
    name = request.param("relationshipName")
    token = request.param("continuationToken")
    after = ""
    if token is not None:
        if not token.endswith(f"_{source}"):
            raise errors.bad_request("The continuation token is not valid.")
        after = token[: -len(source) - 1]
    docs = instance.store.outgoing(source, name=name, after=after, limit=_PAGE + 1)
    link = None
    if len(docs) > _PAGE:
        docs = docs[:_PAGE]
        last = orjson.loads(docs[-1])["$relationshipId"]
        kept = f"relationshipName={quote(name, safe='')}&" if name is not None else ""
        link = (
            f"{request.base}/digitaltwins/{quote(source, safe='')}/relationships?{kept}"
            f"continuationToken={quote(f'{last}_{source}', safe='')}&api-version={request.api_version}"
        )
    return _page(link, docs)


def list_incoming(instance: Instance, request: Request, target: str) -> Response:
    """GET /digitaltwins/{id}/incomingrelationships: references only, without properties or entity tag."""
    found_twin(instance, target)
    token = request.param("continuationToken")
    after = ("", "") if token is None else _incoming_after(token)
    rows = instance.store.incoming(target, after=after, limit=_PAGE + 1)
    link = None
    if len(rows) > _PAGE:
        rows = rows[:_PAGE]
        again = quote(_incoming_token(*rows[-1][:2]), safe="")
        link = (
            f"{request.base}/digitaltwins/{quote(target, safe='')}/incomingrelationships?"
            f"continuationToken={again}&api-version={request.api_version}"
        )
    docs = [
        orjson.dumps(
            {
                "$relationshipId": relationship_id,
                "$sourceId": source,
                "$relationshipName": name,
                "$relationshipLink": f"{request.base}/digitaltwins/{quote(source, safe='')}/relationships/"
                f"{quote(relationship_id, safe='')}?api-version={request.api_version}",
            }
        )
        for relationship_id, source, name in rows
    ]
    return _page(link, docs)


def _incoming_token(relationship_id: str, source: str) -> str:
    """As recorded: both ids around an underscore. When they hold one themselves, the first id's length comes first."""
    token = f"{relationship_id}_{source}"
    return token if token.count("_") == 1 else f"{len(relationship_id)}_{token}"


def _incoming_after(token: str) -> tuple[str, str]:
    first, found, rest = token.partition("_")
    if "_" not in rest:
        if found:
            return first, rest
    elif first.isascii() and first.isdigit() and len(first) < 6 and rest[int(first) : int(first) + 1] == "_":
        return rest[: int(first)], rest[int(first) + 1 :]
    raise errors.bad_request("The continuation token is not valid.")


def _page(link: str | None, docs: list[bytes]) -> Response:
    return Response(200, b'{"nextLink":%b,"value":[%b]}' % (orjson.dumps(link), b",".join(docs)))
