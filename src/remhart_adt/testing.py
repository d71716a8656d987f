"""Pytest fixtures over the local stand-ins, and credentials for them, for this project's tests and for yours.

In a `conftest.py`: `pytest_plugins = ["remhart_adt.testing"]`, or import the fixtures that you use. Needs the extra
`local` and pytest. `docs/local-adt.md` shows each of them at work. `LocalAdt`, `Options` and `HubThread` are here for
annotations and for servers of your own.

PYTEST_DONT_REWRITE: there are no assertions in here, and pytest would warn a conftest.py that also imports this module.
"""

from remhart_adt.local.adt.control.credential import AsyncLocalCredential, LocalCredential
from remhart_adt.local.adt.control.roles import DATA_OWNER, DATA_READER
from remhart_adt.local.adt.server import LocalAdt, Options
from remhart_adt.local.adt.testing import (
    adt_client,
    adt_client_async,
    local_adt,
    local_adt_clean,
    local_adt_options,
    local_adt_session,
)
from remhart_adt.local.eventhub.testing import HubThread, local_eventhub, local_eventhub_session

__all__ = [
    "DATA_OWNER",
    "DATA_READER",
    "AsyncLocalCredential",
    "HubThread",
    "LocalAdt",
    "LocalCredential",
    "Options",
    "adt_client",
    "adt_client_async",
    "local_adt",
    "local_adt_clean",
    "local_adt_options",
    "local_adt_session",
    "local_eventhub",
    "local_eventhub_session",
]
