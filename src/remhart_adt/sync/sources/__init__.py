"""Where telemetry comes from: Event Hubs, or a file; and the sender that puts it there."""

from remhart_adt.sync.sources.eventhub import EventHubSource
from remhart_adt.sync.sources.file import FileSource
from remhart_adt.sync.sources.positions import parse_start
from remhart_adt.sync.sources.records import FileRecord, read_records
from remhart_adt.sync.sources.sender import EventHubSender, SenderCounters

__all__ = [
    "EventHubSender",
    "EventHubSource",
    "FileRecord",
    "FileSource",
    "SenderCounters",
    "parse_start",
    "read_records",
]
