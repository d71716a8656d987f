"""Makes stage.py of this folder importable (the tests run in importlib mode)."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[object]:
    """Both stand-ins as processes, models uploaded, a graph applied; everything is stopped at the end."""
    from stage import Stage

    running = Stage(tmp_path)
    try:
        running.begin()
        yield running
    finally:
        running.end()
