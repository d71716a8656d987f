"""The judge: invariants I1 to I7 from the hub's log, the request journal and the twins.

It runs as a process of its own (`python -m remhart_adt.checker CASE.json`) and believes the daemon in nothing that the
stand-ins' own records can tell.
"""

from remhart_adt.checker.journal import Request, Write, read_journal, stamps_of_patch, writes
from remhart_adt.checker.types import Case, Verdict

__all__ = ["Case", "Request", "Verdict", "Write", "read_journal", "stamps_of_patch", "writes"]
