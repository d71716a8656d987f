"""Whatever a DTDL text says, the generated source stays classes, and the formatter leaves it alone."""

from __future__ import annotations

import ast
import io
import itertools
import re
import tokenize
from typing import Any

import pytest
from documents import interface, prop
from generated import assert_harmless, imported, module_of, reformatted
from hypothesis import given, settings
from hypothesis import strategies as st

from remhart_adt.dtdl import parse
from remhart_adt.dtdl.codegen import generate

NASTY = [
    '"',
    '"""',
    '""""""',
    "'''",
    "\\",
    "\\\\\\",
    "ends with a backslash \\",
    'ends with a quotation mark"',
    '"begins with one',
    '\\"""',
    '"""\nimport os\nos._exit(3)\n"""',
    "'''\nimport os\nos._exit(3)\n'''",
    "line\nimport os; os._exit(3)",
    "line\rimport os; os._exit(3)",
    "line\r\nimport os; os._exit(3)",
    "line\x0cimport os",
    "line\x85import os",
    "line\u2028import os",
    "\x00",
    "\ufeff",
    "right to left \u202e gnorw",
    "half a pair \ud83d",
    "# noqa",
    "noqa: F401",
    "why not # noqa: E501",
    "type: ignore",
    "type: int",
    "fmt: off",
    "ruff: noqa",
    "mypy: ignore-errors",
    "isort: skip_file",
    "pragma: no cover",
    "-*- coding: utf-7 -*-",
    "{braces} {0} %s %(name)s",
    "\\N{BULLET} \\x41 \\u0041 \\U0001F600",
    "x" * 500,
    "\\" * 250,
    '"' * 250,
    "電圧" * 120,
    "é" * 300,
    "long words " * 40,
    " ",
    "\t",
    "a\\\nb",
    "long " * 20 + "# noqa" + "x" * 30,
    "long " * 22 + "type: int " * 5,
    "🙂" * 60,
]
ORDER = re.compile(r"#\s*(type:|noqa|fmt:|ruff:|mypy:|isort:|pragma:)", re.IGNORECASE)


def documents(texts: list[str]) -> dict[str, Any]:
    """An interface that says these texts wherever DTDL lets it say something."""
    turn = itertools.cycle(texts)

    def said() -> dict[str, Any]:
        return {"displayName": {"en": next(turn)}, "description": {"en": next(turn)}, "comment": next(turn)}

    values = [{"name": f"v{n}", "enumValue": text, **said()} for n, text in enumerate(dict.fromkeys(texts))]
    enum = {"@type": "Enum", "valueSchema": "string", "enumValues": values, **said()}
    fields = [{"name": f"f{n}", "schema": "double", **said()} for n in range(5)]
    return interface(
        **said(),
        contents=[
            prop("e", enum, **said()),
            prop("o", {"@type": "Object", "fields": fields, **said()}, **said()),
            *(prop(f"p{n}", "string", **said()) for n in range(len(texts))),
            {"@type": "Relationship", "name": "r", "properties": [prop("x", **said())], **said()},
            {"@type": "Telemetry", "name": "t", "schema": "double", **said()},
            {"@type": "Component", "name": "c", "schema": "dtmi:test:B;1", **said()},
        ],
    )


def sendable(text: str) -> bool:
    return not re.search("[\ud800-\udfff]", text)


def comments(source: str) -> list[str]:
    return [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and token.string != "# fmt: skip"
    ]


def assert_sound(texts: list[str], folder) -> None:
    document = documents(texts)
    models = parse(document, interface("B"))
    sources = generate(models)
    for source in sources.values():
        assert_harmless(source)
        assert not any(ORDER.search(comment) for comment in comments(source))
        assert not re.search(
            "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", source
        )
    values = {
        node.value.value
        for node in ast.walk(ast.parse(sources["a.py"]))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    assert {text for text in texts if sendable(text)} <= values  # the values of the enumeration, unchanged
    for name, source in sources.items():
        (folder / name).write_text(source, encoding="utf-8")
    assert reformatted(folder) == ""


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_a_nasty_text_stays_text(text, tmp_path):
    assert_sound([text], tmp_path)


def test_nasty_texts_survive_the_import(tmp_path):
    models = parse(documents(NASTY), interface("B"))
    with imported(models, tmp_path) as package:
        enum = module_of(package, package.A).E
        assert [member.value for member in enum] == [text for text in NASTY if sendable(text)]
        for value in enum:
            document = {"e": value, "c": {"$metadata": {}}, "$metadata": {"$model": "dtmi:test:A;1"}}
            assert package.A.from_twin(document).to_twin() == document


@pytest.mark.slow
def test_lines_that_are_too_long_are_broken_as_the_formatter_breaks_them(tmp_path):
    """Names and values of every length around the points at which a line has to be broken, and beyond."""
    sizes = [*range(20, 130), 300, 512]
    values = [{"name": f"v{n}", "enumValue": "x " * (n // 2) + "y" * (n % 2)} for n in sizes]
    long = {"@type": "Enum", "valueSchema": "string", "enumValues": values, "displayName": "word " * 20}
    nested: Any = "double"
    for _ in range(4):
        nested = {
            "@type": "Map",
            "mapKey": {"name": "k", "schema": "string"},
            "mapValue": {"name": "v", "schema": {"@type": "Array", "elementSchema": nested}},
        }
    parents = [f"{'Parent' * (n % 4 + 1)}{n}" for n in range(40)]
    document = interface(
        "x" * 112,
        context="dtmi:dtdl:context;4",
        extends=[f"dtmi:test:{name};1" for name in parents],
        contents=[
            *(prop("p" * n, "string") for n in sizes),
            *(prop("P" * n, long if n % 2 else nested) for n in sizes[:60]),
            *({"@type": "Component", "name": "c" * n, "schema": "dtmi:test:B;1"} for n in sizes),
            *({"@type": "Component", "name": "C" * n, "schema": "dtmi:test:B;1"} for n in sizes),
            *({"@type": "Relationship", "name": "r" * n, "target": f"dtmi:{'t' * n};1"} for n in sizes),
        ],
    )
    short = [interface(f"{'E' * n}", extends=[f"dtmi:test:{p};1" for p in parents[: n % 9]]) for n in range(30, 110)]
    models = parse(document, *short, *(interface(name) for name in (*parents, "B")))
    with imported(models, tmp_path) as package:
        cls = next(cls for cls in package.INTERFACES if len(cls.COMPONENTS))
        values = {"p" * n: f"{n}" for n in sizes} | {"P" * 21: "x " * 10, "P" * 20: {"k": [{}]}}
        twin = cls.from_twin({**values, "$metadata": {"$model": cls.MODEL}})
        assert {name: value for name, value in twin.to_twin().items() if name in values} == values
        assert len(cls.COMPONENTS) == 2 * len(sizes)
        assert [r.NAME for r in cls.RELATIONSHIPS] == ["r" * n for n in sizes]
    assert reformatted(tmp_path) == ""


def test_a_formatter_is_only_told_to_keep_a_line_that_has_no_place_to_break():
    name = "AVeryLongName" * 2 + "Name"
    values = {"@type": "Enum", "valueSchema": "string", "enumValues": [{"name": "v" * 40, "enumValue": "x" * 80}]}
    source = generate(parse(interface(contents=[prop(name, values), prop("p" * 112, "string")])))["a.py"]
    assert f' | None = dtdl_name(\n        "{name}"\n    )\n' in source
    assert f'{"V" * 40} = (\n        "{"x" * 80}"\n    )\n' in source
    assert [line for line in source.splitlines() if "fmt: skip" in line] == [
        f"    {'p' * 112}: Text | None = None  # fmt: skip"
    ]


PIECES = st.sampled_from(
    [*"\"'\\#\n\r\t {}:%", '"""', "'''", "# noqa", "type:", "\\N{", "\u202e", "\x00", "x" * 40, "大"]
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(st.characters(), max_size=200)),
        min_size=1,
        max_size=4,
    )
)
def test_any_texts_stay_text(tmp_path_factory, texts):
    assert_sound([text[:250] for text in texts], tmp_path_factory.mktemp("source"))


def test_ordinary_texts_are_quoted_word_for_word():
    source = generate(
        parse(interface(description="Type: none. # 1", contents=[prop("p", description="Type of thing")]))
    )
    assert "p: Real | None = None  # Type of thing\n" in source["a.py"]
    assert '"""Type: none. # 1"""' in source["a.py"]
