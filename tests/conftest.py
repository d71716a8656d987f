"""Shared by every test: where the reference data is, and the node packages."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from remhart_adt.log import Line

NODE_MODULES = Path(__file__).resolve().parent.parent / "tools" / "node" / "node_modules"

# The account and key that every Azurite knows.
ACCOUNT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey="
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip, with the reason, what this machine cannot run."""
    del config
    data = os.environ.get("REMHART_TEST_DATA")
    for item in items:
        if item.get_closest_marker("shared") and not data:
            item.add_marker(pytest.mark.skip(reason="REMHART_TEST_DATA is not set: no reference data"))
        if item.get_closest_marker("node") and not NODE_MODULES.is_dir():
            item.add_marker(
                pytest.mark.skip(reason="node packages are not installed (run `make test` with node present)")
            )


@pytest.fixture(autouse=True)
def _no_handler_left_behind() -> Iterator[None]:
    """A command that a test ran in its own process sends log lines to that test's standard error, not to a later's."""
    yield
    root = logging.getLogger()
    if any(isinstance(handler.formatter, Line) for handler in root.handlers):
        root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler.formatter, Line)]
        root.setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with reference data; tests that use it carry the `shared` marker."""
    return Path(os.environ["REMHART_TEST_DATA"]).resolve()


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """A storage connection string for a fresh Azurite; tests that use it carry the `node` marker."""
    process = subprocess.Popen(
        [
            str(NODE_MODULES / ".bin" / "azurite-blob"),
            "--inMemoryPersistence",
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            "0",
            "--disableTelemetry",
        ],
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
