"""The functional limits, lowered so that they can be reached."""

from __future__ import annotations

from typing import Any

import pytest

from remhart_adt.local.adt import Options
from remhart_adt.local.adt.bounds import Bounds

NODE: dict[str, Any] = {
    "@id": "dtmi:limit:Node;1",
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "contents": [{"@type": "Relationship", "name": "feeds"}],
}


@pytest.fixture
def small(wire_to: Any) -> Any:
    """A server whose instance holds 4 twins, 3 relationships, 2 of them at one twin, and 2 models."""
    wire = wire_to(Options(bounds=Bounds(twins=4, relationships=3, relationships_per_twin=2, models=2)))
    wire.models(NODE)
    for name in "abcd":
        wire.twin(name, NODE["@id"])
    return wire


def test_one_twin_too_many_is_refused_and_replacing_one_is_not(small: Any) -> None:
    body = {"$metadata": {"$model": NODE["@id"]}}
    refused = small("PUT", "/digitaltwins/e", body)
    assert (refused.status, refused.code) == (400, "TwinLimitReached")
    assert small("PUT", "/digitaltwins/a", body).status == 200
    assert small("DELETE", "/digitaltwins/a").status == 204
    assert small("PUT", "/digitaltwins/e", body).status == 200


def test_relationships_are_limited_by_source_by_target_and_in_all(small: Any) -> None:
    small.relate("a", "1", "feeds", "b")
    small.relate("a", "2", "feeds", "b")
    for source, target in (("a", "c"), ("c", "b")):
        body = {"$relationshipName": "feeds", "$targetId": target}
        refused = small("PUT", f"/digitaltwins/{source}/relationships/3", body)
        assert (refused.status, refused.code) == (400, "LimitExceeded")
        assert "2" in refused.message
    small.relate("a", "1", "feeds", "b")  # replaces
    small.relate("c", "3", "feeds", "d")
    refused = small("PUT", "/digitaltwins/d/relationships/4", {"$relationshipName": "feeds", "$targetId": "c"})
    assert (refused.status, refused.code) == (400, "LimitExceeded")
    assert "instance" in refused.message


def test_one_model_too_many_is_refused(small: Any) -> None:
    more = [{**NODE, "@id": f"dtmi:limit:Node;{n}"} for n in (2, 3)]
    refused = small("POST", "/models", more)
    assert (refused.status, refused.code) == (400, "LimitExceeded")
    small.models(more[0])
