"""Operations on models."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import orjson

from remhart_adt import limits
from remhart_adt.ids import is_dtmi
from remhart_adt.local.adt import errors, patch
from remhart_adt.local.adt.catalog import Model
from remhart_adt.local.adt.instance import Instance, json_body, json_response
from remhart_adt.local.adt.types import Request, Response

__all__ = ["decommission_model", "delete_model", "get_model", "list_models", "upload_models"]

_PAGE: Final = 100
_ROOTS: Final = 250
# No ontology comes near it: 250 models of 64 KB have some 300,000. Decoded, empty lists take fifty times their text.
_MAX_CONTAINERS: Final = 500_000


def upload_models(instance: Instance, request: Request) -> Response:
    """POST /models: all of the array or nothing; the answer has the records in request order, never the definitions."""
    if request.body.count(b"{") + request.body.count(b"[") > _MAX_CONTAINERS:
        what = f"A request has at most {_MAX_CONTAINERS} objects and arrays. Send the models in several requests."
        raise errors.AdtError(400, "LimitExceeded", what)
    body = json_body(request)
    if not isinstance(body, list) or not body or not all(isinstance(definition, dict) for definition in body):
        raise errors.invalid_argument(
            "Operation failed as models provided was empty or of a type that is not supported.. Check that your Model "
            "Array contains at least one item and it is of a supported type. See link(https://aka.ms/ADTv2Models) for "
            "details."
        )
    if len(body) > limits.ADT_MODELS_PER_CALL:
        raise errors.AdtError(
            400,
            "LimitExceeded",
            f"A request has at most {limits.ADT_MODELS_PER_CALL} models; this one has {len(body)}.",
        )
    if len(instance.catalog) + len(body) > instance.bounds.models:
        raise errors.AdtError(400, "LimitExceeded", f"An instance has at most {instance.bounds.models} models.")
    models = instance.catalog.upload(body, instance.ticker)
    return json_response(201, [model.record() for model in models])


def get_model(instance: Instance, request: Request, model_id: str) -> Response:
    """GET /models/{id}."""
    return json_response(200, _found(instance, model_id).record(definition=_definitions_asked(request)))


def _found(instance: Instance, model_id: str) -> Model:
    if not is_dtmi(model_id):
        raise errors.malformed_model_id(model_id)
    model = instance.catalog.get(model_id)
    if model is None:
        raise errors.model_not_found(model_id)
    return model


def _definitions_asked(request: Request) -> bool:
    return (request.param("includeModelDefinition") or "").lower() == "true"


def list_models(instance: Instance, request: Request) -> Response:
    """GET /models: pages in upload order; `dependenciesFor` (repeated) narrows to these models and all they need."""
    roots = request.params.get("dependenciesFor", [])
    if len(roots) > _ROOTS:
        raise errors.AdtError(400, "LimitExceeded", f"dependenciesFor takes at most {_ROOTS} model ids.")
    wanted = {_found(instance, root).id for root in roots}
    for root in roots:
        wanted.update(instance.catalog.models.dependencies(root))
    after = _after(request.param("continuationToken"))
    size = _page_size(request)
    models = [model for model in instance.catalog.all() if model.n > after and (not roots or model.id in wanted)]
    definitions = _definitions_asked(request)
    link = None
    if len(models) > size:
        models = models[:size]
        token = quote(orjson.dumps([{"token": f"+RID:~{models[-1].n}"}]).decode(), safe="")
        kept = "".join(f"dependenciesFor={quote(root, safe='')}&" for root in roots)
        link = (
            f"{request.base}/Models?{kept}includeModelDefinition={definitions}&continuationToken={token}"
            f"&api-version={request.api_version}"
        )
    return json_response(200, {"value": [model.record(definition=definitions) for model in models], "nextLink": link})


def _page_size(request: Request) -> int:
    given = request.header(b"max-items-per-page")
    if given is None or not given.isascii() or not given.isdigit():
        return _PAGE
    return min(max(int(given[:9]), 1), _PAGE)


def _after(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(orjson.loads(token)[0]["token"].removeprefix("+RID:~"))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise errors.bad_request("The continuation token is not valid.") from None


def decommission_model(instance: Instance, request: Request, model_id: str) -> Response:
    """PATCH /models/{id}: only `/decommissioned` to true; again is no error."""
    ops = patch.parse_ops(request.body)
    model = _found(instance, model_id)
    for op in ops:
        if op.path != "/decommissioned" or op.op == "remove":
            raise errors.json_patch_invalid(f"{op.path} cannot be patched.")
        value: Any = op.value
        if value is not True:
            raise errors.json_patch_invalid("/decommissioned can only be set to true.")
    if ops:
        instance.catalog.decommission(model)
    return Response(204)


def delete_model(instance: Instance, _request: Request, model_id: str) -> Response:
    """DELETE /models/{id}: refused while another model extends it or has it as component; twins do not matter."""
    instance.catalog.delete(_found(instance, model_id))
    return Response(204)
