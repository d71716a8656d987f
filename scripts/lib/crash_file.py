"""What must hold in the data file and the journal of the local ADT server whenever it has just started."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

__all__ = ["FileJudge", "JournalJudge"]


class FileJudge:
    """Looks at the data file with a connection of its own; remembers numbers, which must never be used twice."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._numbers: dict[str, dict[Any, int]] = {"twins": {}, "relationships": {}}
        self._highest: dict[str, int] = {}

    def judge(self, counts: dict[str, Any]) -> list[str]:
        """What is wrong; `counts` is what the server's health says. Nobody may write meanwhile."""
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as db:
            wrong = [f"integrity_check: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            for table in ("models", "twins", "relationships"):
                rows = db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
                if rows != counts[table]:
                    wrong.append(f"{rows} {table} in the file, health says {counts[table]}")
            models = {row[0] for row in db.execute("SELECT id FROM models")}
            twins = db.execute("SELECT n, id, model, etag, doc FROM twins").fetchall()
            for _, name, model, etag, text in twins:
                wrong += [f"twin {name}: {what}" for what in _twin(name, model, etag, text, models)]
            names = {row[1] for row in twins}
            links = db.execute("SELECT n, id, source, name, target, etag, doc FROM relationships").fetchall()
            for _, rid, source, name, target, etag, text in links:
                doc = json.loads(text)
                said = [
                    doc[f"${key}"] for key in ("relationshipId", "sourceId", "relationshipName", "targetId", "etag")
                ]
                if said != [rid, source, name, target, etag]:
                    wrong.append(f"relationship {source}/{rid} has columns other than its document")
                if not {source, target} <= names:
                    wrong.append(f"relationship {source}/{rid} has an end that does not exist")
            highest = dict(db.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        wrong += self._numbering("twins", {row[1]: row[0] for row in twins}, highest)
        wrong += self._numbering("relationships", {(row[2], row[1]): row[0] for row in links}, highest)
        self._highest = highest
        return wrong

    def _numbering(self, table: str, numbers: dict[Any, int], highest: dict[str, int]) -> list[str]:
        """A row keeps its number, since pages go on from it; a new one has a number that no row had before."""
        before, known = self._highest.get(table, 0), self._numbers[table]
        wrong = [
            f"{table}: {key} has number {number}, it had {known.get(key)}, and {before} was given before"
            for key, number in numbers.items()
            if number != known.get(key) and number <= before
        ]
        if highest.get(table, 0) < max([before, *numbers.values()]):
            wrong.append(f"{table}: numbering fell back from {before} to {highest.get(table, 0)}")
        self._numbers[table] = numbers
        return wrong


def _twin(name: str, model: str, etag: str, text: str, models: set[str]) -> list[str]:
    try:
        doc = json.loads(text)
    except ValueError:
        return ["its document is not JSON"]
    wrong = []
    if [doc["$dtId"], doc["$etag"], doc["$metadata"]["$model"]] != [name, etag, model]:
        wrong.append("its columns differ from its document")
    if model not in models:
        wrong.append(f"its model {model} does not exist")
    components = {key for key, value in doc.items() if isinstance(value, dict) and "$metadata" in value}
    for part, holder in [("", doc), *((key, doc[key]) for key in components)]:
        properties = {key for key in holder if key[:1] != "$"} - (components if not part else set())
        entries = {key: value for key, value in holder["$metadata"].items() if key[:1] != "$"}
        if properties != entries.keys():
            wrong.append(f"{part or 'it'} has properties {sorted(properties)} and metadata of {sorted(entries)}")
        if any(entry["lastUpdateTime"] > doc["$metadata"]["$lastUpdateTime"] for entry in entries.values()):
            wrong.append("a property is newer than it")
    return wrong


class JournalJudge:
    """Reads on where it stopped; keeps the entity tags that were given out."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._at = 0
        self._last = 0
        self._etags: set[str] = set()

    def judge(self, etags: list[str]) -> list[str]:
        """What is wrong with the rows since the last time; `etags` were acknowledged, so they must be there."""
        wrong = []
        with self._file.open("rb") as file:
            file.seek(self._at)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # the next start cuts a torn line off
                self._at += len(line)
                row = json.loads(line)
                if row["n"] != self._last + 1:
                    wrong.append(f"journal: row {row['n']} follows row {self._last}")
                self._last = row["n"]
                if row["etag"] and row["method"] != "GET":
                    if row["etag"] in self._etags:
                        wrong.append(f"journal: the entity tag {row['etag']} was given twice")
                    self._etags.add(row["etag"])
        wrong += [f"journal: {etag} was acknowledged and is not there" for etag in etags if etag not in self._etags]
        return wrong
