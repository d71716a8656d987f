"""The telephone: Azure Digital Twins in a synchronous and an asynchronous face over one core, and a fast path.

Nothing heavy is imported before a client is made.
"""

from __future__ import annotations

from remhart_adt.client.aio import AsyncAdtClient, connect_async
from remhart_adt.client.core import ModelRecord
from remhart_adt.client.credential import parse_endpoint
from remhart_adt.client.patch import Patch, pointer
from remhart_adt.client.retry import RetryPolicy
from remhart_adt.client.sync import AdtClient, connect
from remhart_adt.client.throttle import Kind, Limits, Throttle, TokenBucket

__all__ = [
    "AdtClient",
    "AsyncAdtClient",
    "Kind",
    "Limits",
    "ModelRecord",
    "Patch",
    "RetryPolicy",
    "Throttle",
    "TokenBucket",
    "connect",
    "connect_async",
    "parse_endpoint",
    "pointer",
]
