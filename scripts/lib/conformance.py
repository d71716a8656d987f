"""Run published cases against us and say how we do.

`scripts/conformance dtdl` runs the cases of a file and prints a table per suite and version, or with --results writes
what we say to each. Exit code 1: a case raised an exception it should not have, a line is no case, or (with --doc) a
disagreement has no reason.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

from conformance_cases import KNOWN_WORDS, Case, Outcome, Verdict, judge, load, run

ROOT: Final = Path(__file__).resolve().parents[2]
REASONS: Final = ROOT / "tests" / "dtdl" / "data" / "disagreements.json"
_PARTS: Final = {
    "valid": "validity right",
    "ids": "ids among expected",
    "same": "same ids",
    "unresolved": "same unresolved",
}
_DIFFERS: Final = {
    "valid": "validity",
    "ids": "ids beyond those expected",
    "same": "other ids",
    "unresolved": "other unresolved DTMIs",
}
_BEGIN: Final = "<!-- scripts/conformance dtdl --doc writes from here -->"
_END: Final = "<!-- to here -->"


@dataclass(frozen=True, slots=True)
class Judged:
    """A case with what we said and how that compares."""

    case: Case
    outcome: Outcome
    verdict: Verdict

    def record(self) -> dict[str, Any]:
        """A disagreement as a line of --failures."""
        data = self.case.data
        expected = {key: data[key] for key in ("valid", "expectedErrorIds", "unresolvedIdentifiers") if key in data}
        said = {"valid": self.outcome.valid, "ids": self.outcome.ids, "unresolved": self.outcome.unresolved}
        return {
            "name": self.case.name,
            "suite": self.case.suite,
            "version": self.case.version,
            "wrong": self.verdict.wrong or ("crash",),
            "expected": expected,
            "said": said | ({"crash": self.outcome.crash} if self.outcome.crash else {}),
            "options": sorted(self.case.words),
            "input": data.get("input", data.get("idText")),
        }


def run_all(cases: Sequence[Case], processes: int) -> list[Judged]:
    """Every case, judged, in the order given."""
    if processes == 1:
        outcomes = [run(case) for case in cases]
    else:
        with ProcessPoolExecutor(processes) as pool:
            outcomes = list(pool.map(run, cases, chunksize=100))
    return [Judged(case, outcome, judge(case, outcome)) for case, outcome in zip(cases, outcomes, strict=True)]


def rate(judged: Iterable[Judged], part: str) -> tuple[int, int]:
    """How many cases are right in one part of the verdict, of those that say something on it."""
    found = [getattr(one.verdict, part) for one in judged]
    return sum(right is True for right in found), sum(right is not None for right in found)


def table(judged: Sequence[Judged]) -> list[list[str]]:
    """Rows of text: a head, then each suite by version and as a whole."""
    rows = [["suite", "version", "cases", *_PARTS.values()]]
    for suite in sorted({one.case.suite for one in judged}):
        inside = [one for one in judged if one.case.suite == suite]
        versions = sorted({one.case.version for one in inside})
        for version in [*versions, "all"] if len(versions) > 1 else ["all"]:
            chosen = [one for one in inside if version in ("all", one.case.version)]
            rows.append([suite, version, str(len(chosen)), *(_percent(*rate(chosen, part)) for part in _PARTS)])
    return rows


def _percent(right: int, of: int) -> str:
    """Cut, not rounded: 100.00 means all."""
    return f"{right * 10_000 // of / 100:.2f} %" if of else "-"


def _show(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    aligned = [
        [
            cell.ljust(width) if n < 2 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
    return "\n".join("  ".join(row).rstrip() for row in aligned)


def _markdown(rows: list[list[str]]) -> list[str]:
    head, *body = rows
    rule = ["---", "---", *["--:"] * (len(head) - 2)]
    return ["| " + " | ".join(row) + " |" for row in (head, rule, *body)]


def explain(disagreements: Sequence[Judged], reasons: dict[str, str]) -> tuple[dict[str, list[Judged]], list[str]]:
    """The disagreements by their reason, and what is amiss: those that have none, and reasons that nothing needs."""
    explained: dict[str, list[Judged]] = {reason: [] for reason in reasons.values()}
    used: set[str] = set()
    amiss: list[str] = []
    for one in disagreements:
        pattern = next((p for p in reasons if p == one.case.name or fnmatchcase(one.case.name, p)), None)
        if pattern is None:
            amiss.append(f"no reason for {one.case.name} ({', '.join(one.verdict.wrong) or 'crash'})")
        else:
            used.add(pattern)
            explained[reasons[pattern]].append(one)
    amiss += [f"no disagreement needs the reason of {pattern}" for pattern in reasons if pattern not in used]
    return explained, amiss


def _document(judged: Sequence[Judged], explained: dict[str, list[Judged]]) -> str:
    """What --doc writes between its marks: the table, then the disagreements by reason."""
    count = sum(map(len, explained.values()))
    lines = [*_markdown(table(judged)), "", "## Where we disagree", "", f"In {count} of {len(judged)} cases:", ""]
    for reason, ones in explained.items():
        if ones:
            lines += [f"**{reason}** ({len(ones)})", ""]
            lines += [f"- `{one.case.name}`: {', '.join(_DIFFERS[part] for part in one.verdict.wrong)}" for one in ones]
            lines.append("")
    return "\n".join(lines)


def _write_document(path: Path, text: str) -> None:
    """Put the text between the marks of a document."""
    whole = path.read_text(encoding="utf-8")
    if whole.count(_BEGIN) != 1 or whole.count(_END) != 1:
        sys.exit(f"{path} needs the marks {_BEGIN} and {_END}, once each")
    before, rest = whole.split(_BEGIN)
    after = rest.split(_END)[1]
    path.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")


def _default_cases() -> Path | None:
    data = os.environ.get("REMHART_TEST_DATA")
    return Path(data) / "dtdl" / "cases.ndjson.gz" if data else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/conformance", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    dtdl = verbs.add_parser("dtdl", help="the cases of the DTDL parser")
    found = _default_cases()
    dtdl.add_argument(
        "--cases", type=Path, default=found, required=found is None, help="NDJSON, gzipped or not ($REMHART_TEST_DATA)"
    )
    dtdl.add_argument("--results", type=Path, help="write what we say to each case here (NDJSON), and no table")
    dtdl.add_argument("--failures", type=Path, help="write every disagreement here (NDJSON)")
    dtdl.add_argument("--doc", type=Path, help="write the table and the reasons into this document")
    dtdl.add_argument("--reasons", type=Path, default=REASONS, help="JSON: name or pattern of a case to reason")
    dtdl.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def main() -> int:
    asked = _arguments()
    try:
        read = list(load(asked.cases))
    except (OSError, EOFError) as error:
        sys.exit(f"{asked.cases} cannot be read: {error}")
    faults = [one for one in read if isinstance(one, str)]
    cases = [one for one in read if isinstance(one, Case)]
    judged = run_all(cases, asked.processes)
    disagreements = [one for one in judged if one.verdict.wrong or one.outcome.crash]
    crashes = [one for one in judged if one.outcome.crash]
    faults += [f"{one.case.name} raised an exception:\n{one.outcome.crash}" for one in crashes]

    if asked.results is not None:
        asked.results.write_text("".join(one.outcome.line() + "\n" for one in judged), encoding="utf-8")
    else:
        print(_show(table(judged)))
    if asked.failures is not None:
        lines = [json.dumps(one.record()) + "\n" for one in disagreements]
        asked.failures.write_text("".join(lines), encoding="utf-8")
    if asked.doc is not None:
        explained, amiss = explain(disagreements, json.loads(asked.reasons.read_text(encoding="utf-8")))
        _write_document(asked.doc, _document(judged, explained))
        faults += amiss

    unknown = Counter(word for case in cases for word in case.words - KNOWN_WORDS)
    for word, count in unknown.items():
        print(f"not known, so without effect: {word} ({count} cases)", file=sys.stderr)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
