"""Small DTDL documents for the tests of this room."""

from __future__ import annotations

import json
from typing import Any

V3 = "dtmi:dtdl:context;3"
V2 = "dtmi:dtdl:context;2"
QUANTITIES = [V3, "dtmi:dtdl:extension:quantitativeTypes;1"]


def interface(name: str = "A", *, context: Any = V3, **members: Any) -> dict[str, Any]:
    """An Interface dtmi:test:<name>;1."""
    return {"@context": context, "@id": f"dtmi:test:{name};1", "@type": "Interface", **members}


def prop(name: str = "p", schema: Any = "double", **members: Any) -> dict[str, Any]:
    """A Property."""
    return {"@type": "Property", "name": name, "schema": schema, **members}


def objects(depth: int) -> Any:
    """Objects nested `depth` deep, a double in the innermost."""
    schema: Any = "double"
    for _ in range(depth):
        schema = {"@type": "Object", "fields": [{"name": "f", "schema": schema}]}
    return schema


def text(*documents: Any) -> str:
    """The documents as one DTDL text."""
    return json.dumps(list(documents))
