"""Cases of DTDL conformance: read from a file, run, and held against what they expect."""

from __future__ import annotations

import gzip
import json
import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from remhart_adt.dtdl import validate
from remhart_adt.dtdl.dtmi import Dtmi
from remhart_adt.dtdl.options import Options, WhenToAllow
from remhart_adt.errors import DtdlError

__all__ = ["CRASH", "KNOWN_WORDS", "Case", "Outcome", "Verdict", "judge", "load", "run"]

CRASH: Final = "remhart:dtdl:crash"
MUTANTS: Final = "oracle_mutants"
_UNDEFINED: Final[dict[str, WhenToAllow]] = {
    "AllowUndefinedExtensions": "always",
    "DisallowUndefinedExtensions": "never",
}
_QUIRKS: Final[dict[str, dict[str, Any]]] = {
    "TolerateSolecismsInParse": {"tolerate_solecisms": True},
    "TolerateSolecismsInResolve": {"tolerate_solecisms_in_resolved": True},
}
KNOWN_WORDS: Final = frozenset({*_UNDEFINED, *_QUIRKS})
_DECODER: Final = json.JSONDecoder()
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_CONTEXT: Final = re.compile(r"dtmi:dtdl:context;(\d+)")


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a case file: `data` decoded, and the `line` itself, which still has numbers as they were written."""

    name: str
    suite: str
    version: str
    data: dict[str, Any]
    line: str

    @property
    def words(self) -> frozenset[str]:
        """The options and quirks it asks for, by the official parser's names."""
        return frozenset(str(word) for key in ("options", "quirks") for word in _listed(self.data.get(key)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What we say to a case. `crash` is the traceback of an exception that should not have been."""

    name: str
    valid: bool
    ids: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    crash: str = ""

    def line(self) -> str:
        """As a line of a result file."""
        answer = {"name": self.name, "valid": self.valid, "ids": self.ids, "unresolved": self.unresolved}
        return json.dumps(answer)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome held against the case: True and False where the case says something on it, else None.

    `ids` is the official harness's own rule: where error ids are expected, ours are not empty and all among them.
    `same`: exactly the ids that the official parser said, which only the mutants tell. `unresolved`: the same DTMIs.
    """

    valid: bool | None
    ids: bool | None
    same: bool | None
    unresolved: bool | None

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is not as expected, by name."""
        parts = {"valid": self.valid, "ids": self.ids, "same": self.same, "unresolved": self.unresolved}
        return tuple(name for name, right in parts.items() if right is False)


def load(path: Path) -> Iterator[Case | str]:
    """The cases of a file, one JSON object a line, gzipped or not; a string says what is wrong with a line."""
    raw = path.read_bytes()
    text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    for number, encoded in enumerate(text.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        if not encoded.strip():
            continue
        try:
            line = encoded.decode("utf-8", "surrogatepass")
            data = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield f"line {number} is no case: {error}"
            continue
        if not isinstance(data, dict):
            yield f"line {number} is no case: it is no JSON object"
            continue
        yield Case(
            str(data.get("name", f"line {number}")), str(data.get("suite", "-")), _version(data, line), data, line
        )


def _version(data: dict[str, Any], line: str) -> str:
    """The DTDL version a case is about; where it does not say, the newest that its text names."""
    stated = data.get("dtdlVersion")
    if stated is not None:
        return str(stated)
    named = [int(number) for number in _CONTEXT.findall(line)]
    return str(max(named)) if named else "-"


def run(case: Case) -> Outcome:
    """What we say to a case; an exception that should not have been is an outcome too."""
    try:
        return _parse_dtmi(case) if "idText" in case.data else _validate(case)
    except Exception:
        return Outcome(case.name, False, (CRASH,), crash=traceback.format_exc())


def _parse_dtmi(case: Case) -> Outcome:
    """A case of the DTMI suite: is the text a DTMI, and what are its parts."""
    text = case.data["idText"]
    try:
        dtmi = Dtmi.parse(text)
    except DtdlError:
        return Outcome(case.name, False)
    parts = {
        "MajorVersion": dtmi.major,
        "MinorVersion": dtmi.minor,
        "CompleteVersion": dtmi.complete_version,
        "Versionless": dtmi.versionless,
        "Labels": list(dtmi.labels),
        "IsReserved": dtmi.reserved,
        "Fragment": dtmi.fragment,
    }
    return Outcome(case.name, True, fields=parts)


def _validate(case: Case) -> Outcome:
    resolver = _Resolver(case) if case.data.get("resolution") else None
    report = validate(*_inputs(case), resolver=resolver, options=_options(case))
    return Outcome(
        case.name,
        report.valid,
        tuple(sorted({problem.id for problem in report.errors})),
        tuple(sorted({missing.dtmi for missing in report.unresolved})),
    )


def _options(case: Case) -> Options:
    options = Options()
    for word, allowed in _UNDEFINED.items():
        if word in case.words:
            options = replace(options, undefined_extensions=allowed)
    for word, tolerated in _QUIRKS.items():
        if word in case.words:
            options = replace(options, **tolerated)
    if case.data.get("maxDtdlVersion") is not None:
        options = replace(options, max_version=int(case.data["maxDtdlVersion"]))
    return replace(options, limit_contexts=tuple(_listed(case.data.get("acceptableLimits"))))


def _inputs(case: Case) -> list[str]:
    """The texts of a case: each entry of a list is one, and so is a value that is no list."""
    return _texts(case.data.get("input"), _written(case.line, "input"))


def _texts(value: Any, written: str) -> list[str]:
    """The DTDL texts that a value of a case stands for; `written` is how the line has it."""
    if not isinstance(value, list):
        return [_text(value, written)]
    return [_text(entry, part) for entry, (_, part) in zip(value, _parts(written), strict=True)]


def _written(text: str, *path: str | int) -> str:
    """How the value at a path is written in a JSON text; null where there is none."""
    for step in path:
        text = dict(_parts(text)).get(step, "null")
    return text


def _parts(text: str) -> Iterator[tuple[str | int, str]]:
    """The members of a JSON object, or the entries of an array, as they are written."""
    position = _blank(text, 0)
    named, number, position = text[position] == "{", 0, _blank(text, position + 1)
    while text[position] not in "}]":
        key: str | int = number
        if named:
            key, position = _DECODER.raw_decode(text, position)
            position = _blank(text, _blank(text, position) + 1)
        _, end = _DECODER.raw_decode(text, position)
        yield key, text[position:end]
        number, position = number + 1, _blank(text, end)
        if text[position] == ",":
            position = _blank(text, position + 1)


def _blank(text: str, position: int) -> int:
    """Where the next token begins."""
    match = _BLANK.match(text, position)
    return match.end() if match is not None else position


def _text(value: Any, written: str) -> str:
    """One value of a case as DTDL text: a string is the text itself, anything else is taken as the line has it.

    A string that could never hold a model, since there is no bracket in it and it is no JSON, was meant as a JSON
    string: case files that hold decoded JSON have such documents too.
    """
    if not isinstance(value, str):
        return written
    if value.strip() and not any(bracket in value for bracket in "{}[]") and not _is_json(value):
        return json.dumps(value)
    return value


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


class _Resolver:
    """Answers questions from a case: an entry that asks for just these DTMIs, else the next one that asks for any."""

    def __init__(self, case: Case) -> None:
        self._case = case
        entries = enumerate(_listed(case.data["resolution"]))
        self._left = [(number, set(_listed(entry.get("request")))) for number, entry in entries]

    def __call__(self, dtmis: Sequence[str]) -> list[str] | None:
        wanted = set(dtmis)
        number = next((n for n, asked in self._left if asked == wanted), None)
        if number is None:
            number = next((n for n, asked in self._left if asked & wanted), None)
        if number is None:
            return None
        self._left = [(n, asked) for n, asked in self._left if n != number]
        response = _listed(self._case.data["resolution"])[number].get("response")
        if response is None:
            return None
        return _texts(response, _written(self._case.line, "resolution", number, "response"))


def judge(case: Case, outcome: Outcome) -> Verdict:
    """Hold an outcome against what its case expects."""
    valid: bool | None = None
    if isinstance(case.data.get("valid"), bool):
        valid = outcome.valid == case.data["valid"] and _as_expected(case.data.get("expect"), outcome.fields)
    expected = set(_listed(case.data.get("expectedErrorIds")))
    said = set(outcome.ids)
    missing = set(_listed(case.data.get("unresolvedIdentifiers")))
    unresolved: bool | None = None
    if missing or case.suite == MUTANTS:
        unresolved = set(outcome.unresolved) == missing
    return Verdict(
        valid,
        bool(said) and said <= expected if expected else None,
        said == expected if case.suite == MUTANTS else None,
        unresolved,
    )


def _as_expected(expect: Any, fields: dict[str, Any]) -> bool:
    """Whether the parts of a DTMI are those expected; only the parts that a case names count."""
    if not isinstance(expect, dict) or not fields:
        return True
    return all(fields[name] == value for name, value in expect.items() if name in fields)
