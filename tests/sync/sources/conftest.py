"""Scenarios that run at once, and the handler they use."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.local.eventhub.testing import event_hub_client_leftovers

__all__ = ["event_hub_client_leftovers"]

sys.path.insert(0, str(Path(__file__).parent))  # makes keeping.py importable (the tests run in importlib mode)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Runs every scenario of the module at once (they mostly wait for the client's own pauses); the function answers,
    or raises, what one of them did."""
    scenarios = request.module.SCENARIOS

    async def run() -> list[Any]:
        jobs = [scenario(tmp_path_factory.mktemp("scenario")) for scenario in scenarios.values()]
        return await asyncio.gather(*jobs, return_exceptions=True)

    results = dict(zip(scenarios, asyncio.run(run()), strict=True))

    def outcome(name: str) -> None:
        if results[name] is not None:
            raise results[name]

    return outcome
