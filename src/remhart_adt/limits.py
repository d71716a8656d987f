"""The service's published limits, and our own bounds on what comes from outside.

Sources: the Azure Digital Twins and Event Hubs limit pages. Where the service may throttle below its
published number, ours stays under it by the stated margin.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ADT_CREATE_DELETE_PER_SECOND",
    "ADT_IN_ITEMS",
    "ADT_JOBS_PER_SECOND",
    "ADT_MODELS_PER_CALL",
    "ADT_MODELS_PER_INSTANCE",
    "ADT_MODELS_PER_SECOND",
    "ADT_MODEL_BYTES",
    "ADT_OUTSTANDING_PER_TWIN",
    "ADT_PATCH_PER_SECOND",
    "ADT_PER_TWIN_PER_SECOND",
    "ADT_QUERY_CHARS",
    "ADT_QUERY_PER_SECOND",
    "ADT_QUERY_UNITS_PER_SECOND",
    "ADT_READ_PER_SECOND",
    "ADT_RELATIONSHIPS_PER_INSTANCE",
    "ADT_RELATIONSHIPS_PER_TWIN",
    "ADT_ROUTES_PER_SECOND",
    "ADT_STRING_BYTES",
    "ADT_TWINS_PER_INSTANCE",
    "ADT_TWIN_BYTES",
    "EVENT_BYTES",
    "FUTURE_TOLERANCE_US",
    "INPUT_FILE_BYTES",
    "JSON_DEPTH",
    "MARGIN",
    "READING_BYTES",
]

ADT_PATCH_PER_SECOND: Final = 1000
ADT_READ_PER_SECOND: Final = 1000
# Older limit pages say 50/s for creating and deleting twins and relationships, newer ones 500/s; the service
# grows into the larger number over minutes, so bulk work starts from the smaller margin and backs off on 429.
ADT_CREATE_DELETE_PER_SECOND: Final = 500
ADT_PER_TWIN_PER_SECOND: Final = 10
ADT_MODELS_PER_SECOND: Final = 100
ADT_QUERY_PER_SECOND: Final = 500
ADT_QUERY_UNITS_PER_SECOND: Final = 4000
ADT_ROUTES_PER_SECOND: Final = 100
ADT_JOBS_PER_SECOND: Final = 1
ADT_OUTSTANDING_PER_TWIN: Final = 500
ADT_TWINS_PER_INSTANCE: Final = 2_000_000
ADT_RELATIONSHIPS_PER_INSTANCE: Final = 20_000_000
# Outgoing and incoming ones are counted apart.
ADT_RELATIONSHIPS_PER_TWIN: Final = 50_000
ADT_MODELS_PER_CALL: Final = 250
ADT_MODELS_PER_INSTANCE: Final = 10_000
ADT_MODEL_BYTES: Final = 1_000_000
ADT_TWIN_BYTES: Final = 32 * 1024
ADT_STRING_BYTES: Final = 4 * 1024
ADT_QUERY_CHARS: Final = 8000
ADT_IN_ITEMS: Final = 50

# We send at most this share of a published rate, so that clock differences between us and the service's
# counting window do not produce a 429 of our own making.
MARGIN: Final = 0.9

EVENT_BYTES: Final = 1024 * 1024
READING_BYTES: Final = 64 * 1024
JSON_DEPTH: Final = 32
INPUT_FILE_BYTES: Final = 50 * 1024 * 1024
FUTURE_TOLERANCE_US: Final = 5 * 60 * 1_000_000
