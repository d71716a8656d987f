"""`manifest.json`: what every model file is, reads, answers, and when it must abstain. Checked before a file is opened.

`{"schema": 1, "models": [entry, ...]}`. An entry that is wrong quarantines that model only.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from remhart_adt.errors import ModelError
from remhart_adt.ids import MODEL_BY_ID
from remhart_adt.limits import INPUT_FILE_BYTES
from remhart_adt.readings import CHANNEL_INDEX
from remhart_adt.scoring.features import INDEX
from remhart_adt.scoring.feeder import FEEDER_FEATURES
from remhart_adt.scoring.types import UNITS, OutputSpec

__all__ = ["Entry", "Manifest", "Needs", "Output", "read_manifest", "sha256_of"]

_SCHEMA: Final = 1


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Output(_Strict):
    """One output of the graph, as it stands on the twin below `path`."""

    name: str
    kind: Literal["double", "integer", "boolean", "enum"]
    unit: str = ""
    range: tuple[float | None, float | None] = (None, None)
    values: tuple[str, ...] = ()
    optional: bool = False
    path: str
    description: str
    # The feeder's unit (1 is the first) that the output speaks of: on the twin it stands in the Map that `path` ends
    # with, under the unit's id.
    unit_number: int | None = Field(default=None, ge=1, le=UNITS)

    @model_validator(mode="after")
    def _enum_has_values(self) -> Output:
        if (self.kind == "enum") != bool(self.values):
            raise ValueError(f"output {self.name}: an enum, and only an enum, lists its values")
        return self

    def spec(self) -> OutputSpec:
        """The same for readers of scores."""
        low, high = self.range
        return OutputSpec(self.name, self.kind, self.unit, low, high, self.values, self.optional, self.description)


class Needs(_Strict):
    """When a model may speak. A reading that fails one of these makes it abstain, and the reason names which.

    `load` is the least current of the highest phase over the rating. A reading that has any of the channels `instead`
    needs no `channels`, rating, phases or load.
    """

    channels: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    load: float = Field(default=0.0, ge=0.0, le=1.0)
    rating: bool = False
    phases: int = Field(default=1, ge=1, le=3)
    energised: bool = False
    importing: bool = False
    readings: int = Field(default=1, ge=1, le=128)
    quarters_of_day: int = Field(default=0, ge=0, le=96)
    quarters_of_line: int = Field(default=0, ge=0, le=104)
    quarters_of_voltage: int = Field(default=0, ge=0, le=96)
    quarters_of_current: int = Field(default=0, ge=0, le=96)
    # Of the feeder: so many units with limits and costs, the infeed among them.
    units: int = Field(default=0, ge=0, le=UNITS)
    # Readings with a frequency so far apart at most (mean of the last 30 s, in s), and 10 s of them; 0: no need.
    frequency_s: float = Field(default=0, ge=0, le=30)
    # Of the feeder: quarter hours of the last day with all its members; every leaf must meter P and V by phase then.
    quarters_of_members: int = Field(default=0, ge=0, le=96)
    # Of the feeder: a tap changer or a capacitor bank whose position is known.
    controls: bool = False

    @field_validator("channels", "instead")
    @classmethod
    def _known(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in channels if name not in CHANNEL_INDEX]
        if unknown:
            raise ValueError(f"no such channels: {', '.join(unknown)}")
        return channels

    @cached_property
    def channels_at(self) -> NDArray[np.intp]:
        """Where the needed channels stand in a reading."""
        return np.array([CHANNEL_INDEX[name] for name in self.channels], np.intp)

    @cached_property
    def instead_at(self) -> NDArray[np.intp]:
        """Where the channels `instead` stand in a reading."""
        return np.array([CHANNEL_INDEX[name] for name in self.instead], np.intp)


class Entry(_Strict):
    """One model."""

    id: str
    module: str
    version: str
    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    algorithm: str
    scope: Literal["point", "component", "feeder"] = "point"
    rate: Literal["reading", "minute", "quarter_hour"]
    inputs: tuple[str, ...] = Field(min_length=1)
    outputs: tuple[Output, ...] = Field(min_length=1)
    needs: Needs = Needs()
    training: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    limits: tuple[str, ...] = ()

    @cached_property
    def specs(self) -> tuple[OutputSpec, ...]:
        """The outputs as readers of scores see them."""
        return tuple(output.spec() for output in self.outputs)

    @cached_property
    def columns(self) -> NDArray[np.intp]:
        """Where its inputs stand in the feature table of its scope."""
        at = {name: k for k, name in enumerate(FEEDER_FEATURES)} if self.scope == "feeder" else INDEX
        return np.array([at[name] for name in self.inputs], np.intp)

    @field_validator("id")
    @classmethod
    def _slot(cls, value: str) -> str:
        if value not in MODEL_BY_ID:
            raise ValueError(f"no slot {value!r}; one of: {', '.join(MODEL_BY_ID)}")
        return value

    @field_validator("file")
    @classmethod
    def _plain_file(cls, value: str) -> str:
        if Path(value).name != value or not value.endswith(".onnx"):
            raise ValueError("file must be the name of an .onnx file beside the manifest")
        return value

    @model_validator(mode="after")
    def _inputs_exist(self) -> Entry:
        table = FEEDER_FEATURES if self.scope == "feeder" else INDEX
        unknown = [name for name in self.inputs if name not in table]
        if unknown:
            raise ValueError(f"no such features: {', '.join(unknown[:5])}")
        if len(set(self.inputs)) != len(self.inputs):
            raise ValueError("a feature is listed twice")
        return self


class Manifest(BaseModel):
    """The entries that are valid, and what is wrong with the others (model id or position -> reason)."""

    entries: dict[str, Entry]
    problems: dict[str, str]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a models folder. Raises ModelError when the file itself is missing or no manifest at all."""
    path = folder / "manifest.json"
    try:
        if path.stat().st_size > INPUT_FILE_BYTES:
            raise ModelError("manifest", "the file is too large", where=str(path))
        document = json.loads(path.read_bytes())
        if document["schema"] != _SCHEMA:
            raise ModelError("manifest", f"schema {document['schema']!r} is not {_SCHEMA}", where=str(path))
        rows = list(document["models"])
    except OSError as error:
        raise ModelError("manifest", f"cannot read it: {error.strerror}", where=str(path)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            "manifest", 'it is not {"schema": 1, "models": [...]}', where=str(path), remedy="Reinstall the models"
        ) from error
    entries: dict[str, Entry] = {}
    problems: dict[str, str] = {}
    for position, row in enumerate(rows):
        name = row.get("id") if isinstance(row, dict) else None
        name = name if isinstance(name, str) and name in MODEL_BY_ID else f"entry {position}"
        if name in entries or name in problems:
            entries.pop(name, None)
            problems[name] = "listed twice in the manifest"
            continue
        try:
            entries[name] = Entry.model_validate(row)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            problems[name] = f"manifest entry is wrong at {where or 'its top'}: {first['msg']}"
    return Manifest(entries=entries, problems=problems)


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
