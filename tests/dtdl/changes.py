"""Documents that differ, and their grades, for the tests of `diff`."""

from __future__ import annotations

from typing import Any

from documents import V3, interface

from remhart_adt.dtdl.evolution.compare import Diff, diff

V4 = "dtmi:dtdl:context;4"
REQUIRED = "dtmi:dtdl:extension:requirement;2"


def version(document: dict[str, Any], number: int) -> dict[str, Any]:
    """The document under another version of its DTMI."""
    return {**document, "@id": document["@id"].partition(";")[0] + f";{number}"}


def grades(found: Diff) -> dict[str, str]:
    """Verdict by element; the line about the DTMI is left out, since it is there for every new version."""
    return {change.element: change.verdict for change in found.changes if change.element != "@id"}


def compare(old: Any, new: Any, *, context: Any = V3) -> dict[str, str]:
    """The grades of one content that changed from version 1 to version 2 of its interface."""
    return grades(
        diff(
            interface(context=context, contents=[old] if old else []),
            version(interface(context=context, contents=[new] if new else []), 2),
        )
    )


def enum(**values: str) -> dict[str, Any]:
    return {
        "@type": "Enum",
        "valueSchema": "string",
        "enumValues": [{"name": name, "enumValue": value} for name, value in values.items()],
    }


def obj(*fields: Any) -> dict[str, Any]:
    return {"@type": "Object", "fields": list(fields)}


def field(name: str, schema: Any = "double", **members: Any) -> dict[str, Any]:
    return {"name": name, "schema": schema, **members}


def relationship(**members: Any) -> dict[str, Any]:
    return {"@type": "Relationship", "name": "r", **members}


def component(target: str = "dtmi:test:B;1") -> dict[str, Any]:
    return {"@type": "Component", "name": "c", "schema": target}


def command(**members: Any) -> dict[str, Any]:
    return {"@type": "Command", "name": "k", **members}


def quantity(kind: str, unit: str) -> dict[str, Any]:
    return {"@type": ["Property", kind], "name": "p", "schema": "double", "unit": unit}
