"""What both faces share: every verb as a `Call` (data, no I/O), and the translation of the SDK's failures.

The synchronous and the asynchronous client of azure-digitaltwins-core have the same methods. A verb is therefore
described once here, as the SDK method, its arguments and what it counts as, and each face only knows how to run one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final
from uuid import uuid4

from remhart_adt import __version__
from remhart_adt.client.answers import error_from_answer, unreachable
from remhart_adt.client.credential import Endpoint, no_identity
from remhart_adt.client.patch import Patch
from remhart_adt.client.throttle import Kind
from remhart_adt.clock import SYSTEM, format_us
from remhart_adt.errors import ServiceError

__all__ = ["Call", "ModelRecord", "record_of", "sdk_options", "translate"]

USER_AGENT: Final = f"remhart-adt/{__version__}"


@dataclass(frozen=True, slots=True)
class Call:
    """One verb with its arguments: which SDK method, what it counts as, what it is about."""

    method: str
    args: tuple[Any, ...]
    where: str
    kind: Kind
    twin: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    # A repeated DELETE may find that its first attempt, whose answer was lost, has done the work.
    gone_is_done: bool = False


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model as the service lists it; `definition` only when it was asked for."""

    id: str
    display_name: Mapping[str, str]
    description: Mapping[str, str]
    decommissioned: bool
    uploaded: str
    definition: Mapping[str, Any] | None


def record_of(data: Any) -> ModelRecord:
    """A `ModelRecord` from the SDK's own class."""
    uploaded = data.upload_time.isoformat() if data.upload_time is not None else ""
    return ModelRecord(
        data.id, data.display_name or {}, data.description or {}, bool(data.decommissioned), uploaded, data.model
    )


def incoming_row(row: Any) -> dict[str, Any]:
    """An incoming relationship as a plain document."""
    return {
        "$relationshipId": row.relationship_id,
        "$sourceId": row.source_id,
        "$relationshipName": row.relationship_name,
    }


# --- the verbs --------------------------------------------------------------------------------------------------------


def list_models(include_definition: bool, dependencies_for: Sequence[str] | None) -> Call:
    options = {"include_model_definition": include_definition}
    return Call("list_models", (list(dependencies_for or ()) or None,), "models list", Kind.MODELS, options=options)


def get_model(model_id: str, include_definition: bool) -> Call:
    options = {"include_model_definition": include_definition}
    return Call("get_model", (model_id,), f"model {model_id}", Kind.MODELS, options=options)


def create_models(models: Sequence[Mapping[str, Any]]) -> Call:
    where = f"upload of {len(models)} model{'s' if len(models) != 1 else ''}"
    return Call("create_models", (list(models),), where, Kind.MODELS)


def delete_model(model_id: str) -> Call:
    return Call("delete_model", (model_id,), f"model {model_id}", Kind.MODELS, gone_is_done=True)


def decommission_model(model_id: str) -> Call:
    return Call("decommission_model", (model_id,), f"model {model_id}", Kind.MODELS)


def get_twin(twin: str) -> Call:
    return Call("get_digital_twin", (twin,), f"twin {twin}", Kind.READ)


def put_twin(twin: str, document: Mapping[str, Any], only_new: bool) -> Call:
    return Call(
        "upsert_digital_twin", (twin, dict(document)), f"twin {twin}", Kind.CREATE, twin, options=_if_missing(only_new)
    )


def patch_twin(twin: str, patch: Patch | bytes | Sequence[Mapping[str, Any]], etag: str | None) -> Call:
    options = {**_if_match(etag), "cls": _new_etag}
    return Call("update_digital_twin", (twin, _wire(patch)), f"twin {twin}", Kind.PATCH, twin, options=options)


def delete_twin(twin: str, etag: str | None) -> Call:
    options = _if_match(etag)
    return Call("delete_digital_twin", (twin,), f"twin {twin}", Kind.CREATE, twin, options=options, gone_is_done=True)


def get_component(twin: str, name: str) -> Call:
    return Call("get_component", (twin, name), f"component {name} of twin {twin}", Kind.READ)


def patch_component(twin: str, name: str, patch: Patch | bytes | Sequence[Mapping[str, Any]], etag: str | None) -> Call:
    options = {**_if_match(etag), "cls": _new_etag}
    where = f"component {name} of twin {twin}"
    return Call("update_component", (twin, name, _wire(patch)), where, Kind.PATCH, twin, options=options)


def list_relationships(twin: str, name: str | None) -> Call:
    # The SDK calls this parameter relationship_id and sends it as relationshipName, which is the filter there is.
    return Call("list_relationships", (twin, name), f"relationships of twin {twin}", Kind.READ)


def list_incoming(twin: str) -> Call:
    return Call("list_incoming_relationships", (twin,), f"incoming relationships of twin {twin}", Kind.READ)


def get_relationship(twin: str, relationship: str) -> Call:
    return Call("get_relationship", (twin, relationship), _rel(twin, relationship), Kind.READ)


def put_relationship(twin: str, relationship: str, document: Mapping[str, Any], only_new: bool) -> Call:
    where = _rel(twin, relationship)
    args = (twin, relationship, dict(document))
    return Call("upsert_relationship", args, where, Kind.CREATE, twin, options=_if_missing(only_new))


def patch_relationship(
    twin: str, relationship: str, patch: Patch | bytes | Sequence[Mapping[str, Any]], etag: str | None
) -> Call:
    options = {**_if_match(etag), "cls": _new_etag}
    args = (twin, relationship, _wire(patch))
    return Call("update_relationship", args, _rel(twin, relationship), Kind.PATCH, twin, options=options)


def delete_relationship(twin: str, relationship: str, etag: str | None) -> Call:
    where, options = _rel(twin, relationship), _if_match(etag)
    args = (twin, relationship)
    return Call("delete_relationship", args, where, Kind.CREATE, twin, options=options, gone_is_done=True)


def publish(twin: str, body: Any, component: str | None, message_id: str | None, source_time: str | None) -> Call:
    # The generated layer below the SDK's public face: the public one fixes the source time to "now".
    message = message_id or str(uuid4())
    when = source_time or format_us(SYSTEM.now_us())
    if component is None:
        args: tuple[Any, ...] = (twin, message, body)
        return Call(
            "_client.digital_twins.send_telemetry",
            args,
            f"telemetry of twin {twin}",
            Kind.TELEMETRY,
            options={"telemetry_source_time": when},
        )
    where = f"telemetry of component {component} of twin {twin}"
    args = (twin, component, message, body)
    method = "_client.digital_twins.send_component_telemetry"
    return Call(method, args, where, Kind.TELEMETRY, options={"telemetry_source_time": when})


def query(text: str, page_size: int | None) -> Call:
    options = {"headers": {"max-items-per-page": str(page_size)}} if page_size else {}
    return Call("query_twins", (text,), "query", Kind.QUERY, options=options)


def _rel(twin: str, relationship: str) -> str:
    return f"relationship {relationship} of twin {twin}"


def _wire(patch: Patch | bytes | Sequence[Mapping[str, Any]]) -> list[Any]:
    # The SDK takes operations and dumps them itself, NaN included, and turns a dict (a common slip) into a list of its
    # keys; both would come back as a riddle.
    if isinstance(patch, Patch):
        bytes(patch)  # raises for NaN and infinity
        return patch.operations()
    ops = json.loads(patch) if isinstance(patch, bytes) else patch
    if isinstance(ops, Mapping) or not all(isinstance(op, Mapping) for op in ops):
        raise TypeError("a patch is a list of operations")
    json.dumps(ops, allow_nan=False)
    return list(ops)


def _if_match(etag: str | None) -> dict[str, Any]:
    from azure.core import MatchConditions

    return {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}


def _if_missing(only_new: bool) -> dict[str, Any]:
    from azure.core import MatchConditions

    return {"match_condition": MatchConditions.IfMissing} if only_new else {}


def _new_etag(_response: Any, _body: Any, headers: Mapping[str, str]) -> str:
    return headers.get("ETag") or ""


def method_of(sdk: Any, call: Call) -> Callable[..., Any]:
    """The SDK client's method that a call names."""
    found: Callable[..., Any] = reduce(getattr, call.method.split("."), sdk)
    return found


# --- the SDK ----------------------------------------------------------------------------------------------------------


def sdk_options(endpoint: Endpoint, timeout: float) -> dict[str, Any]:
    """Keyword arguments for the SDK's client: no retries of its own, our time limits, no token on loopback."""
    options: dict[str, Any] = {
        "retry_total": 0,
        "connection_timeout": timeout,
        "read_timeout": timeout,
        "user_agent": USER_AGENT,
        "logging_enable": False,
    }
    if endpoint.loopback:
        from azure.core.pipeline.policies import SansIOHTTPPolicy

        class _LocalPolicy(SansIOHTTPPolicy):  # type: ignore[misc]  # untyped base
            def on_request(self, request: Any) -> None:
                request.http_request.headers["Authorization"] = "Bearer local"

        options["authentication_policy"] = _LocalPolicy()
    return options


def translate(error: Exception, where: str) -> ServiceError | None:
    """Our error for one of the SDK's, or None when it is not the SDK's (then it is a defect and stays as it is)."""
    from azure.core import exceptions as sdk

    if isinstance(error, sdk.IncompleteReadError | sdk.ServiceRequestError | sdk.ServiceResponseError):
        return unreachable(f"no whole answer: {str(error.message)[:300]}", where=where)
    if isinstance(error, sdk.DecodeError) and (error.status_code or 200) < 400:  # a proxy's 502 may be a web page
        return ServiceError(
            "the answer is not JSON",
            where=where,
            code="NotJson",
            remedy="Check that the endpoint is an Azure Digital Twins instance",
        )
    if isinstance(error, sdk.HttpResponseError) and error.response is not None:
        return error_from_answer(error.status_code or 0, error.response.headers, _body_of(error), where=where)
    if isinstance(error, sdk.ClientAuthenticationError):
        return no_identity(error)
    if isinstance(error, sdk.AzureError):
        return ServiceError(str(error.message)[:300], where=where, code=type(error).__name__)
    return None


def _body_of(error: Any) -> bytes:
    response = error.response
    try:
        content = response.content if hasattr(response, "content") else response.body()
    except Exception:
        # The body was never read (a stream that broke off); the status still says enough.
        return b""
    return bytes(content)
