"""A local event hub that the unmodified azure-eventhub clients talk to: AMQP 1.0 on asyncio, a log on disk."""

from remhart_adt.local.eventhub.hub import DEFAULT_KEY, DEFAULT_POLICY, Hub
from remhart_adt.local.eventhub.log import LoggedEvent, read
from remhart_adt.local.eventhub.server import LocalEventHub, main, start_hub

__all__ = ["DEFAULT_KEY", "DEFAULT_POLICY", "Hub", "LocalEventHub", "LoggedEvent", "main", "read", "start_hub"]
