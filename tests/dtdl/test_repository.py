"""Interfaces that the sources only name: from device model repositories, folders in any layout, and mappings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from documents import interface, prop, text

from remhart_adt.dtdl import parse, validate
from remhart_adt.dtdl.options import Options
from remhart_adt.dtdl.repository import folder_resolver, index_resolver, mapping_resolver, resolver_of
from remhart_adt.errors import DtdlError


def put(file: Path, *documents: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(documents[0] if len(documents) == 1 else documents), encoding="utf-8")
    return file


def rules(report: Any) -> list[str]:
    return [problem.rule for problem in report.errors]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with Room;1, which extends Space;1."""
    put(tmp_path / "dtmi/test/room-1.json", interface("Room", extends="dtmi:test:Space;1"))
    put(tmp_path / "dtmi/test/space-1.json", interface("Space", contents=[prop("area")]))
    return tmp_path


OFFICE = interface("Office", extends="dtmi:test:Room;1")


def test_a_repository_is_asked_for_what_is_missing_and_for_what_that_needs(repository):
    for place in (repository, repository / "dtmi"):
        models = parse(OFFICE, resolver=resolver_of(place))
        assert models.ancestors("dtmi:test:Office;1") == ("dtmi:test:Room;1", "dtmi:test:Space;1")
        assert models["dtmi:test:Room;1"].source.endswith("room-1.json")


def test_a_repository_is_never_searched(repository):
    put(repository / "dtmi/elsewhere.json", interface("Hall"))
    for place in (repository, repository / "dtmi"):
        assert resolver_of(place)(["dtmi:test:Hall;1"]) == {}


def test_the_content_of_dtmi_under_another_name_is_a_repository_when_the_caller_says_so(repository):
    other = repository / "models"
    (repository / "dtmi").rename(other)
    assert len(parse(OFFICE, resolver=folder_resolver(other))) == 3


def test_an_unresolved_dtmi_is_reported_with_every_place_that_names_it(repository):
    put(repository / "dtmi/test/room-1.json", interface("Room", extends=["dtmi:test:Gone;1", "dtmi:test:Space;1"]))
    put(repository / "dtmi/test/hall-1.json", interface("Hall", extends="dtmi:test:Gone;1"))
    office = interface("Office", extends=["dtmi:test:Room;1", "dtmi:test:Hall;1"])

    (missing,) = validate(office, resolver=resolver_of(repository)).unresolved

    assert missing.dtmi == "dtmi:test:Gone;1"
    assert [Path(place.file).name for place in missing.places] == ["room-1.json", "hall-1.json"]
    assert all(place.line == 1 and place.column > 1 for place in missing.places)


def test_an_expanded_file_is_preferred_and_gives_what_it_brought_along_later(repository):
    put(
        repository / "dtmi/test/room-1.expanded.json",
        interface("Room", extends="dtmi:test:Hidden;1", displayName="expanded"),
        interface("Hidden"),
    )
    models = parse(OFFICE, resolver=resolver_of(repository))
    assert models["dtmi:test:Room;1"].display_name == {"en": "expanded"}
    assert models.ancestors("dtmi:test:Office;1") == ("dtmi:test:Room;1", "dtmi:test:Hidden;1")


def test_two_wanted_interfaces_in_one_expanded_file_are_not_defined_twice(repository):
    documents = [interface("Room", extends="dtmi:test:Space;1"), interface("Space")]
    put(repository / "dtmi/test/room-1.expanded.json", *documents)
    both = interface("Office", extends=["dtmi:test:Room;1", "dtmi:test:Space;1"])
    assert len(parse(both, resolver=resolver_of(repository))) == 3


def test_a_file_must_hold_the_very_dtmi_that_is_wanted(repository):
    # The layout is in lower case, so that two DTMIs can share a path.
    report = validate(interface("Office", extends="dtmi:test:ROOM;1"), resolver=resolver_of(repository))
    assert [missing.dtmi for missing in report.unresolved] == ["dtmi:test:ROOM;1"]


def test_a_broken_file_of_a_repository_is_the_problem_reported(repository):
    file = repository / "dtmi/test/room-1.json"
    file.write_text("{")
    report = validate(OFFICE, resolver=resolver_of(repository))
    assert [(p.rule, p.file) for p in report.errors] == [("invalidJson", str(file))]


def test_a_file_over_the_size_limit_is_not_read(repository, monkeypatch):
    options = Options(max_bytes=400)

    def read(file: Path, **arguments: Any) -> str:
        assert file.name != "room-1.json"
        return file.read_bytes().decode()

    monkeypatch.setattr(Path, "read_text", read)
    put(repository / "dtmi/test/room-1.json", interface("Room", comment="x" * 500))
    for resolver in (resolver_of(repository, options), folder_resolver(repository, options=options)):
        assert rules(validate(OFFICE, resolver=resolver, options=options)) == ["sourceTooLarge"]


@pytest.mark.parametrize(
    "hostile",
    [
        "dtmi:..:..:secret;1",
        "dtmi:/etc/passwd;1",
        "dtmi:test:../../secret;1",
        "dtmi:test:a\x00b;1",
        "../secret",
        "dtmi:test:" + "a" * 3000 + ";1",
        "dtmi:test:" + "a" * 5000 + ";1",
    ],
)
def test_no_dtmi_leads_out_of_the_folder(tmp_path, hostile):
    put(tmp_path / "secret-1.json", interface("Secret"))
    put(tmp_path / "secret", interface("Secret"))
    put(tmp_path / "repository/dtmi/test/room-1.json", interface("Room"))
    assert folder_resolver(tmp_path / "repository")([hostile]) == {}
    assert index_resolver(tmp_path / "repository")([hostile]) == {}


def test_what_is_no_dtmi_is_not_looked_for_even_where_a_file_has_it(tmp_path):
    put(tmp_path / "dtmi/room-1.json", {**interface(), "@id": "dtmi:test:..:room;1"})
    (tmp_path / "dtmi/test").mkdir()
    for resolver in (folder_resolver(tmp_path), index_resolver(tmp_path)):
        assert resolver(["dtmi:test:..:room;1"]) == {}


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    outside = put(tmp_path / "outside/room-1.json", interface("Room"))
    inside = tmp_path / "repository/dtmi/test"
    inside.mkdir(parents=True)
    (inside / "room-1.json").symlink_to(outside)
    wanted = ["dtmi:test:Room;1"]
    for resolver in (folder_resolver(tmp_path / "repository"), index_resolver(tmp_path / "repository")):
        assert resolver(wanted) == {}
    (inside / "room-1.json").unlink()
    inside.rmdir()
    inside.symlink_to(outside.parent)
    assert folder_resolver(tmp_path / "repository")(wanted) == {}


def test_a_link_inside_the_folder_and_a_folder_that_is_itself_a_link_are_followed(repository, tmp_path):
    put(repository / "dtmi/test/parts/room.json", interface("Room"))
    (repository / "dtmi/test/room-1.json").unlink()
    (repository / "dtmi/test/room-1.json").symlink_to("parts/room.json")
    alias = tmp_path / "alias"
    alias.symlink_to(repository, target_is_directory=True)
    assert list(folder_resolver(alias)(["dtmi:test:Room;1"])) == ["dtmi:test:Room;1"]


def test_a_circle_of_links_is_a_file_that_is_not_there(repository):
    file = repository / "dtmi/test/room-1.json"
    file.unlink()
    file.symlink_to(file.name)
    assert folder_resolver(repository)(["dtmi:test:Room;1"]) == {}
    assert index_resolver(repository)(["dtmi:test:Room;1"]) == {}


def test_a_folder_in_any_layout_is_looked_into_once(tmp_path):
    put(tmp_path / "a.json", interface("Room", extends="dtmi:test:Space;1"), interface("Other"))
    put(tmp_path / "deep/b.json", interface("Space"))
    put(tmp_path / ".git/c.json", interface("Dot"))
    (tmp_path / "broken.json").write_text("{")
    put(tmp_path / "data.json", {"name": "no interface"})
    resolver = resolver_of(tmp_path)

    models = parse(OFFICE, resolver=resolver)

    assert set(models) == {"dtmi:test:Office;1", "dtmi:test:Room;1", "dtmi:test:Space;1"}
    assert models["dtmi:test:Space;1"].source.endswith("b.json")
    put(tmp_path / "late.json", interface("Late"))
    assert resolver(["dtmi:test:Late;1", "dtmi:test:Dot;1"]) == {}


def test_a_single_file_is_a_place_too(tmp_path):
    file = put(tmp_path / "all.json", interface("Room"), interface("Other"))
    assert set(parse(OFFICE, resolver=resolver_of(file))) == {"dtmi:test:Office;1", "dtmi:test:Room;1"}


def test_the_first_of_several_folders_that_has_it_answers(repository, tmp_path):
    second = tmp_path / "second"
    put(second / "room.json", interface("Room", comment="second"))
    put(second / "hall.json", interface("Hall", comment="second"))
    wanted = interface("Office", extends=["dtmi:test:Room;1", "dtmi:test:Hall;1"])

    models = parse(wanted, resolver=resolver_of([repository / "dtmi", second]))
    assert (models["dtmi:test:Room;1"].comment, models["dtmi:test:Hall;1"].comment) == ("", "second")
    models = parse(wanted, resolver=resolver_of([second, repository / "dtmi"]))
    assert models["dtmi:test:Room;1"].comment == "second"


def test_a_mapping_answers_with_whatever_parse_takes(tmp_path):
    file = put(tmp_path / "space.json", interface("Space"))
    both = text(interface("Room", extends="dtmi:test:Space;1"), interface("Hall"))
    mapping = {"dtmi:test:Room;1": both, "dtmi:test:Hall;1": both, "dtmi:test:Space;1": file}
    wanted = interface("Office", extends=["dtmi:test:Room;1", "dtmi:test:Hall;1"])

    for resolver in (mapping_resolver(mapping), resolver_of(mapping), resolver_of([tmp_path / "space.json", mapping])):
        assert len(parse(wanted, resolver=resolver)) == 4


def test_nothing_and_a_callable_stay_what_they_are():
    def resolver(dtmis):
        return {}

    assert resolver_of(None) is None
    assert resolver_of(resolver) is resolver


def test_what_cannot_resolve_is_refused_by_name(tmp_path):
    with pytest.raises(DtdlError, match="no such file or folder"):
        resolver_of(tmp_path / "gone")
    for wrong in ("a folder as text", 5, [tmp_path, "text"]):
        with pytest.raises(DtdlError, match="cannot resolve DTMIs"):
            resolver_of(wrong)


@pytest.mark.shared
def test_the_public_repository_gives_all_that_a_model_of_it_needs(shared_data):
    folder = shared_data / "ontologies/iot-pnp-models"
    named = ["dtmi:azureiot:PhoneAsADevice;2"]
    for resolver in (folder_resolver(folder), resolver_of(folder)):
        (file,) = resolver(named).values()
        models = parse(file, resolver=resolver)
        assert {c.component for c in models.contents(named[0], "Component").values()} < set(models)
