"""A local Azure Digital Twins server: the data plane's wire behaviour over SQLite, for the unmodified clients."""

from remhart_adt.local.adt.server import MEMORY, LocalAdt, Options, main, serve, start_adt

__all__ = ["MEMORY", "LocalAdt", "Options", "main", "serve", "start_adt"]
