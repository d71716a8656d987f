"""A local Azure Digital Twins server: the data plane's wire behaviour over SQLite, for the unmodified clients."""

from remhart_adt.local.adt.assembly import parse_clock
from remhart_adt.local.adt.remote import Admin, ClockState, Counts, FaultRules, FaultState, JournalRow, Settings
from remhart_adt.local.adt.server import MEMORY, LocalAdt, Options, serve

__all__ = [
    "MEMORY",
    "Admin",
    "ClockState",
    "Counts",
    "FaultRules",
    "FaultState",
    "JournalRow",
    "LocalAdt",
    "Options",
    "Settings",
    "parse_clock",
    "serve",
]
