"""The pytest fixtures over the local ADT server: the server itself, and Microsoft's clients of it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

from remhart_adt.local.adt.control.credential import AsyncLocalCredential, LocalCredential
from remhart_adt.local.adt.control.roles import DATA_OWNER
from remhart_adt.local.adt.server import LocalAdt, Options

if TYPE_CHECKING:
    from azure.digitaltwins.core import DigitalTwinsClient
    from azure.digitaltwins.core.aio import DigitalTwinsClient as AsyncDigitalTwinsClient

__all__ = [
    "adt_client",
    "adt_client_async",
    "local_adt",
    "local_adt_clean",
    "local_adt_options",
    "local_adt_session",
]
# Who the clients of the fixtures are, where the server asks for tokens.
_PRINCIPAL: Final = "pytest"
# As long as the server takes, since a fake clock may be moved by days.
_LASTS: Final = 30 * 86_400.0


@pytest.fixture(scope="session")
def local_adt_options() -> Options:
    """How the servers of `local_adt` and `local_adt_session` behave; override it to have others."""
    return Options()


@pytest.fixture
def local_adt(request: pytest.FixtureRequest) -> Iterator[LocalAdt]:
    """A fresh, empty local ADT server in a thread, on a free port; `local_adt.endpoint` is its URL."""
    with LocalAdt(_options(request)) as server:
        yield server


@pytest.fixture(scope="session")
def local_adt_session(request: pytest.FixtureRequest) -> Iterator[LocalAdt]:
    """One server for the whole run. It keeps what tests leave in it; `local_adt_clean` is the same one, emptied."""
    with LocalAdt(_options(request)) as server:
        yield server


@pytest.fixture
def local_adt_clean(local_adt_session: LocalAdt) -> LocalAdt:
    """The server of the whole run, reset: no models, twins, routes, jobs, faults or journal, settings as at the start.

    A reset takes a few milliseconds. Unlike `local_adt`, tests that use it cannot run at the same time.
    """
    local_adt_session.reset()
    return local_adt_session


@pytest.fixture
def adt_client(local_adt: LocalAdt) -> Iterator[DigitalTwinsClient]:
    """Microsoft's client, connected to `local_adt`; a Data Owner where the server asks for tokens.

    To connect it to the shared server, override `local_adt` with a fixture that returns `local_adt_clean`.
    """
    from azure.digitaltwins.core import DigitalTwinsClient

    owner = LocalCredential(local_adt.control, _PRINCIPAL, roles=(DATA_OWNER,), expires_in=_LASTS)
    client = DigitalTwinsClient(local_adt.endpoint, owner, **_connection(local_adt, owner))
    yield client
    client._client.close()  # its public face has no close


@pytest.fixture
def adt_client_async(local_adt: LocalAdt) -> AsyncDigitalTwinsClient:
    """Microsoft's asynchronous client, connected to `local_adt`. The test opens and closes it, in its own event loop:
    `async with adt_client_async as client:`. So it works with every plugin that runs async tests."""
    from azure.digitaltwins.core.aio import DigitalTwinsClient as AsyncDigitalTwinsClient

    owner = LocalCredential(local_adt.control, _PRINCIPAL, roles=(DATA_OWNER,), expires_in=_LASTS)
    same = AsyncLocalCredential(local_adt.control, _PRINCIPAL, roles=(DATA_OWNER,), expires_in=_LASTS)
    return AsyncDigitalTwinsClient(local_adt.endpoint, same, **_connection(local_adt, owner))


def _options(request: pytest.FixtureRequest) -> Options:
    """What `local_adt_options` says, the defaults where only the servers' own fixtures were imported.

    A fake clock is moved by its tests, so each server has its own.
    """
    try:
        options: Options = request.getfixturevalue("local_adt_options")
    except pytest.FixtureLookupError as error:
        if error.argname != "local_adt_options":
            raise
        options = Options()
    return dataclasses.replace(options, clock=copy.copy(options.clock))


def _connection(server: LocalAdt, owner: LocalCredential) -> dict[str, Any]:
    """What a client is told beside endpoint and credential: whom to trust over https; over http, where it would send
    no token, a policy that sends one."""
    from azure.core.pipeline.policies import SansIOHTTPPolicy

    if server.ca_file is not None:
        return {"connection_verify": str(server.ca_file)}
    token = owner.get_token().token

    class _LocalPolicy(SansIOHTTPPolicy):  # type: ignore[misc]  # untyped base
        def on_request(self, request: Any) -> None:
            request.http_request.headers["Authorization"] = f"Bearer {token}"

    return {"authentication_policy": _LocalPolicy()}
