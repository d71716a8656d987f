"""The DTDL language: parse, validate, ask, compare, convert, check instances. No network, no Azure.

`parse` gives a `ModelSet` or raises `DtdlError` with the whole report; `validate` gives the `Report`. DTDL 2, 3 and 4
and all published extensions, as the official parser understands them. `diff` and `convert` compare and rewrite whole
sets of models; `codegen` (a module of its own, since few need it) writes Python classes.

Inside: `tables` is the language as data; `reading` walks a text once, `checking` goes over what it found; `build` makes
the `ModelSet`; `evolution` is how models change. Dataclasses of the inside do without comparison and repr, which nobody
asks them for and which would make every import slower.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from remhart_adt.dtdl.model import ModelSet
from remhart_adt.dtdl.options import Options
from remhart_adt.dtdl.parse import parse, validate
from remhart_adt.dtdl.repository import Resolver, folder_resolver, mapping_resolver
from remhart_adt.dtdl.types import Content, EnumValue, Field, Interface, Place, Problem, Report, Schema, Unresolved

if TYPE_CHECKING:
    from remhart_adt.dtdl.dtmi import Dtmi
    from remhart_adt.dtdl.evolution.compare import VERDICTS, Change, Diff, diff
    from remhart_adt.dtdl.evolution.upgrade import Conversion, convert
    from remhart_adt.dtdl.instance import (
        InstanceProblem,
        check_patch,
        check_relationship,
        check_relationship_patch,
        check_telemetry,
        check_twin,
    )

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

# What a mere validator does not need is imported when it is first asked for.
_LATER: Final = {
    "remhart_adt.dtdl.dtmi": ("Dtmi",),
    "remhart_adt.dtdl.evolution.compare": ("VERDICTS", "Change", "Diff", "diff"),
    "remhart_adt.dtdl.evolution.upgrade": ("Conversion", "convert"),
    "remhart_adt.dtdl.instance": (
        "InstanceProblem",
        "check_patch",
        "check_relationship",
        "check_relationship_patch",
        "check_telemetry",
        "check_twin",
    ),
}
_HOME: Final = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
