"""The same tests for every store: SQLite always, Azure Blob on Azurite where node is installed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.sync.stores import BlobStore, SqliteStore
from remhart_adt.sync.types import Scope

SCOPE = Scope("127.0.0.1:5672", "Telemetry", "$Default")


@pytest.fixture(params=["sqlite", pytest.param("blob", marks=pytest.mark.node)])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    """Opens the same store again and again, as several processes would."""
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "deep" / "checkpoints.sqlite")
    account = request.getfixturevalue("azurite")
    container = f"c{uuid.uuid4().hex}"
    return lambda: BlobStore(account, container)
