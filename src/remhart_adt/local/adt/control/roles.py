"""The two data-plane roles of the service, and who holds which on an instance.

An assignment may begin, and end, some seconds after it was asked for: on the real service that takes minutes, and a
client that gives up at the first 403 after a deployment is better found here.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from remhart_adt.clock import Clock, format_us
from remhart_adt.local.adt.errors import invalid_argument
from remhart_adt.local.adt.store import Store

__all__ = [
    "DATA_OWNER",
    "DATA_READER",
    "ROLES",
    "Assignment",
    "RoleAssignments",
    "allows",
    "checked_delay",
    "checked_principal",
    "checked_role",
]

DATA_OWNER: Final = "Azure Digital Twins Data Owner"
DATA_READER: Final = "Azure Digital Twins Data Reader"
ROLES: Final = (DATA_OWNER, DATA_READER)

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS role_assignments(principal TEXT PRIMARY KEY, role TEXT NOT NULL, "
    "begins_us INTEGER NOT NULL, ends_us INTEGER)"
)
_MAX_ASSIGNMENTS: Final = 2000  # per instance; the service has 4,000 per subscription
_MAX_PRINCIPAL: Final = 200
_MAX_DELAY: Final = 86_400.0


def allows(roles: frozenset[str], method: str, segments: tuple[str, ...]) -> bool:
    """Whether holders of these roles may make a request; what a reader may is the published list of data actions."""
    if DATA_OWNER in roles:
        return True
    reads = method == "GET" or (method == "POST" and len(segments) == 1 and segments[0].lower() == "query")
    return reads and DATA_READER in roles


def checked_role(value: Any) -> str:
    """The role of this name; raises 400 that lists the names."""
    if value not in ROLES:
        raise invalid_argument(f"A role is one of: {', '.join(ROLES)}.")
    return str(value)


def checked_principal(value: Any) -> str:
    """The name of a user, group or application; raises 400."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_PRINCIPAL or not value.isprintable():
        raise invalid_argument(f"A principal is a name of 1 to {_MAX_PRINCIPAL} printable characters.")
    return value


def checked_delay(value: Any) -> float:
    """Seconds until a change takes effect; raises 400."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_DELAY:
        raise invalid_argument(f"propagation_seconds is a number between 0 and {_MAX_DELAY:.0f}.")
    return float(value)


class Assignment(NamedTuple):
    """A principal's role from `begins_us` to, not including, `ends_us` (microseconds since the epoch; None: no end)."""

    principal: str
    role: str
    begins_us: int
    ends_us: int | None

    def to_json(self, now_us: int) -> dict[str, Any]:
        """As the admin API shows it."""
        begun = self.begins_us <= now_us
        return {
            "principal": self.principal,
            "role": self.role,
            "effective": begun and (self.ends_us is None or now_us < self.ends_us),
            "begins": format_us(self.begins_us),
            "ends": None if self.ends_us is None else format_us(self.ends_us),
        }


class RoleAssignments:
    """The assignments of one instance, kept in its file; one per principal."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        store.ensure(_SCHEMA)

    def put(self, principal: str, role: str, delay: float = 0.0) -> Assignment:
        """Give a principal this role in `delay` seconds, in place of any other; raises 400 when there are too many."""
        if self.get(principal) is None and len(self.all()) >= _MAX_ASSIGNMENTS:
            raise invalid_argument(f"An instance has at most {_MAX_ASSIGNMENTS} role assignments; delete some first.")
        given = Assignment(principal, role, self._clock.now_us() + round(delay * 1e6), None)
        self._store.write("INSERT OR REPLACE INTO role_assignments VALUES(?,?,?,?)", given)
        return given

    def get(self, principal: str) -> Assignment | None:
        """A principal's assignment, whether it is in effect or not."""
        found = [one for one in self.all() if one.principal == principal]
        return found[0] if found else None

    def all(self) -> list[Assignment]:
        """Every assignment that has not ended, by principal."""
        sql = (
            "SELECT principal, role, begins_us, ends_us FROM role_assignments WHERE ends_us IS NULL OR ends_us > ? "
            "ORDER BY principal"
        )
        return [Assignment(*row) for row in self._store.read(sql, (self._clock.now_us(),))]

    def delete(self, principal: str, delay: float = 0.0) -> None:
        """Take a principal's role away in `delay` seconds; nothing happens when there is none."""
        if delay > 0:
            ends = self._clock.now_us() + round(delay * 1e6)
            self._store.write("UPDATE role_assignments SET ends_us=? WHERE principal=?", (ends, principal))
        else:
            self._store.write("DELETE FROM role_assignments WHERE principal=?", (principal,))

    def clear(self) -> None:
        """Remove every assignment; part of the open transaction."""
        self._store.write("DELETE FROM role_assignments")

    def of(self, principal: str) -> frozenset[str]:
        """The roles a principal holds now."""
        sql = (
            "SELECT role FROM role_assignments WHERE principal=?1 AND begins_us <= ?2 "
            "AND (ends_us IS NULL OR ends_us > ?2)"
        )
        return frozenset(row[0] for row in self._store.read(sql, (principal, self._clock.now_us())))
