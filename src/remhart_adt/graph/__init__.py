"""The drawing table: a twin graph as a file; check it, plan it, apply it, export it; and who feeds whom."""

from __future__ import annotations

from remhart_adt.graph.load import Checked, check, load, load_text
from remhart_adt.graph.snapshot import LiveGraph, fetch, fetch_async
from remhart_adt.graph.source import Problem
from remhart_adt.graph.spec import Entity, GraphSpec, Relation
from remhart_adt.graph.topology import Topology

__all__ = [
    "Checked",
    "Entity",
    "GraphSpec",
    "LiveGraph",
    "Problem",
    "Relation",
    "Topology",
    "check",
    "fetch",
    "fetch_async",
    "load",
    "load_text",
]
