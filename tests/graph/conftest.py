"""The local ADT server for the tests of this room."""

from __future__ import annotations

from remhart_adt.testing import local_adt

__all__ = ["local_adt"]
