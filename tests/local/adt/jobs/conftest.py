"""Makes job_stage.py importable (the tests run in importlib mode)."""

from __future__ import annotations

import sys
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
