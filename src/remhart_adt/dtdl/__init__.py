"""The DTDL language: parse, validate, ask, compare, convert, check instances. No network, no Azure.

`parse` gives a `ModelSet` or raises `DtdlError` with the whole report; `validate` gives the `Report`. DTDL 2, 3 and 4
and all published extensions, as the official parser understands them. `diff` and `convert` compare and rewrite whole
sets of models; `codegen` (a module of its own, since few need it) writes Python classes.
"""

from __future__ import annotations

from remhart_adt.dtdl.convert import Conversion, convert
from remhart_adt.dtdl.diff import VERDICTS, Change, Diff, diff
from remhart_adt.dtdl.dtmi import Dtmi
from remhart_adt.dtdl.instance import (
    InstanceProblem,
    check_patch,
    check_relationship,
    check_relationship_patch,
    check_telemetry,
    check_twin,
)
from remhart_adt.dtdl.model import ModelSet
from remhart_adt.dtdl.options import Options
from remhart_adt.dtdl.parse import parse, validate
from remhart_adt.dtdl.repository import Resolver, folder_resolver, mapping_resolver
from remhart_adt.dtdl.types import Content, EnumValue, Field, Interface, Place, Problem, Report, Schema, Unresolved

__all__ = [
    "VERDICTS",
    "Change",
    "Content",
    "Conversion",
    "Diff",
    "Dtmi",
    "EnumValue",
    "Field",
    "InstanceProblem",
    "Interface",
    "ModelSet",
    "Options",
    "Place",
    "Problem",
    "Report",
    "Resolver",
    "Schema",
    "Unresolved",
    "check_patch",
    "check_relationship",
    "check_relationship_patch",
    "check_telemetry",
    "check_twin",
    "convert",
    "diff",
    "folder_resolver",
    "mapping_resolver",
    "parse",
    "validate",
]
