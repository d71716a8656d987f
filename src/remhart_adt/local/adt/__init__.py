"""A local Azure Digital Twins server: the service's wire behaviour over SQLite, for the unmodified clients."""

from remhart_adt.local.adt.assembly import MEMORY, EndpointOption, Options, Tls, parse_clock
from remhart_adt.local.adt.bounds import Bounds
from remhart_adt.local.adt.remote import Admin, ClockState, Counts, FaultRules, FaultState, JournalRow, Settings
from remhart_adt.local.adt.remote_control import Control, InstanceInfo, RoleAssignment
from remhart_adt.local.adt.server import LocalAdt, serve

__all__ = [
    "MEMORY",
    "Admin",
    "Bounds",
    "ClockState",
    "Control",
    "Counts",
    "EndpointOption",
    "FaultRules",
    "FaultState",
    "InstanceInfo",
    "JournalRow",
    "LocalAdt",
    "Options",
    "RoleAssignment",
    "Settings",
    "Tls",
    "parse_clock",
    "serve",
]
