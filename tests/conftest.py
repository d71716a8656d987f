"""Shared by every test: where the reference data is, and the node packages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

NODE_MODULES = Path(__file__).resolve().parent.parent / "tools" / "node" / "node_modules"


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


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with reference data; tests that use it carry the `shared` marker."""
    return Path(os.environ["REMHART_TEST_DATA"]).resolve()
