"""Make docs/fidelity.md: what the local ADT server does as the service does it, and the test that holds it.

`scripts/fidelity` writes the page from tests/contract/fidelity.yaml. With --check nothing is written. Exit code 1: the
page is not what the data says (--check), a row names a test that pytest does not collect, an operation of the contract
has no row, a choice is not in the list, or a row is not as the others.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["PAGE", "collected", "faults_of", "page"]

ROOT: Final = Path(__file__).resolve().parents[2]
DATA: Final = ROOT / "tests" / "contract" / "fidelity.yaml"
CONTRACT: Final = ROOT / "tests" / "contract" / "adt.yaml"
PAGE: Final = ROOT / "docs" / "fidelity.md"
TABLES: Final = {
    "operations": "Operations",
    "queries": "Query forms",
    "events": "Events",
    "jobs": "Jobs",
    "limits": "Limits",
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
            tests = "<br>".join(f"`{test}`" for test in row["tests"])
            parts.append(f"| {name} | {source} | {row.get('note', '')} | {tests} |\n")
    also = ", ".join(f"`{name}`" for name in data["replayed"])
    parts.append(
        f"\n## Recordings\n\nEvery recording is replayed by a test of its own, beside those above: {also}.\n\n"
    )
    parts.append(
        "What a test sends where the recording does not say it:\n\n| recording | what is cut | in its place |\n"
    )
    parts.append("|---|---|---|\n")
    parts += [f"| {row['recording']} | {row['step']} | {row['instead']} |\n" for row in data["cut"]]
    parts.append("\n## Choices\n\n")
    parts += [f"{number}. {text}\n" for number, text in sorted(data["choices"].items())]
    parts.append("\n" + data["ours"].strip() + "\n")
    return "".join(parts)


def collected(files: Sequence[str]) -> set[str]:
    """The node ids that pytest finds in these files below tests/, with and without their parameters."""
    there = [f"tests/{name}" for name in sorted(set(files)) if (ROOT / "tests" / name).is_file()]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", *there],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = {line.removeprefix("tests/") for line in done.stdout.splitlines() if "::" in line}
    if done.returncode != 0:
        sys.exit(f"pytest cannot collect the tests:\n{done.stdout[-2000:]}")
    return lines | {line.partition("[")[0] for line in lines}


def faults_of(data: Mapping[str, Any], tests: set[str], operations: Mapping[str, str]) -> list[str]:
    """What is wrong with the data. A test of one recording counts when all recordings are replayed by one test."""
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
        if bool(row["choices"]) != ("choice" in row["from"]) and not row["choices"]:
            found.append(f"{where}: which choice?")
        named.update(row["choices"])
        if not row["tests"]:
            found.append(f"{where}: no test holds it")
        for test in row["tests"]:
            plain = re.sub(r"\[[^\[\]]*\]$", "", test) if "test_a_recording_replays[" in test else test
            if plain not in tests:
                found.append(f"{where}: there is no test {test}")
    have = [row["op"] for _, row in _rows(data) if "op" in row]
    found += [f"operations: {op} has no row" for op in operations if op not in have]
    found += [f"operations: {op} is not in the contract" for op in have if op not in operations]
    numbers = set(data["choices"])
    found += [f"choices: a row names {number}, which is not there" for number in sorted(named - numbers)]
    found += [f"choices: no row names {number}" for number in sorted(numbers - named)]
    if numbers != set(range(1, len(numbers) + 1)):
        found.append("choices: the numbers have a gap")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fidelity", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say whether the page is fresh")
    asked = parser.parse_args()
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    files = [test.partition("::")[0] for _, row in _rows(data) for test in row.get("tests", ())]
    faults = faults_of(data, collected(files), _operations())
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
