"""Where a partition's progress is kept: SQLite on one node, Azure Blob Storage for many."""

from remhart_adt.sync.stores.blob import BlobStore
from remhart_adt.sync.stores.sqlite import SqliteStore

__all__ = ["BlobStore", "SqliteStore"]
