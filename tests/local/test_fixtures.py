"""The fixtures of `remhart_adt.testing` in a project of somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.process, pytest.mark.slow]

FOREIGN = {
    "conftest.py": """
        pytest_plugins = ["remhart_adt.testing"]
    """,
    "test_all.py": """
        import time

        import pytest
        from azure.core.exceptions import ResourceNotFoundError

        from remhart_adt.local.adt import Options

        MODEL = {"@id": "dtmi:their:Thing;1", "@type": "Interface", "@context": "dtmi:dtdl:context;3", "contents": []}
        BODY = {"$metadata": {"$model": MODEL["@id"]}}


        @pytest.fixture(scope="session")
        def local_adt_options():
            return Options(seed=7, instances=("lab",))


        def test_the_client_of_a_fresh_server(adt_client, local_adt):
            adt_client.create_models([MODEL])
            adt_client.upsert_digital_twin("t", BODY)
            assert [row.status for row in local_adt.journal(method="PUT")] == [200]
            assert [one.name for one in local_adt.control.instances()] == ["local", "lab"]


        def test_the_next_server_is_fresh_again(adt_client):
            with pytest.raises(ResourceNotFoundError):
                adt_client.get_digital_twin("t")


        async def test_the_asynchronous_client(adt_client_async):
            async with adt_client_async as client:
                await client.create_models([MODEL])
                assert (await client.upsert_digital_twin("t", BODY))["$dtId"] == "t"


        @pytest.mark.parametrize("number", [1, 2])
        def test_the_server_of_the_run_is_emptied_for_each(local_adt_clean, number):
            assert local_adt_clean.health()["models"] == 0
            local_adt_clean.seed({"models": [MODEL]})


        def test_an_event_hub_beside_it(local_adt, local_eventhub):
            local_adt.control.put_endpoint(
                "hub", {"kind": "eventhub", "connectionString": local_eventhub.connection_string}
            )


        def test_a_hub_of_the_run(local_eventhub_session):
            assert local_eventhub_session.connection_string.startswith("Endpoint=sb://")


        @pytest.mark.parametrize("number", range(5))
        def test_it_is_ready_soon(request, number):
            begun = time.perf_counter()
            request.getfixturevalue("local_adt")
            assert time.perf_counter() - begun < 5
    """,
}
ALONE = {
    "conftest.py": """
        from remhart_adt.testing import local_adt, local_eventhub
    """,
    "test_alone.py": """
        def test_imported_by_name(local_adt, local_eventhub):
            assert local_adt.health()["status"] == "ok"
            assert local_eventhub.connection_string
    """,
}
SETTINGS = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"


def run(folder: Path, files: dict[str, str], *arguments: str) -> str:
    for name, text in files.items():
        lines = text.splitlines()
        (folder / name).write_text("\n".join(line[8:] if line.startswith(" " * 8) else line for line in lines) + "\n")
    (folder / "pytest.ini").write_text(SETTINGS)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("arguments", [("-n0",), ("-n2",)])
def test_every_fixture_works_as_a_plugin_alone_and_with_several_workers(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert "12 passed" in run(tmp_path, FOREIGN, *arguments)


def test_fixtures_may_be_imported_by_name(tmp_path: Path) -> None:
    assert "1 passed" in run(tmp_path, ALONE, "-n0")
