"""Logging: the library logs through `logging` and stays silent until an application configures it."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any, Final

from remhart_adt.clock import format_us

__all__ = ["Line", "configure", "get", "redact"]

_SECRET: Final = re.compile(
    r"(?i)((?:sharedaccess(?:key|signature)|accountkey|client_secret|sig|password)\s*[=:]\s*|bearer\s+)([^\s;&\"',]+)"
)


def redact(text: str) -> str:
    """The text with the values of keys, signatures and bearer tokens replaced by `***`."""
    return _SECRET.sub(r"\1***", text)


class Line(logging.Formatter):
    """`time level logger message key=value ...` for people, or one JSON object a line for machines."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})
        stamp = format_us(int(record.created * 1000) * 1000)
        message = redact(record.getMessage())
        if record.exc_info:
            message += "\n" + redact(self.formatException(record.exc_info))
        if self._as_json:
            row = {"time": stamp, "level": record.levelname.lower(), "logger": record.name, "message": message}
            return redact(json.dumps({**row, **fields}, default=str))
        tail = "".join(f" {key}={value}" for key, value in fields.items())
        return f"{stamp} {record.levelname.lower():7} {record.name} {message}{redact(tail)}"


def get(name: str) -> logging.Logger:
    """The logger of one room: `remhart_adt.<room>`."""
    return logging.getLogger(name)


def configure(*, level: str = "INFO", as_json: bool = False) -> None:
    """Send every log line to standard error, secrets redacted. Only applications (the CLI, the daemon) call this."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line(as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("azure", "uamqp", "urllib3", "asyncio", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


logging.getLogger("remhart_adt").addHandler(logging.NullHandler())
