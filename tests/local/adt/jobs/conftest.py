"""Makes job_stage.py importable (the tests run in importlib mode)."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from job_stage import Stage

from remhart_adt.local.adt import Options


@pytest.fixture
def stage(wire_to: Any, tmp_path: Path) -> Stage:
    """A server whose folder of blobs is the test's own."""
    return Stage(wire_to(Options(blob_folder=tmp_path)), tmp_path)


@pytest.fixture
def silent() -> Iterator[str]:
    """Storage that takes connections and never answers: a job goes on running."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/devstoreaccount1/jobs"
