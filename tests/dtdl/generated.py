"""Generated packages for the tests of this room: made from documents, imported, looked at, filled with values."""

from __future__ import annotations

import ast
import importlib
import itertools
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from remhart_adt.dtdl import ModelSet, Schema
from remhart_adt.dtdl.codegen import write

RUFF = Path(sys.executable).parent / "ruff"
_NUMBERS = itertools.count()

# Two different JSON values of every primitive schema.
VALUES: dict[str, tuple[Any, Any]] = {
    "boolean": (True, False),
    "byte": (-128, 127),
    "bytes": ("", "SGVsbG8="),
    "date": ("2024-02-29", "0001-01-01"),
    "dateTime": ("2024-01-02T03:04:05.100000Z", "0999-12-31T23:59:59Z"),
    "decimal": ("-0.10", "12345678901234567890.123456789012345678901234567890"),
    "double": (1.25, -1e308),
    "duration": ("P1Y2M3DT4H5M6.7S", "PT15M"),
    "float": (1.5, 3.4e38),
    "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "short": (-(2**15), 2**15 - 1),
    "string": ("", "Größe 大 🙂 \u2028 \\ \" '"),
    "time": ("23:59:59.123456789Z", "00:00:00"),
    "unsignedByte": (0, 255),
    "unsignedInteger": (0, 2**32 - 1),
    "unsignedLong": (0, 2**64 - 1),
    "unsignedShort": (0, 2**16 - 1),
    "uuid": ("00a185be-a3a4-465a-9dac-cfa24bc7b923", "f1c43c38-aeae-4b7b-9fdc-e36f8b015b99"),
}


@contextmanager
def imported(models: ModelSet, folder: Path, **options: Any) -> Iterator[ModuleType]:
    """The generated package of the models, imported from a new folder below `folder`; warnings are errors."""
    name = f"generated_{next(_NUMBERS)}"
    write(models, folder / name, **options)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        for module in [m for m in sys.modules if m.partition(".")[0] == name]:
            del sys.modules[module]


def module_of(package: ModuleType, cls: type) -> ModuleType:
    """The module of the package in which a class is."""
    assert cls.__module__.startswith(package.__name__)
    return sys.modules[cls.__module__]


def reformatted(folder: Path) -> str:
    """What the formatter would change below the folder; empty when it leaves all as it is."""
    command = [RUFF, "format", "--isolated", "--no-cache", "--line-length", "120", "--diff", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def assert_harmless(source: str) -> ast.Module:
    """The text is classes and nothing else, whatever the DTDL says; no comment in it is an order to a tool."""
    tree = ast.parse(source, type_comments=True)
    assert tree.type_ignores == []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                assert isinstance(inner, ast.Assign | ast.AnnAssign | ast.Expr), ast.dump(inner)
                if isinstance(inner, ast.Expr):
                    assert isinstance(inner.value, ast.Constant), ast.dump(inner)
                elif isinstance(inner, ast.Assign):
                    assert inner.type_comment is None
        elif isinstance(node, ast.Expr):
            rebuild = isinstance(node.value, ast.Call) and ast.unparse(node.value).endswith(".model_rebuild()")
            assert rebuild or isinstance(node.value, ast.Constant), ast.dump(node)
        else:
            assert isinstance(node, ast.Assign | ast.AnnAssign | ast.ImportFrom), ast.dump(node)
    calls = {ast.unparse(call.func) for call in ast.walk(tree) if isinstance(call, ast.Call)}
    assert {call for call in calls if not call.endswith(".model_rebuild")} <= {
        "component_of",
        "dtdl_name",
        "TypeAliasType",
    }
    return tree


def sample(schema: Schema, which: Callable[[], int], depth: int = 4) -> Any:
    """A JSON value that has everything the schema allows; where it leads back to itself only `depth` levels of it."""
    if schema.kind in VALUES:
        return VALUES[schema.kind][which()]
    if schema.kind == "Enum":
        return schema.values[-which() % len(schema.values)].value
    if schema.kind == "Object":
        fields = {name: field.schema for name, field in schema.fields.items() if depth or field.schema.kind in VALUES}
        return {name: sample(inner, which, depth - 1) for name, inner in fields.items() if not empty_enum(inner)}
    inner = schema.value.schema if schema.value is not None else schema.element
    assert inner is not None
    values = [sample(inner, which, depth - 1) for _ in range(2)] if depth and not empty_enum(inner) else []
    return values if schema.kind == "Array" else dict(zip(("one", "zwei 2"), values, strict=False))


def empty_enum(schema: Schema) -> bool:
    """Whether no value fits the schema."""
    return schema.kind == "Enum" and not schema.values


def full_twin(models: ModelSet, dtmi: str) -> dict[str, Any]:
    """A twin's document with a value for everything in its model."""
    turns = itertools.cycle((0, 1))
    body: dict[str, Any] = {"$dtId": "x"}
    for name, content in models[dtmi].contents.items():
        if content.kind == "Component":
            inner = full_twin(models, content.component)
            body[name] = {**{key: value for key, value in inner.items() if key[0] != "$"}, "$metadata": {}}
        elif content.kind == "Property" and content.schema is not None and not empty_enum(content.schema):
            body[name] = sample(content.schema, lambda: next(turns))
    return {**body, "$metadata": {"$model": dtmi}}
