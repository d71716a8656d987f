"""Parsing as a whole: what resolvers bring in rounds, and schemas of any depth."""

from __future__ import annotations

import json
from typing import Any

from remhart_adt.dtdl import check_twin, diff, parse, validate


def interface(name: str, version: int = 3, **more: Any) -> dict[str, Any]:
    return {"@context": f"dtmi:dtdl:context;{version}", "@id": f"dtmi:t:{name};1", "@type": "Interface", **more}


def test_every_place_that_names_a_missing_interface_is_told_over_all_rounds() -> None:
    base = interface("Base", extends="dtmi:t:Gone;1")
    text = json.dumps(interface("Heir", extends=["dtmi:t:Base;1", "dtmi:t:Gone;1"]))
    report = validate(text, resolver={"dtmi:t:Base;1": base})
    (missing,) = report.unresolved
    assert missing.dtmi == "dtmi:t:Gone;1"
    assert sorted(place.file for place in missing.places) == ["dtmi:t:Base;1", "text 1"]


def test_a_message_does_not_write_a_dtmi_with_a_capital() -> None:
    report = validate(interface("Twice"), interface("Twice"))
    assert report.problems[0].message.startswith("dtmi:t:Twice;1 ")


def test_a_chain_of_schemas_of_any_length_beside_a_circle() -> None:
    # DTDL v4 allows a schema that contains itself, and with one in the set no depth is counted.
    def obj(number: int, inner: str) -> dict[str, Any]:
        field = {"name": "inner", "schema": inner}
        return {"@id": f"dtmi:t:o{number};1", "@type": "Object", "fields": [field]}

    depth = 3000
    chain = [obj(n, f"dtmi:t:o{n + 1};1") for n in range(depth)]
    circle = {"@type": "Array", "@id": f"dtmi:t:o{depth};1", "elementSchema": "dtmi:t:o0;1"}
    contents = [{"@type": "Property", "name": "p", "schema": "dtmi:t:o0;1"}]
    deep = interface("Deep", 4, schemas=[*chain, circle], contents=contents)

    models = parse(deep)
    schema = models["dtmi:t:Deep;1"].contents["p"].schema
    assert schema is not None
    for _ in range(depth):
        schema = schema.fields["inner"].schema
    assert schema.kind == "Array"
    twin = {"$dtId": "d", "$metadata": {"$model": "dtmi:t:Deep;1"}, "p": {"inner": {"inner": 1}}}
    assert [problem.path for problem in check_twin(models, twin)] == ["/p/inner/inner"]
    assert diff(models, models).verdict == "identical"
