"""The geospatial schemas of DTDL: GeoJSON geometries (RFC 7946), each a `type` and its coordinates.

A position is longitude, latitude and, if known, altitude.
"""

from __future__ import annotations

from typing import Literal

from remhart_adt.ontology.part import Part
from remhart_adt.ontology.primitives import Real

__all__ = ["LineString", "MultiLineString", "MultiPoint", "MultiPolygon", "Point", "Polygon"]


class Point(Part):
    """One position."""

    type: Literal["Point"] = "Point"
    coordinates: list[Real] | None = None


class LineString(Part):
    """Positions along a line."""

    type: Literal["LineString"] = "LineString"
    coordinates: list[list[Real]] | None = None


class Polygon(Part):
    """Rings of positions: the outline first, then the holes."""

    type: Literal["Polygon"] = "Polygon"
    coordinates: list[list[list[Real]]] | None = None


class MultiPoint(Part):
    """Several positions."""

    type: Literal["MultiPoint"] = "MultiPoint"
    coordinates: list[list[Real]] | None = None


class MultiLineString(Part):
    """Several lines."""

    type: Literal["MultiLineString"] = "MultiLineString"
    coordinates: list[list[list[Real]]] | None = None


class MultiPolygon(Part):
    """Several polygons."""

    type: Literal["MultiPolygon"] = "MultiPolygon"
    coordinates: list[list[list[list[Real]]]] | None = None
