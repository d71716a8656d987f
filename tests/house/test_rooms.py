"""The house keeps its plan: rooms import downwards only, files stay small, names are sorted, docs name every room."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "src" / "remhart_adt"

# From the roof to the cellar. A module may import from its own room and from rooms further down.
FLOORS = (
    ("cli",),
    ("demo", "testing"),
    ("checker",),
    ("sync",),
    ("graph",),
    ("provision",),
    ("local",),
    ("client",),
    ("scoring",),
    ("simulate",),
    ("query",),
    ("ontology",),
    ("dtdl",),
    ("config", "observe", "readings"),
    ("ids", "limits", "log", "resources"),
    ("clock", "errors"),
)
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name != "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found: set[str] = set()
    package = ["remhart_adt", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            stem = ".".join(part for part in (base, node.module or "") if part)
            names = [stem, *(f"{stem}.{alias.name}" for alias in node.names)] if stem == "remhart_adt" else [stem]
        for name in names:
            parts = name.split(".")
            if parts[0] == "remhart_adt" and len(parts) > 1 and not parts[1].startswith("__"):
                found.add(parts[1])
    return found


def test_every_module_has_a_floor() -> None:
    unknown = {room_of(path) for path in modules()} - set(LEVEL)

    assert unknown == set()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    here = room_of(path)
    upward = {room for room in imported_rooms(path) if room != here and LEVEL[room] <= LEVEL[here]}

    assert upward == set(), f"{path.relative_to(ROOT)} imports upwards or sideways"


def test_no_file_is_longer_than_500_lines() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "*.py", "scripts/*"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = tracked.stdout.split() or [str(path.relative_to(ROOT)) for path in modules()]
    long = {
        name: n
        for name in names
        if (ROOT / name).is_file() and (n := len((ROOT / name).read_text("utf-8").splitlines())) > 500
    }

    assert long == {}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_public_names_exist(path: Path) -> None:  # that they are sorted is ruff's rule RUF022
    name = ".".join(["remhart_adt", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
    module = importlib.import_module(name)

    assert [name for name in getattr(module, "__all__", []) if not hasattr(module, name)] == []


def test_the_architecture_page_names_every_room_and_no_other() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^### `([a-z_]+)(?:/|\.py)`", page, re.MULTILINE))
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("_")}
    singles = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}

    assert described == rooms | singles


def test_the_project_holds_no_path_of_one_machine() -> None:
    homes = r"(^|[^A-Za-z0-9_.:/-])/(home|root|Users|workspace)/[A-Za-z]"
    found = subprocess.run(
        ["git", "grep", "-nIlE", homes, "--", "."], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert found.stdout.split() == []
