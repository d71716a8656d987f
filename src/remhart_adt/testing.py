"""Pytest fixtures over the local stand-ins, and credentials for them, for this project's tests and for yours.

In a `conftest.py`: `pytest_plugins = ["remhart_adt.testing"]`, or import the fixtures that you use. Needs the extra
`local` and pytest. `docs/local-adt.md` shows each of them at work.
"""

from remhart_adt.local.adt.control.credential import AsyncLocalCredential, LocalCredential
from remhart_adt.local.adt.control.roles import DATA_OWNER, DATA_READER
from remhart_adt.local.adt.testing import (
    adt_client,
    adt_client_async,
    local_adt,
    local_adt_clean,
    local_adt_options,
    local_adt_session,
)
from remhart_adt.local.eventhub.testing import local_eventhub, local_eventhub_session

__all__ = [
    "DATA_OWNER",
    "DATA_READER",
    "AsyncLocalCredential",
    "LocalCredential",
    "adt_client",
    "adt_client_async",
    "local_adt",
    "local_adt_clean",
    "local_adt_options",
    "local_adt_session",
    "local_eventhub",
    "local_eventhub_session",
]
