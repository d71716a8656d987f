"""What the checker is given and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remhart_adt.sync.types import Scope

__all__ = ["Case", "Verdict"]


@dataclass(frozen=True, slots=True)
class Case:
    """Where the evidence of one run lies.

    `hub_log` and `journal` are written by the stand-ins, `checkpoints` and `dead_letter` by the daemon; `ledger` is the
    daemon's report; `scope` names the hub as the checkpoint store knows it. `sent`: the producers' own count, None when
    they had to repeat a batch whose answer was lost (the hub may hold it twice). No file in `scan` may hold a secret.
    """

    endpoint: str
    hub_log: Path
    journal: Path
    checkpoints: Path
    dead_letter: Path
    graph_before: Path
    ledger: Mapping[str, Any]
    sent: int | None
    scope: Scope
    scan: tuple[Path, ...] = ()
    secrets: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Case:
        """From what `to_json` wrote."""
        return cls(
            endpoint=data["endpoint"],
            hub_log=Path(data["hub_log"]),
            journal=Path(data["journal"]),
            checkpoints=Path(data["checkpoints"]),
            dead_letter=Path(data["dead_letter"]),
            graph_before=Path(data["graph_before"]),
            ledger=data["ledger"],
            sent=data["sent"],
            scope=Scope(*data["scope"]),
            scan=tuple(Path(path) for path in data["scan"]),
            secrets=tuple(data["secrets"]),
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON; it holds the secrets to look for, so it goes through a pipe and never into a file."""
        plain = {key: getattr(self, key) for key in self.__slots__}
        return {
            key: str(value)
            if isinstance(value, Path)
            else [str(item) for item in value]
            if isinstance(value, tuple)
            else value
            for key, value in plain.items()
        }


@dataclass(slots=True)
class Verdict:
    """One invariant: whether it holds, how much was looked at, and the first few violations in words."""

    name: str
    looked_at: int = 0
    violations: list[str] = field(default_factory=list)
    count: int = 0

    @property
    def holds(self) -> bool:
        """True when something was looked at and nothing was wrong: an empty check proves nothing."""
        return self.looked_at > 0 and self.count == 0

    def fail(self, text: str) -> None:
        """Count one violation; the first twenty are kept in words."""
        self.count += 1
        if len(self.violations) < 20:
            self.violations.append(text)

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return {"holds": self.holds, "looked_at": self.looked_at, "count": self.count, "violations": self.violations}
