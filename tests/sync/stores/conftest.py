"""The same tests for every store: SQLite always, Azure Blob on Azurite where node is installed."""

from __future__ import annotations

import re
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.sync.stores import BlobStore, SqliteStore
from remhart_adt.sync.types import Scope

SCOPE = Scope("127.0.0.1:5672", "Telemetry", "$Default")
AZURITE = Path(__file__).resolve().parents[3] / "tools" / "node" / "node_modules" / ".bin" / "azurite-blob"
ACCOUNT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey="
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
)


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """A storage connection string for a fresh Azurite."""
    process = subprocess.Popen(
        [str(AZURITE), "--inMemoryPersistence", "--blobHost", "127.0.0.1", "--blobPort", "0", "--disableTelemetry"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    port = None
    for line in process.stdout:
        if found := re.search(r"successfully listens? (?:at|on) http://127\.0\.0\.1:(\d+)", line):
            port = found[1]
            break
    assert port is not None, "Azurite did not start"
    # It logs every request; unread, it would block on a full pipe.
    drain = threading.Thread(target=process.stdout.read, daemon=True)
    drain.start()
    yield ACCOUNT.format(port=port)
    process.terminate()
    process.wait(10)
    drain.join(5)
    process.stdout.close()


@pytest.fixture(params=["sqlite", pytest.param("blob", marks=pytest.mark.node)])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    """Opens the same store again and again, as several processes would."""
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "deep" / "checkpoints.sqlite")
    account = request.getfixturevalue("azurite")
    container = f"c{uuid.uuid4().hex}"
    return lambda: BlobStore(account, container)
