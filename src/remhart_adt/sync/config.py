"""Settings of the daemon: a YAML file, the environment over it, flags over both.

Environment: `REMHART_<SECTION>__<NAME>`, for instance `REMHART_ADT__ENDPOINT` or `REMHART_SOURCE__CONNECTION_STRING`.

```yaml
adt: {endpoint: my.api.weu.digitaltwins.azure.net}
source:
  namespace: ns.servicebus.windows.net    # with DefaultAzureCredential; or connection_string
  eventhub: telemetry
  group: $Default
checkpoint: {path: state/checkpoints.db}  # or {account: https://x.blob.core.windows.net, container: checkpoints}
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from remhart_adt.config import AdtSettings
from remhart_adt.errors import ConfigError
from remhart_adt.limits import INPUT_FILE_BYTES

__all__ = [
    "CheckpointSettings",
    "HealthSettings",
    "LimitSettings",
    "LogSettings",
    "SourceSettings",
    "SyncConfig",
    "WriteSettings",
    "load_config",
    "load_source",
]

_NAME_SOURCE: Final = "Set source.connection_string, source.namespace and eventhub, or source.file"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSettings(_Section):
    """Where telemetry comes from: an event hub, or a file."""

    connection_string: SecretStr | None = None
    namespace: str | None = None
    eventhub: str | None = None
    group: str = "$Default"
    partitions: list[str] | None = Field(default=None, description="None: balanced with other processes.")
    start: str = "earliest"
    prefetch: int = Field(default=300, ge=1, le=5000)
    websockets: bool = False
    balance_seconds: float = Field(default=10.0, gt=0)
    expire_seconds: float = Field(default=60.0, gt=0)
    file: Path | None = None
    speed: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _one(self) -> SourceSettings:
        named = [name for name in ("connection_string", "namespace", "file") if getattr(self, name) is not None]
        if len(named) > 1:
            raise ValueError(f"{' and '.join(named)}: name one source only")
        if self.namespace is not None and self.eventhub is None:
            raise ValueError("a namespace needs the name of the eventhub")
        return self

    @property
    def named(self) -> bool:
        """Whether there is a source at all."""
        return not (self.connection_string is None and self.namespace is None and self.file is None)


class CheckpointSettings(_Section):
    """Where progress is kept: a SQLite file, or a container in Azure Blob Storage."""

    path: Path = Path("remhart-checkpoints.db")
    account: SecretStr | None = None
    container: str = "remhart-checkpoints"
    every_seconds: float = Field(default=1.0, gt=0, le=60)
    snapshot_seconds: float = Field(default=15.0, gt=0, le=600)


class WriteSettings(_Section):
    """How twins are written."""

    flush_ms: int = Field(default=250, ge=20, le=5000)
    connections: int = Field(default=32, ge=1, le=256)
    missing_twin: Literal["dead-letter", "create", "skip"] = "dead-letter"
    deadline: float = Field(default=5.0, gt=0, le=60, description="Longest time one request is repeated, seconds.")
    timeout: float = Field(default=10.0, gt=0, le=120)
    throttle: bool = Field(default=True, description="Stay below the service's published rates.")


class LimitSettings(_Section):
    """Bounds of what is unfinished at any time; beyond them the source is not read."""

    batches: int = Field(default=64, ge=2, description="Unfinished batches of one partition.")
    items: int = Field(default=50_000, ge=100, description="Unfinished items of all partitions.")
    batch_bytes: int = Field(default=2_000_000, ge=10_000)
    stale_seconds: float = Field(default=30.0, gt=0)
    offline_seconds: float = Field(default=300.0, gt=0)
    stall_seconds: float = Field(default=60.0, gt=0)
    drain_seconds: float = Field(default=12.0, gt=0, le=20)


class HealthSettings(_Section):
    """The health server; port 0 takes a free one, None switches it off."""

    host: str = "127.0.0.1"
    port: int | None = 0


class LogSettings(_Section):
    """How the daemon logs, on standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    json_lines: bool = False


class SyncConfig(BaseSettings):
    """All settings of `remhart-adt sync run`."""

    model_config = SettingsConfigDict(
        env_prefix="REMHART_", env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    adt: AdtSettings = Field(default_factory=AdtSettings)
    source: SourceSettings = Field(default_factory=SourceSettings)
    checkpoint: CheckpointSettings = Field(default_factory=CheckpointSettings)
    write: WriteSettings = Field(default_factory=WriteSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    health: HealthSettings = Field(default_factory=HealthSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    graph_refresh_seconds: float = Field(default=60.0, gt=0)
    models_dir: Path | None = None
    mapping: Path | None = None
    dead_letter: Path = Path("dead-letter")
    report: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file (handed in under `_yaml`)."""
        del dotenv_settings, file_secret_settings
        flags = dict(getattr(init_settings, "init_kwargs", {}))
        content = flags.pop("_file", {})
        return (
            InitSettingsSource(settings_cls, flags),
            env_settings,
            InitSettingsSource(settings_cls, content if isinstance(content, dict) else {}),
        )


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        if path.stat().st_size > INPUT_FILE_BYTES:
            raise ConfigError("the configuration file is too large", where=str(path))
        content = YAML(typ="safe", pure=True).load(path) or {}
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ConfigError(f"the configuration file cannot be read: {error}", where=str(path)) from error
    if not isinstance(content, dict):
        raise ConfigError("the configuration file is no mapping of sections", where=str(path))
    return content


def _build(path: Path | None, flags: dict[str, Any]) -> SyncConfig:
    try:
        return SyncConfig(**{**flags, "_file": _read(path)})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors())
        raise ConfigError(f"settings that cannot be used: {faults}", where=str(path or "environment")) from None


def load_config(path: Path | None, flags: dict[str, Any] | None = None) -> SyncConfig:
    """Read the file (if any), the environment and the flags. Raises ConfigError that names every fault."""
    config = _build(path, flags or {})
    if not config.adt.endpoint:
        raise ConfigError(
            "no Azure Digital Twins instance is named", remedy="Set adt.endpoint, REMHART_ADT__ENDPOINT or --endpoint"
        )
    if not config.source.named:
        raise ConfigError("no telemetry source is named", remedy=_NAME_SOURCE)
    return config


def load_source(path: Path | None, connection_string: str | None) -> SourceSettings:
    """Only the source's settings, for commands that need no instance. Raises ConfigError."""
    flags = {} if connection_string is None else {"source": {"connection_string": connection_string}}
    source = _build(path, flags).source
    if not source.named:
        raise ConfigError("no event hub is named", remedy=_NAME_SOURCE)
    return source
