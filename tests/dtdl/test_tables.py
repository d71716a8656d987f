"""Our tables of the language against the digest of the official parser: words, types, their properties and elements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.dtdl.tables.extensions import Extension, find_extension, known_versions, language
from remhart_adt.dtdl.tables.metamodel import ABSTRACT, PRIMITIVES
from remhart_adt.dtdl.tables.standard import find_standard
from remhart_adt.dtdl.tables.supplements import Extra, Supplement

pytestmark = pytest.mark.shared

_KINDS = {
    "SemanticType": "semantic",
    "AdjunctType": "adjunct",
    "Unit": "unit",
    "UnitAttribute": "unit attribute",
    "SemanticUnit": "adjunct",
    "None": "root",
}
# Classes that no element in a model is of, so that it does not matter which types they take.
_NEVER_WRITTEN = (
    {"CommandPayload", "CommandType", "Latent", "NamedLatent", "Unit"}
    | {term[0].upper() + term[1:] for term in PRIMITIVES[4]}
    | set(ABSTRACT)
)
_WITH_TYPES = (
    "dtmi:dtdl:extension:annotation",
    "dtmi:dtdl:extension:historization",
    "dtmi:dtdl:extension:mqtt",
    "dtmi:dtdl:extension:overriding",
    "dtmi:dtdl:extension:quantitativeTypes",
    "dtmi:dtdl:extension:requirement",
    "dtmi:iotcentral:context",
    "dtmi:iotoperations:context",
)
_LIMITS = ("dtmi:dtdl:limits:aio", "dtmi:dtdl:limits:onvif")
_EXTENSIONS = [(name, version) for name in _WITH_TYPES for version in known_versions(name)]
_CONTEXTS = [*_EXTENSIONS, *((name, version) for name in _LIMITS for version in known_versions(name))]


@pytest.fixture(scope="module")
def digest(shared_data: Path) -> dict[str, Any]:
    return json.loads((shared_data / "dtdl" / "dtdl_digest.json").read_text(encoding="utf-8-sig"))


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_language_knows_the_words_of_its_context(digest: dict[str, Any], version: int) -> None:
    ours = language(version)
    assert ours.words == digest["contexts"][ours.context]


def test_no_extension_of_the_digest_is_missing(digest: dict[str, Any]) -> None:
    ours = {f"{name};{version}" for name, version in _CONTEXTS} | {f"dtmi:dtdl:context;{v}" for v in (2, 3, 4)}
    assert ours == set(digest["contexts"])


@pytest.mark.parametrize(("name", "version"), _CONTEXTS)
def test_an_extension_knows_the_words_and_types_of_its_context(digest: dict[str, Any], name: str, version: int) -> None:
    ours = find_extension(name, version)
    assert ours.words == digest["contexts"][ours.context]
    assert set(ours.types) == _types_of(digest, ours)


@pytest.mark.parametrize(("name", "version"), _EXTENSIONS)
def test_a_type_goes_where_and_adds_what_the_digest_says(digest: dict[str, Any], name: str, version: int) -> None:
    extension = find_extension(name, version)
    assert extension.types
    for dtmi, ours in extension.types.items():
        theirs = digest["supplementalTypes"][dtmi]
        assert _type(ours) == _digest_type(theirs), dtmi
        assert {extra.id: _extra(extra) for extra in ours.extras} == {
            key: _digest_extra(value) for key, value in theirs["properties"].items()
        }, dtmi


def test_every_element_of_the_language_is_there_with_its_class(digest: dict[str, Any]) -> None:
    assert len(digest["elements"]) > 400
    for theirs in digest["elements"]:
        ours = find_standard(theirs["@id"])
        assert ours is not None, theirs["@id"]
        kinds = theirs["@type"] if isinstance(theirs["@type"], list) else [theirs["@type"]]
        # Units and prefixes are of a class of their own with us, and of one per kind of unit there.
        if not any(kind.endswith(("Unit", "Prefix")) or kind == "Unitless" for kind in kinds):
            assert ours.kind == kinds[0], theirs["@id"]


def _types_of(digest: dict[str, Any], extension: Extension) -> set[str]:
    found = digest["supplementalTypes"].items()
    return {dtmi for dtmi, theirs in found if theirs["extensionContext"] == extension.context}


def _type(ours: Supplement) -> dict[str, Any]:
    return {
        "kind": ours.kind,
        "abstract": ours.abstract,
        "needs": set(ours.needs),
        "never with": set(ours.never_with),
        "or with": set(ours.or_with),
        "on": set(ours.on) - _NEVER_WRITTEN,
    }


def _digest_type(theirs: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": _KINDS[theirs["extensionKind"]],
        "abstract": theirs["abstract"],
        "needs": set(theirs.get("cocotypes", [])),
        "never with": {other for other in theirs.get("discotypes", []) if "initialization" not in other},
        "or with": set(theirs.get("altcotypes", [])),
        "on": set(theirs["cotypes"]) - _NEVER_WRITTEN,
    }


def _extra(ours: Extra) -> dict[str, Any]:
    return {
        "term": ours.term,
        "required": ours.required,
        "kind": ours.kind,
        "child of": ours.child_of,
        "max length": ours.max_length,
        "minimum": ours.minimum,
        "pattern": ours.pattern and f"^{ours.pattern}$",
        "unique": ours.unique,
        "instance of": ours.instance_of,
    }


def _digest_extra(theirs: dict[str, Any]) -> dict[str, Any]:
    declared = theirs.get("type") or ""
    literal = declared.partition("#")[2]
    return {
        "term": theirs["propertyName"],
        "required": not theirs["optional"],
        "kind": literal or ("object" if declared else "iri"),
        "child of": theirs.get("childOf") or "",
        "max length": theirs.get("maxLength"),
        "minimum": theirs.get("minInclusive"),
        "pattern": theirs.get("pattern") or "",
        "unique": theirs.get("uniqueValue"),
        "instance of": theirs.get("instanceProperty") or "",
    }
