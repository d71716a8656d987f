"""Every failure this package raises on purpose.

RemhartError
├── ConfigError            a setting, flag or file that configures us is wrong
├── MissingExtraError      an optional dependency is not installed
├── DtdlError              DTDL text or a model set is invalid (carries the Report)
├── QueryError             a query text is not in the ADT query language
├── GraphError             a graph file or a plan is wrong (carries every problem)
├── ReadingError           one reading from outside cannot be used (carries its cause)
├── ServiceError           Azure Digital Twins answered, or failed to
│   ├── BadRequestError        400: the request itself is wrong, repeating it cannot help
│   ├── UnauthorizedError      401: no token or an expired one
│   ├── ForbiddenError         403: the identity lacks a role
│   ├── NotFoundError          404: model, twin, component or relationship does not exist
│   ├── ConflictError          409: it exists already, or something still refers to it
│   ├── PreconditionFailedError 412: the ETag is no longer current
│   ├── ThrottledError         429: slow down (carries retry_after)
│   └── UnavailableError       408, 5xx, reset, timeout: repeating it may help
├── SourceError            Event Hubs or a telemetry file cannot be read
├── CheckpointError        the checkpoint store failed
│   └── OwnershipLostError     another owner holds the partition now
├── ModelError             an ONNX model or its manifest entry cannot be used
├── SimulationError        the feeder engine failed or its answer is not physical
└── LocalServerError       a local stand-in cannot start or was misused

Messages say what went wrong, where, and what to do; they never hold a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "BadRequestError",
    "CheckpointError",
    "ConfigError",
    "ConflictError",
    "DtdlError",
    "ForbiddenError",
    "GraphError",
    "LocalServerError",
    "MissingExtraError",
    "ModelError",
    "NotFoundError",
    "OwnershipLostError",
    "PreconditionFailedError",
    "QueryError",
    "ReadingError",
    "RemhartError",
    "ServiceError",
    "SimulationError",
    "SourceError",
    "ThrottledError",
    "UnauthorizedError",
    "UnavailableError",
]


class RemhartError(Exception):
    """Base of every error raised on purpose: `what`, `where` it happened, and the `remedy`."""

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.remedy:
            parts.append(self.remedy)
        return " ".join(part if part.endswith((".", "!", "?")) else part + "." for part in parts)


class ConfigError(RemhartError):
    """A setting, flag or configuration file is wrong."""


class MissingExtraError(RemhartError):
    """An optional dependency is needed and not installed."""

    def __init__(self, extra: str, *, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs packages that are not installed",
            remedy=f"Install them with: pip install 'remhart-adt[{extra}]'",
        )
        self.extra = extra


class DtdlError(RemhartError):
    """DTDL text or a model set is invalid; `report` lists every problem."""

    def __init__(self, what: str, *, report: Any = None, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.report = report


class QueryError(RemhartError):
    """A query text is not in the ADT query language; `line` and `column` count from 1 and 0."""

    def __init__(self, what: str, *, line: int = 1, column: int = 0, remedy: str = "") -> None:
        super().__init__(what, where=f"query line {line}, column {column}", remedy=remedy)
        self.line = line
        self.column = column


class GraphError(RemhartError):
    """A graph file or plan is wrong; `problems` lists everything found, not only the first."""

    def __init__(self, what: str, *, problems: Sequence[Any] = (), where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.problems = tuple(problems)


class ReadingError(RemhartError):
    """One reading from outside cannot be used; `cause` is one of `readings.DeadCause`."""

    def __init__(self, cause: str, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.cause = cause


class ServiceError(RemhartError):
    """Azure Digital Twins answered with an error, or did not answer."""

    def __init__(
        self,
        what: str,
        *,
        status: int = 0,
        code: str = "",
        where: str = "",
        remedy: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.status = status
        self.code = code
        self.retry_after = retry_after


class BadRequestError(ServiceError):
    """400: the request itself is wrong; repeating it cannot help."""


class UnauthorizedError(ServiceError):
    """401: no token, or an expired or foreign one."""


class ForbiddenError(ServiceError):
    """403: the identity lacks a role on the instance."""


class NotFoundError(ServiceError):
    """404: the model, twin, component or relationship does not exist."""


class ConflictError(ServiceError):
    """409: it exists already, or something still refers to it."""


class PreconditionFailedError(ServiceError):
    """412: the ETag sent is no longer the current one."""


class ThrottledError(ServiceError):
    """429: the service asks to slow down; `retry_after` is in seconds when it said so."""


class UnavailableError(ServiceError):
    """408, 5xx, a reset connection or a timeout: repeating the request may help."""


class SourceError(RemhartError):
    """Event Hubs or a telemetry file cannot be read."""


class CheckpointError(RemhartError):
    """The checkpoint store failed; nothing was committed."""


class OwnershipLostError(CheckpointError):
    """Another owner holds the partition now; this one must drop its uncommitted work."""


class ModelError(RemhartError):
    """An ONNX model or its manifest entry cannot be used; that model is quarantined, the others go on."""

    def __init__(self, model_id: str, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where or model_id, remedy=remedy)
        self.model_id = model_id


class SimulationError(RemhartError):
    """The feeder engine did not converge or its answer is not physical."""


class LocalServerError(RemhartError):
    """A local stand-in cannot start or was misused."""
