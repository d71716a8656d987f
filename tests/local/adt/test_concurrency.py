"""32 clients on 10 twins: what `scripts/faults contention` does for longer."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.local.adt import LocalAdt, Options

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts" / "lib"))

from contention import contend

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run against a server with a file, for all tests here."""
    data = tmp_path_factory.mktemp("contention") / "adt.sqlite"
    with LocalAdt(Options(data=data)) as server:
        return asyncio.run(contend(server.endpoint, seconds=0.7))


@pytest.mark.parametrize("what", ["twins", "relationships"])
def test_exactly_the_acknowledged_conditional_patches_are_applied_and_none_is_lost(
    report: dict[str, Any], what: str
) -> None:
    assert report[what]["wrong"] == []
    assert report[what]["applied"] > 100
    assert report[what]["refused"] > 10  # or nobody was in anybody's way, and nothing was shown


def test_of_many_who_create_one_thing_one_succeeds_and_his_document_stands(report: dict[str, Any]) -> None:
    assert report["create"]["wrong"] == []
    assert report["create"]["rounds"] == 10


def test_of_conditional_patches_and_deletes_with_one_tag_one_is_applied(report: dict[str, Any]) -> None:
    assert report["patch_or_delete"]["wrong"] == []


def test_a_twin_is_not_deleted_while_a_relationship_to_it_is_made(report: dict[str, Any]) -> None:
    assert report["relate_or_delete"]["wrong"] == []
