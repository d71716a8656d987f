"""The service's refusals, worded as it words them.

Texts marked (recorded) were seen on the wire; the rest follow their pattern and are listed in docs/fidelity.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from remhart_adt.local.adt.types import AdtError, Detail

__all__ = [
    "AdtError",
    "bad_request",
    "component_not_found",
    "etag_mismatch",
    "if_none_match",
    "invalid_argument",
    "invalid_if_match",
    "invalid_if_none_match",
    "invalid_relationship",
    "invalid_twin",
    "json_patch_invalid",
    "malformed_model_id",
    "model_decommissioned",
    "model_exists",
    "model_not_found",
    "model_parse_error",
    "model_referenced",
    "model_references_active",
    "model_version_not_supported",
    "not_implemented",
    "op_path_not_found",
    "op_path_not_resolved",
    "property_not_set",
    "relationship_misfit",
    "relationship_not_found",
    "relationships_not_deleted",
    "remove_not_found",
    "sql_query_error",
    "target_not_found",
    "too_large",
    "twin_not_found",
]

_PATCH_TAIL = (
    "Please provide a valid patch document. See section on update apis in the documentation https://aka.ms/adtv2twins."
)


def bad_request(message: str) -> AdtError:
    """400 BadRequest: an empty body (recorded), a continuation token that is not ours."""
    return AdtError(400, "BadRequest", message)


def invalid_argument(message: str) -> AdtError:
    """400 InvalidArgument."""
    return AdtError(400, "InvalidArgument", message)


def too_large(limit: int) -> AdtError:
    """413 for a body above the published size."""
    return AdtError(413, "RequestEntityTooLarge", f"The request body is larger than the limit of {limit} bytes.")


def not_implemented(what: str) -> AdtError:
    """501 for what this server knows of and does not do."""
    return AdtError(501, "NotImplemented", f"{what} is not implemented by this local server.")


def twin_not_found(twin_id: str) -> AdtError:
    """404 DigitalTwinNotFound (recorded)."""
    return AdtError(
        404,
        "DigitalTwinNotFound",
        f"There is no digital twin instance that exists with the ID {twin_id}. Please verify that the twin id is "
        "valid and ensure that the twin is not deleted. See section on querying the twins https://aka.ms/adtv2query.",
    )


def target_not_found() -> AdtError:
    """404 TargetDigitalTwinNotFound (recorded)."""
    return AdtError(
        404,
        "TargetDigitalTwinNotFound",
        "The target digital twin is invalid or does not exist. Please validate that the target twin is valid and "
        "ensure that the target twin is not deleted. See section on querying the twins https://aka.ms/adtv2query .",
    )


def component_not_found(twin_id: str, component: str) -> AdtError:
    """404 ComponentNotFound (recorded, without a full stop after the name)."""
    return AdtError(
        404,
        "ComponentNotFound",
        f"{twin_id} does not have component {component} Please verify that the component path is correct. You can get "
        "components by getting the twin, See example https://aka.ms/TwinGetSwSmpl.",
    )


def relationship_not_found(twin_id: str, relationship_id: str) -> AdtError:
    """404 RelationshipNotFound (recorded)."""
    return AdtError(
        404,
        "RelationshipNotFound",
        f"Relationship {relationship_id} not found on twin {twin_id}. Please verify that the relationship id is valid "
        "and ensure that the relationship is not deleted. See section on listing relationships in the documentation "
        "https://aka.ms/adtv2twins.",
    )


def relationships_not_deleted(twin_id: str) -> AdtError:
    """400 RelationshipsNotDeleted (recorded)."""
    return AdtError(
        400,
        "RelationshipsNotDeleted",
        f"Twin {twin_id} has active relationships. Cannot delete a twin unless all the relationships are deleted. "
        "Please ensure that the active relationships on the twin are deleted. See section on retrieving relationships "
        "https://aka.ms/adtv2twins.",
    )


def relationship_misfit() -> AdtError:
    """400 InvalidRelationship: the source's model does not declare it, or not to such a target (text reported)."""
    return AdtError(
        400,
        "InvalidRelationship",
        "Twin relationship does not align with the model. Please ensure that the relationship is in alignment with the "
        "model. See section on listing models https://aka.ms/adtv2models.",
    )


def if_none_match(kind: str, identifier: str) -> AdtError:
    """412 for If-None-Match: * on something that exists (recorded for twins and relationships)."""
    what = "twin" if kind == "twin" else "relationship"
    return AdtError(
        412,
        "PreconditionFailed",
        f"If-None-Match: * header was specified but a {what} with the id {identifier} was found. Please specify a "
        f"different {what} id.",
    )


def etag_mismatch(given: str) -> AdtError:
    """412 for If-Match (recorded)."""
    return AdtError(
        412,
        "PreconditionFailed",
        f"The provided etag {given} doesn't match the current etag for the resource. Please obtain and provide the "
        "latest etag by getting the resource. See section on get apis in the documentation https://aka.ms/adtv2twins.",
    )


def invalid_if_match() -> AdtError:
    """400 for an If-Match that holds no entity tags (recorded)."""
    return invalid_argument("Invalid If-Match header value. Allowed value(s): If-Match: {etag} or If-Match: *")


def invalid_if_none_match() -> AdtError:
    """400 for an If-None-Match other than `*` (recorded)."""
    return invalid_argument("Invalid If-None-Match header value. Allowed value(s): If-None-Match: *")


def invalid_twin(messages: Iterable[str]) -> AdtError:
    """400 ValidationFailed with one detail for each fault (envelope recorded)."""
    details = tuple(Detail("ValidationFailed", message) for message in messages)
    return AdtError(400, "ValidationFailed", "Invalid twin specified", details)


def invalid_relationship(messages: Iterable[str]) -> AdtError:
    """400 ValidationFailed for a relationship's properties, in the twins' envelope."""
    details = tuple(Detail("ValidationFailed", message) for message in messages)
    return AdtError(400, "ValidationFailed", "Invalid relationship specified", details)


def json_patch_invalid(what: str) -> AdtError:
    """400 JsonPatchInvalid: `what` ends with a full stop (frame recorded)."""
    return AdtError(400, "JsonPatchInvalid", f"{what} {_PATCH_TAIL}")


def op_path_not_found(path: str) -> AdtError:
    """An operation below a component or object that is not there (recorded with 2022-05-31)."""
    return json_patch_invalid(f"{path} was not found.")


def op_path_not_resolved(path: str) -> AdtError:
    """The same, as recorded with 2020-10-31."""
    return json_patch_invalid(f"Could not resolve path {path}.")


def property_not_set(name: str) -> AdtError:
    """`replace` of a twin's or component's property that has no value (reported by several users)."""
    return json_patch_invalid(f"{name} does not exist on component.")


def remove_not_found(segment: str) -> AdtError:
    """`remove` of what is not there, and any such operation on a relationship (recorded)."""
    return json_patch_invalid(f"The target location specified by path segment '{segment}' was not found.")


def model_not_found(model_id: str) -> AdtError:
    """404 ModelNotFound (recorded)."""
    return AdtError(
        404,
        "ModelNotFound",
        f"There is no Model(s) available that matches the provided id(s) {model_id}. Check that the Model ID provided "
        "is valid by doing a Model_List API call.",
    )


def malformed_model_id(model_id: str) -> AdtError:
    """400 InvalidArgument for an id that is no DTMI (recorded)."""
    return invalid_argument(
        f"The format of the Model ID {model_id} provided is not supported. See model "
        "documentation(https://aka.ms/ADTv2Models) for supported format."
    )


def model_exists(model_ids: Iterable[str]) -> AdtError:
    """409 ModelIdAlreadyExists (recorded for one id)."""
    return AdtError(
        409,
        "ModelIdAlreadyExists",
        f"Some of the model ids already exist: {', '.join(model_ids)}. Use Model_List API to view models that already "
        "exist. See the Swagger example (https://aka.ms/ModelListSwSmpl).",
    )


def model_parse_error(middle: str) -> AdtError:
    """400 DTDLParserError (frame recorded; its doubled full stop is the service's)."""
    return AdtError(
        400,
        "DTDLParserError",
        "None of the models in this request could be created due to a problem with one or more models: "
        f"{middle}. See model documentation(https://aka.ms/ADTv2Models) for supported format.",
    )


def model_version_not_supported(message: str) -> AdtError:
    """400 ModelVersionNotSupported: a DTDL version that the service does not take."""
    return AdtError(400, "ModelVersionNotSupported", message)


def model_referenced(by: Iterable[str]) -> AdtError:
    """409 ModelReferencesNotDeleted (recorded for one reference)."""
    return AdtError(
        409,
        "ModelReferencesNotDeleted",
        f"This model is currently being referenced by {', '.join(by)}. You must delete these references before "
        "deleting the Model.. To delete references, do Delete Model on Ids provided above.",
    )


def model_references_active(by: Iterable[str]) -> AdtError:
    """409 ModelReferencesNotDecommissioned."""
    return AdtError(
        409,
        "ModelReferencesNotDecommissioned",
        f"This model is currently being referenced by {', '.join(by)}. You must decommission these references before "
        "decommissioning the Model.",
    )


def model_decommissioned(model_id: str) -> AdtError:
    """400 ModelDecommissioned."""
    return AdtError(
        400, "ModelDecommissioned", f"The model {model_id} is decommissioned. No new twin can be created from it."
    )


def sql_query_error(line: int, column: int, message: str) -> AdtError:
    """400 SqlQueryError (frame recorded)."""
    return AdtError(
        400,
        "SqlQueryError",
        f"SQL query parse failed: SQL Parser Error, Line={line}, Position={column}, Message={message} See samples in "
        "https://aka.ms/adtv2query for the correct syntax.",
    )
