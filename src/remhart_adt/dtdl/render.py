"""A report for people and programs: rows, and SARIF 2.1.0 for code review (OASIS, 2020)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from remhart_adt.dtdl.messages import full_id, render, service_code
from remhart_adt.dtdl.types import Problem, Report

__all__ = ["REPORT_COLUMNS", "all_problems", "report_rows", "sarif"]

# What people read of a row; programs get the rest of it too.
REPORT_COLUMNS: Final = ("severity", "place", "rule", "message", "remedy")

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def all_problems(report: Report) -> Iterator[Problem]:
    """The problems of a report, and one for every place that names a DTMI which nothing defines."""
    yield from report.problems
    for missing in report.unresolved:
        message, remedy = render("unresolved", {"value": missing.dtmi})
        for place in missing.places:
            yield Problem(
                full_id("unresolved"), message, remedy, place, missing.dtmi, service_code=service_code("unresolved")
            )


def report_rows(report: Report) -> list[dict[str, Any]]:
    """One row per problem: severity, place, rule, message, remedy, and where to find it for a program."""
    return [
        {
            "severity": problem.severity,
            "place": str(problem.place),
            "rule": problem.rule,
            "message": problem.message,
            "remedy": problem.remedy,
            "id": problem.id,
            "element": problem.element,
            "path": problem.path,
            "file": problem.file,
            "line": problem.line,
            "column": problem.column,
        }
        for problem in all_problems(report)
    ]


def sarif(problems: Iterable[Problem], *, version: str, base: PurePath | None = None) -> dict[str, Any]:
    """The problems as a SARIF log. File names below `base` become relative to it, as code review wants them."""
    listed = list(problems)
    rules = list(dict.fromkeys(problem.id for problem in listed))
    numbers = {rule: number for number, rule in enumerate(rules)}
    driver = {
        "name": "remhart-adt",
        "version": version,
        "rules": [{"id": rule, "name": rule.rsplit(":", 1)[-1]} for rule in rules],
    }
    results = [_result(problem, numbers[problem.id], base) for problem in listed]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(problem: Problem, number: int, base: PurePath | None) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": problem.id,
        "ruleIndex": number,
        "level": problem.severity,
        "message": {"text": f"{problem.message} {problem.remedy}".strip()},
    }
    location = _location(problem, base)
    if location:
        result["locations"] = [location]
    return result


def _location(problem: Problem, base: PurePath | None) -> Mapping[str, Any]:
    location: dict[str, Any] = {}
    if problem.file:
        physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(problem.file, base)}}
        if problem.line:
            physical["region"] = {"startLine": problem.line, "startColumn": max(problem.column, 1)}
        location["physicalLocation"] = physical
    if problem.element:
        location["logicalLocations"] = [{"fullyQualifiedName": problem.element}]
    return location


def _uri(file: str, base: PurePath | None) -> str:
    path = PurePath(file)
    if base is not None and path.is_relative_to(base):
        path = path.relative_to(base)
    # Characters that a URI reference cannot have are written as percent signs and two digits (RFC 3986).
    from urllib.parse import quote

    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
