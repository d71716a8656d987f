"""The pytest fixture over the local ADT server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from remhart_adt.local.adt.server import LocalAdt, Options

__all__ = ["local_adt"]


@pytest.fixture
def local_adt() -> Iterator[LocalAdt]:
    """A fresh, empty local ADT server in a thread; `local_adt.endpoint` is its URL."""
    with LocalAdt(Options()) as server:
        yield server
