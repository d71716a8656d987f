"""The fixtures of `remhart_adt.testing` in a project of somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

pytestmark = [pytest.mark.process, pytest.mark.slow]

COMMON = """
    MODEL = {"@id": "dtmi:their:Thing;1", "@type": "Interface", "@context": "dtmi:dtdl:context;3", "contents": []}
    BODY = {"$metadata": {"$model": MODEL["@id"]}}
"""
FOREIGN = {
    "common.py": COMMON,
    "conftest.py": """
        import pytest

        from remhart_adt.testing import Options

        pytest_plugins = ["remhart_adt.testing"]


        @pytest.fixture(scope="session")
        def local_adt_options():
            return Options(seed=7, instances=("lab",))
    """,
    "test_clients.py": """
        import pytest
        from azure.core.exceptions import ResourceNotFoundError
        from common import BODY, MODEL


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
    """,
    "test_one_server.py": """
        import pytest
        from azure.core.exceptions import ResourceNotFoundError
        from common import BODY, MODEL


        @pytest.fixture
        def local_adt(local_adt_clean):
            return local_adt_clean


        @pytest.mark.parametrize("number", [1, 2])
        def test_it_is_emptied_for_each_test(adt_client, local_adt, local_adt_session, number):
            assert local_adt is local_adt_session
            adt_client.create_models([MODEL])
            with pytest.raises(ResourceNotFoundError):
                adt_client.get_digital_twin("t")
            adt_client.upsert_digital_twin("t", BODY)
            local_adt.faults.add(status=503, count=None)
    """,
    "test_hub.py": """
        import time

        from azure.digitaltwins.core import DigitalTwinsEventRoute
        from common import BODY, MODEL


        def test_events_of_one_arrive_at_the_other(adt_client, local_adt, local_eventhub):
            hub = {"kind": "eventhub", "connectionString": local_eventhub.connection_string}
            local_adt.control.put_endpoint("hub", hub)
            adt_client.upsert_event_route("r", DigitalTwinsEventRoute(endpoint_name="hub", filter="true"))
            adt_client.create_models([MODEL])
            adt_client.upsert_digital_twin("t", BODY)
            limit = time.monotonic() + 20
            while not (events := local_eventhub.do(lambda hub: hub.events())):
                assert time.monotonic() < limit
                time.sleep(0.02)
            assert len(events) == 1


        def test_a_hub_of_the_run(local_eventhub_session):
            assert local_eventhub_session.connection_string.startswith("Endpoint=sb://")
    """,
    "test_options.py": """
        import pytest
        from azure.core.exceptions import HttpResponseError
        from common import BODY, MODEL

        from remhart_adt.clock import FakeClock
        from remhart_adt.local.adt import Options, Tls


        @pytest.fixture(scope="module")
        def local_adt_options():
            return Options(tls=Tls(), auth=True, throttle=True, clock=FakeClock())


        def test_a_module_has_options_of_its_own_and_the_client_what_it_needs_for_them(adt_client, local_adt):
            assert local_adt.endpoint.startswith("https://")
            adt_client.create_models([MODEL])
            local_adt.advance(86_400)
            for _ in range(10):
                adt_client.upsert_digital_twin("t", BODY)
            with pytest.raises(HttpResponseError) as caught:
                adt_client.upsert_digital_twin("t", BODY, retry_total=0)
            assert caught.value.status_code == 429


        async def test_the_asynchronous_client_has_it_too(adt_client_async):
            async with adt_client_async as client:
                await client.create_models([MODEL])


        def test_the_clock_of_the_options_stands_where_it_stood(local_adt):
            assert local_adt.clock.now == "2023-11-14T22:13:20Z"


        @pytest.mark.parametrize("local_adt_options", [Options(query_lag=1.5), Options()], ids=["lag", "none"])
        def test_a_test_has_options_of_its_own(local_adt_options, local_adt):
            assert local_adt.settings().query_lag == local_adt_options.query_lag
    """,
    "test_time.py": """
        import time
        from pathlib import Path

        import pytest


        @pytest.mark.parametrize("name", ["local_adt", "local_eventhub", "local_adt_clean"])
        @pytest.mark.parametrize("number", range(3))
        def test_it_is_ready_soon(request, name, number):
            begun = time.perf_counter()
            request.getfixturevalue(name)
            took = time.perf_counter() - begun
            with Path("times.txt").open("a") as file:
                file.write(f"{name} {took:.3f}\\n")
            assert took < 5
    """,
}
TESTS = 3 + 2 + 2 + 5 + 9
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
SETTINGS = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\npythonpath = .\n"


def run(folder: Path, files: dict[str, str], *arguments: str) -> str:
    for name, text in files.items():
        (folder / name).write_text(dedent(text))
    (folder / "pytest.ini").write_text(SETTINGS)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # nothing but what the project asks for
    plugins = ("-p", "pytest_asyncio.plugin", "-p", "xdist.plugin", "-p", "no:cacheprovider")
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", *plugins, *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("arguments", [("-n0",), ("-n2",)], ids=["alone", "two workers"])
def test_every_fixture_works_as_a_plugin(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert f"{TESTS} passed" in run(tmp_path, FOREIGN, *arguments)
    times: dict[str, list[float]] = {}
    for line in (tmp_path / "times.txt").read_text().splitlines():
        name, took = line.split()
        times.setdefault(name, []).append(float(took))
    assert {name: len(took) for name, took in times.items()} == dict.fromkeys(times, 3)
    for name, took in sorted(times.items()):
        print(f"{name} is ready in {sorted(took)[1] * 1000:.0f} ms, at most {max(took) * 1000:.0f} ms")


def test_fixtures_may_be_imported_by_name(tmp_path: Path) -> None:
    assert "1 passed" in run(tmp_path, ALONE, "-n0")
