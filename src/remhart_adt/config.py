"""Settings from the environment: `REMHART_<SECTION>__<NAME>`, for instance `REMHART_ADT__ENDPOINT`.

Flags of the command line win over the environment; nothing is read from files here.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from remhart_adt.errors import ConfigError

__all__ = ["AdtSettings", "Settings", "load_settings"]


class AdtSettings(BaseModel):
    """The instance to talk to and how patiently."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str = Field(default="", description="Host name or URL of the instance.")
    timeout: float = Field(default=10.0, gt=0, le=600, description="Longest wait for one answer, in seconds.")
    deadline: float = Field(
        default=20.0, gt=0, le=3600, description="Longest wait for one call with all its repetitions, in seconds."
    )


class Settings(BaseSettings):
    """All settings, by section."""

    model_config = SettingsConfigDict(env_prefix="REMHART_", env_nested_delimiter="__", extra="ignore", frozen=True)

    adt: AdtSettings = Field(default_factory=AdtSettings)


def load_settings() -> Settings:
    """Read the environment. Raises ConfigError that names every wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"REMHART_{'__'.join(str(part) for part in item['loc']).upper()}: {item['msg']}" for item in error.errors()
        )
        raise ConfigError(f"the environment holds settings that cannot be used: {faults}") from error
