"""Make docs/fidelity.md: what the local ADT server does as the service does it, and the test that holds it.

`scripts/fidelity` writes the page from tests/contract/fidelity.yaml. With --check nothing is written. Exit code 1: the
page is not what the data says (--check), a row names a test that is not there, an operation of the contract
has no row, a choice is not in the list, a cut interaction is not accounted for, or a row is not as the others.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["DATA", "PAGE", "cut_interactions", "existing", "faults_of", "page"]

ROOT: Final = Path(__file__).resolve().parents[2]
DATA: Final = ROOT / "tests" / "contract" / "fidelity.yaml"
CONTRACT: Final = ROOT / "tests" / "contract" / "adt.yaml"
PAGE: Final = ROOT / "docs" / "fidelity.md"
RECORDINGS: Final = ROOT / "tests" / "local" / "adt" / "test_recordings.py"
TABLES: Final = {
    "operations": "Operations",
    "queries": "Query forms",
    "events": "Events",
    "jobs": "Jobs",
    "limits": "Limits",
    "stage": "The stage",
    "access": "Access and instances",
    "transport": "On every answer",
}
_FROM: Final = {"recorded", "documented", "choice", "501"}
_KEYS: Final = {"what", "op", "from", "choices", "note", "tests"}


def _rows(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for table in TABLES:
        for row in data.get(table) or ():
            yield table, row


def _operations() -> dict[str, str]:
    """Method and path of every operation of the contract, by its id."""
    contract = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    return {
        operation["operationId"]: f"{method.upper()} {path}"
        for path, item in contract["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, dict)
    }


def cut_interactions() -> dict[str, str]:
    """What the recordings leave out, by recording and number of the interaction, as their test has it."""
    for node in ast.parse(RECORDINGS.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["CUT"]:
            return {f"{name} {number}": what for (name, number), what in ast.literal_eval(node.value).items()}
    raise LookupError(f"{RECORDINGS.name} has no CUT")


def page(data: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    operations = _operations()
    parts = [data["head"]]
    for table, title in TABLES.items():
        rows = data.get(table) or ()
        if not rows:
            continue
        what = "operation" if table == "operations" else "what"
        parts.append(f"\n## {title}\n\n| {what} | source | notes | held by |\n|---|---|---|---|\n")
        for row in rows:
            name = f"`{operations[row['op']]}`" if "op" in row else row["what"]
            source = ", ".join(row["from"])
            if row["choices"]:
                source += " " + ", ".join(map(str, row["choices"]))
            tests = _tests(row["tests"])
            parts.append("| " + " | ".join(map(_cell, (name, source, row.get("note", ""), tests))) + " |\n")
    parts.append(
        "\n## Recordings\n\nEach is replayed by `local/adt/test_recordings.py::test_a_recording_replays[NAME]`.\n\n"
    )
    parts.append(
        "| recording | interactions of which it does not have the whole, and what takes the place of it |\n|---|---|\n"
    )
    parts += [f"| {name} | {_cell(_cut(name, data['cut']))} |\n" for name in data["recordings"]]
    parts.append("\n## Choices\n\n")
    parts += [f"{number}. {text}\n" for number, text in sorted(data["choices"].items())]
    parts.append("\n" + data["ours"].strip() + "\n")
    return "".join(parts)


def _cut(name: str, instead: Mapping[str, str]) -> str:
    """What a recording leaves out, by interaction."""
    cut = {one.split(" ")[1]: (one, what) for one, what in cut_interactions().items() if one.split(" ")[0] == name}
    return "<br>".join(f"{number}: {what} → {instead.get(one)}" for number, (one, what) in cut.items())


def _tests(tests: Sequence[str]) -> str:
    """The names of tests; of one with several parameters the name stands once."""
    by_name: dict[str, list[str]] = {}
    for test in tests:
        name, bracket, parameter = test.partition("[")
        by_name.setdefault(name, []).append(bracket + parameter)
    return "<br>".join(f"`{name}`" if more == [""] else f"`{name}` {' '.join(more)}" for name, more in by_name.items())


def _cell(text: str) -> str:
    """A cell of a table, in which a stroke, in code as well, would begin the next."""
    return text.replace("|", "\\|")


def existing(named: Iterable[str]) -> set[str]:
    """Those of the node ids below tests/ that are there.

    A function is looked up in its file, which takes a moment for all of them; pytest is asked about parameters alone,
    but for those of recordings, which are not there without their data.
    """
    functions: dict[str, set[str]] = {}
    found: set[str] = set()
    with_parameters: set[str] = set()
    for test in named:
        file, _, rest = test.partition("::")
        function, _, parameter = rest.partition("[")
        if file not in functions:
            functions[file] = _functions(ROOT / "tests" / file)
        if function not in functions[file]:
            continue
        if parameter and ROOT / "tests" / file != RECORDINGS:
            with_parameters.add(test)
        else:
            found.add(test)
    if with_parameters:
        found |= with_parameters & _collected({test.partition("::")[0] for test in with_parameters})
    return found


def _functions(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    body = ast.parse(file.read_text(encoding="utf-8")).body
    names = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {name for name in names if name.startswith("test_")}


def _collected(files: Iterable[str]) -> set[str]:
    """The node ids that pytest finds in these files below tests/."""
    there = [f"tests/{name}" for name in sorted(files)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", *there],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"pytest cannot collect the tests:\n{done.stdout[-2000:]}")
    return {line.removeprefix("tests/") for line in done.stdout.splitlines() if "::" in line}


def faults_of(data: Mapping[str, Any], tests: set[str], operations: Mapping[str, str]) -> list[str]:
    """What is wrong with the data; `tests` are the node ids that exist."""
    found = []
    named: set[int] = set()
    for table, row in _rows(data):
        name = row.get("op") or row.get("what") or "a row without a name"
        where = f"{table}: {name}"
        if set(row) - _KEYS or not {"from", "choices", "tests"} <= set(row) or ("op" in row) == ("what" in row):
            found.append(f"{where}: needs op or what, from, choices and tests, and may have a note")
            continue
        if not row["from"] or not set(map(str, row["from"])) <= _FROM:
            found.append(f"{where}: from is a list of {', '.join(sorted(_FROM))}")
        if bool(row["choices"]) != ("choice" in row["from"]):
            found.append(f"{where}: a row has choices when, and only when, its from says so")
        named.update(row["choices"])
        if not row["tests"]:
            found.append(f"{where}: no test holds it")
        for test in row["tests"]:
            if test not in tests:
                found.append(f"{where}: there is no test {test}")
    have = [row["op"] for _, row in _rows(data) if "op" in row]
    found += [f"operations: {op} has no row" for op in operations if op not in have]
    found += [f"operations: {op} is not in the contract" for op in have if op not in operations]
    numbers = set(data["choices"])
    found += [f"choices: a row names {number}, which is not there" for number in sorted(named - numbers)]
    found += [f"choices: no row names {number}" for number in sorted(numbers - named)]
    cut = cut_interactions()
    found += [f"cut: {one} has nothing in its place" for one in cut if one not in data["cut"]]
    found += [f"cut: {one} is whole" for one in data["cut"] if one not in cut]
    if numbers != set(range(1, len(numbers) + 1)):
        found.append("choices: the numbers have a gap")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fidelity", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say whether the page is fresh")
    asked = parser.parse_args()
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    tests = existing(test for _, row in _rows(data) for test in row.get("tests", ()))
    faults = faults_of(data, tests, _operations())
    if not faults:
        made = page(data)
        if not asked.check:
            PAGE.write_text(made, encoding="utf-8")
        elif PAGE.read_text(encoding="utf-8") != made:
            faults.append("docs/fidelity.md is stale: run scripts/fidelity")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
