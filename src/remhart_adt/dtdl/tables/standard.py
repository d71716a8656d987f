"""The elements that the language itself defines and a model may refer to: primitive schemas, GeoJSON, units.

Later versions of the language repeat most of them as aliases of the first; a reference to an alias is one to the
element of the first version. Source: the standard elements of the official parser (MIT); the shapes of the geometries
are RFC 7946's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from remhart_adt.dtdl.tables.metamodel import PRIMITIVES
from remhart_adt.dtdl.tables.quantities import BINARY_PREFIXES, decimal_prefixes, quantities

__all__ = ["GEOSPATIAL", "Standard", "find_standard", "standard_words"]

# GeoJSON geometry: how many arrays deep its coordinates are.
GEOSPATIAL: Final = {
    "point": 1,
    "lineString": 2,
    "multiPoint": 2,
    "polygon": 3,
    "multiLineString": 3,
    "multiPolygon": 4,
}
# The arrays that the coordinates are made of, by name, with their depth.
_ARRAYS: Final = {
    "position": 1,
    "positionArray": 2,
    "lineStringCoordinateArray": 2,
    "linearRingCoordinateArray": 2,
    "lineStringCoordinateArrayArray": 3,
    "polygonCoordinateArray": 3,
    "polygonCoordinateArrayArray": 4,
}
_OBJECTS: Final = {
    "dtmi:standard:schema:scaledDecimal;4": ("value", "scale"),
    "dtmi:iotcentral:schema:vector;2": ("x", "y", "z"),
    "dtmi:iotcentral:schema:geopoint;2": ("lon", "lat", "alt"),
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Standard:
    """One element of the language. `id` is its DTMI after following aliases, `kind` its class, `parent` the Enum of an
    EnumValue or the type of a DTDL v2 unit; `depth` counts nested complex schemas, of which `arrays` holds any."""

    id: str
    kind: str
    version: int
    term: str
    parent: str = ""
    depth: int = 0
    arrays: bool = False


@lru_cache(maxsize=4096)
def find_standard(dtmi: str) -> Standard | None:
    """The element that the language defines under a DTMI, or None."""
    for prefix, make in _MAKERS.items():
        if dtmi.startswith(prefix):
            return make(dtmi, dtmi[len(prefix) :])
    return None


def _versioned(rest: str) -> tuple[str, int]:
    name, _, number = rest.partition(";")
    return (name, int(number)) if number in ("2", "3", "4") else ("", 0)


def _primitive(dtmi: str, rest: str) -> Standard | None:
    del dtmi
    term, version = _versioned(rest)
    if version not in PRIMITIVES or term not in PRIMITIVES[version]:
        return None
    first = 2 if term in PRIMITIVES[2] else 4
    return Standard(f"dtmi:dtdl:instance:Schema:{term};{first}", term[0].upper() + term[1:], first, term)


def _command_type(dtmi: str, rest: str) -> Standard | None:
    term, version = _versioned(rest)
    return Standard(dtmi, "CommandType", version, term) if term in ("asynchronous", "synchronous") else None


def _geospatial(dtmi: str, rest: str) -> Standard | None:
    name, version = _versioned(rest)
    if not version:
        return None
    if name in GEOSPATIAL:
        return Standard(dtmi, "Object", version, name, depth=GEOSPATIAL[name] + 1, arrays=True)
    if name in _ARRAYS:
        return Standard(dtmi, "Array", version, name, depth=_ARRAYS[name], arrays=True)
    first, _, second = name.partition(":")
    if first in GEOSPATIAL and second in ("type", "coordinates"):
        arrays = second == "coordinates"
        return Standard(dtmi, "Field", version, second, depth=GEOSPATIAL[first] if arrays else 1, arrays=arrays)
    if first == "enumValue" and second in GEOSPATIAL:
        parent = f"dtmi:standard:schema:geospatial{second[0].upper()}{second[1:]}Type;{version}"
        return Standard(dtmi, "EnumValue", version, second, parent)
    return None


def _geospatial_type(dtmi: str, rest: str) -> Standard | None:
    name, version = _versioned(rest)
    term = name.removesuffix("Type")
    known = version and name.endswith("Type") and term[:1].lower() + term[1:] in GEOSPATIAL
    return Standard(dtmi, "Enum", version, f"geospatial{name}", depth=1) if known else None


def _object(dtmi: str, rest: str) -> Standard | None:
    del rest
    whole = dtmi in _OBJECTS
    if whole:
        return Standard(dtmi, "Object", int(dtmi[-1]), dtmi.rpartition(":")[2][:-2], depth=1)
    owner, _, name = dtmi.rpartition(":")
    known = name.endswith(";2") and name[:-2] in _OBJECTS.get(f"{owner};2", ())
    return Standard(dtmi, "Field", 2, name[:-2]) if known else None


def _unit_v2(dtmi: str, rest: str) -> Standard | None:
    term, version = _versioned(rest)
    family = next((f for f, units in quantities(0).units.items() if term in units), "")
    return Standard(dtmi, "Unit", 2, term, f"dtmi:standard:class:{family};2") if family and version == 2 else None


def _prefix_v2(dtmi: str, rest: str) -> Standard | None:
    term, version = _versioned(rest)
    sort = "Decimal" if term in decimal_prefixes(0) else "Binary" if term in BINARY_PREFIXES else ""
    known = sort and version == 2
    return Standard(dtmi, "UnitAttribute", 2, term, f"dtmi:standard:class:{sort}Prefix;2") if known else None


def _quantitative(dtmi: str, rest: str) -> Standard | None:
    number, _, more = rest.partition(":")
    sort, _, term = more.partition(":")
    if number not in ("1", "2", "3"):
        return None
    base, version = f"dtmi:dtdl:extension:quantitativeTypes:v{number}:enum:", 3 if number == "1" else 4
    families = {
        **quantities(int(number)).units,
        "DecimalPrefix": decimal_prefixes(int(number)),
        "BinaryPrefix": BINARY_PREFIXES,
    }
    if sort == "enum":
        return Standard(dtmi, "Enum", version, term, depth=1) if term in families else None
    if sort not in ("unit", "unitprefix"):
        return None
    family = next(
        (f for f, words in families.items() if term in words and f.endswith("Prefix") == (sort != "unit")), ""
    )
    return Standard(dtmi, "EnumValue", version, term, base + family) if family else None


_MAKERS: Final = {
    "dtmi:dtdl:instance:Schema:": _primitive,
    "dtmi:dtdl:instance:CommandType:": _command_type,
    "dtmi:standard:schema:geospatial:": _geospatial,
    "dtmi:standard:schema:geospatial": _geospatial_type,
    "dtmi:standard:schema:": _object,
    "dtmi:iotcentral:schema:": _object,
    "dtmi:standard:unit:": _unit_v2,
    "dtmi:standard:unitprefix:": _prefix_v2,
    "dtmi:dtdl:extension:quantitativeTypes:v": _quantitative,
}


def standard_words(version: int) -> dict[str, str]:
    """The terms of a DTDL context for geometries, and in version 2 for units; with their DTMIs."""
    words = {term: f"dtmi:standard:schema:geospatial:{term};{version}" for term in GEOSPATIAL}
    if version == 4:
        words["scaledDecimal"] = "dtmi:standard:schema:scaledDecimal;4"
    if version == 2:
        words |= {u: f"dtmi:standard:unit:{u};2" for units in quantities(0).units.values() for u in units}
        words |= {p: f"dtmi:standard:unitprefix:{p};2" for p in (*decimal_prefixes(0), *BINARY_PREFIXES)}
    return words
