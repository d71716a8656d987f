"""Operations on twins, their components and their telemetry."""

from __future__ import annotations

from typing import Any, Final

import orjson

from remhart_adt.local.adt import documents, errors, patch
from remhart_adt.local.adt.instance import (
    Instance,
    check_if_match,
    creates_only,
    found_twin,
    json_body,
    json_response,
)
from remhart_adt.local.adt.ticks import twin_time
from remhart_adt.local.adt.types import Request, Response, Twin

__all__ = [
    "delete_twin",
    "get_component",
    "get_twin",
    "patch_component",
    "patch_twin",
    "publish_component_telemetry",
    "publish_telemetry",
    "put_twin",
]

_MAX_ID: Final = 128


def get_twin(instance: Instance, request: Request, twin_id: str) -> Response:
    """GET /digitaltwins/{id}."""
    return _answer(request, found_twin(instance, twin_id))


def _answer(request: Request, twin: Twin) -> Response:
    body = twin.raw if request.shows_update_times else orjson.dumps(documents.without_update_times(twin.doc))
    return Response(200, body, twin.etag)


def put_twin(instance: Instance, request: Request, twin_id: str) -> Response:
    """PUT /digitaltwins/{id}: create, or replace as a whole; 200 for both."""
    body = json_body(request)
    if not isinstance(body, dict):
        raise errors.invalid_argument("Payload is invalid.")
    if not 0 < len(twin_id) <= _MAX_ID:
        raise errors.invalid_argument(f"A twin id has 1 to {_MAX_ID} characters.")
    if creates_only(request) and instance.store.has_twin(twin_id):
        raise errors.if_none_match("twin", twin_id)
    metadata = body.get("$metadata")
    model = metadata.get("$model") if isinstance(metadata, dict) else None
    if not isinstance(model, str):
        raise errors.invalid_twin(["$metadata.$model is required on Twin."])
    catalog = instance.catalog
    fresh = not instance.store.has_twin(twin_id)
    if fresh and catalog.knows(model) and catalog.is_decommissioned(model):
        raise errors.model_decommissioned(model)
    problems = catalog.check_twin(model, body)
    if problems:
        raise errors.invalid_twin(problems)
    if fresh:
        instance.bounds.check_new_twin(instance.store)
    now = twin_time(instance.ticker.next())
    doc = documents.put_twin(twin_id, model, body, catalog.components(model), request.chance.etag(), now)
    previous = instance.store.twin(twin_id) if instance.events.active else None
    twin = _store(instance, twin_id, model, doc)
    if instance.events.active:
        instance.events.twin_put(request, previous, twin)
    return _answer(request, twin)


def patch_twin(instance: Instance, request: Request, twin_id: str) -> Response:
    """PATCH /digitaltwins/{id}."""
    return _patch(instance, request, twin_id, None)


def patch_component(instance: Instance, request: Request, twin_id: str, component: str) -> Response:
    """PATCH /digitaltwins/{id}/components/{name}: a patch of the twin below that name.

    So a component that the twin does not have is a path that was not found: 400, not 404.
    """
    return _patch(instance, request, twin_id, component)


def _patch(instance: Instance, request: Request, twin_id: str, component: str | None) -> Response:
    try:
        ops = patch.parse_ops(request.body)
    except patch.PatchBindingError as error:
        if component is None:
            error.errors["jsonPatchDocument"] = ["The jsonPatchDocument field is required."]
        raise
    twin = found_twin(instance, twin_id)
    check_if_match(request, twin.etag)
    if component is not None:
        ops = patch.prefixed(ops, component)
    catalog = instance.catalog
    lost = errors.op_path_not_found if request.shows_update_times else errors.op_path_not_resolved
    applied = patch.apply(twin.doc, ops, catalog.components(twin.model), lost)
    if applied.source_times and not request.shows_update_times:
        raise errors.json_patch_invalid(f"sourceTime is not known to api-version {request.api_version}.")
    model = applied.model or twin.model
    problems = catalog.check_patched(model, applied, whole=model != twin.model)
    if problems:
        raise errors.invalid_twin(problems)
    now = twin_time(instance.ticker.next())
    doc = documents.patched_twin(twin.doc, applied, model, catalog.components(model), request.chance.etag(), now)
    stored = _store(instance, twin_id, model, doc)
    if instance.events.active:
        instance.events.twin_patched(request, stored, ops)
    return Response(204, None, stored.etag)


def _store(instance: Instance, twin_id: str, model: str, doc: dict[str, Any]) -> Twin:
    raw = orjson.dumps(doc)
    problems = instance.catalog.check_size(doc, len(raw))
    if problems:
        raise errors.invalid_twin(problems)
    twin = instance.store.put_twin(twin_id, model, doc, raw)
    instance.lag.changed("twins", twin.n, (twin.n, twin_id, model, twin.etag, twin.raw))
    return twin


def delete_twin(instance: Instance, request: Request, twin_id: str) -> Response:
    """DELETE /digitaltwins/{id}: refused while any relationship leaves or reaches the twin."""
    twin = found_twin(instance, twin_id)
    check_if_match(request, twin.etag)
    if instance.store.has_relationships(twin_id):
        raise errors.relationships_not_deleted(twin_id)
    instance.store.delete_twin(twin_id)
    instance.lag.changed("twins", twin.n, None)
    if instance.events.active:
        instance.events.twin_deleted(request, twin)
    return Response(204)


def get_component(instance: Instance, request: Request, twin_id: str, component: str) -> Response:
    """GET /digitaltwins/{id}/components/{name}; the entity tag is the twin's."""
    twin = found_twin(instance, twin_id)
    shown = documents.component_view(_component(twin, component), update_times=request.shows_update_times)
    return json_response(200, shown, etag=twin.etag)


def _component(twin: Twin, name: str) -> dict[str, Any]:
    held = twin.doc.get(name)
    if not isinstance(held, dict) or "$metadata" not in held or name[:1] == "$":
        raise errors.component_not_found(twin.id, name)
    return held


def publish_telemetry(instance: Instance, request: Request, twin_id: str) -> Response:
    """POST /digitaltwins/{id}/telemetry: the payload is not checked against the model, nor stored."""
    return _publish(instance, request, twin_id, None)


def _publish(instance: Instance, request: Request, twin_id: str, component: str | None) -> Response:
    twin = found_twin(instance, twin_id)
    if component is not None:
        _component(twin, component)
    json_body(request)
    if instance.events.active:
        instance.events.telemetry(request, twin, component)
    return Response(204)


def publish_component_telemetry(instance: Instance, request: Request, twin_id: str, component: str) -> Response:
    """POST /digitaltwins/{id}/components/{name}/telemetry: the twin has the component, the payload is not checked."""
    return _publish(instance, request, twin_id, component)
