"""The local ADT server, for what has to be proved against the real client."""

from __future__ import annotations

from remhart_adt.testing import local_adt as local_adt
