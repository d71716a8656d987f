"""What scoring is told about a point and a feeder, and what it answers.

Everything is in SI units; the models themselves work in per-unit of the point's own nominal voltage, frequency and
rated current, so that one model serves a 127 V/60 Hz shop and a 240 V/50 Hz transformer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "UNITS",
    "FeederInfo",
    "FeederScore",
    "ModelScores",
    "OutputSpec",
    "PointInfo",
    "Scores",
    "Slot",
    "SlotState",
    "Status",
    "Thermal",
    "UnitInfo",
    "output_value",
]


# So many units of a feeder can be dispatched, the infeed among them; of more than these the largest are.
UNITS: Final = 6


class Status(IntEnum):
    """What a model says about one reading; the lower-case name stands on the twin."""

    OK = 0
    ABSTAINED = 1
    FAILED = 2


class SlotState(StrEnum):
    """Whether one of the 16 slots has a usable model."""

    INSTALLED = "installed"
    QUARANTINED = "quarantined"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Thermal:
    """Transformer constants of IEEE C57.91 (clause 7 symbols); the defaults are those of a 65 K rise ONAN unit.

    `oil_rise` and `hot_spot_rise` (K) are top-oil over ambient and hot spot over top oil at rated load,
    `loss_ratio` R is load loss over no-load loss, `n` and `m` the exponents, time constants in minutes.
    """

    oil_rise: float = 55.0
    hot_spot_rise: float = 25.0
    loss_ratio: float = 6.0
    n: float = 0.8
    m: float = 0.8
    oil_minutes: float = 180.0
    winding_minutes: float = 7.0


@dataclass(frozen=True, slots=True)
class PointInfo:
    """One measurement point as its twin declares it.

    `nominal_v_ln` in V (line to neutral), `hz` in Hz, `rated_a` in A per phase (None: not declared; models that need
    it abstain), `phases` the phases that are metered, `kind` of the metered equipment: `transformer` is judged by its
    hot spot, anything else by current over rating. `bank_step_var` is the three-phase size of one capacitor step at
    nominal voltage, `bank_steps` how many there are. `utc_offset_min` places the daily calendar; 0 when unknown.
    """

    point_id: str
    nominal_v_ln: float
    hz: float
    rated_a: float | None = None
    phases: str = "ABC"
    kind: str = "load"
    feeder_id: str | None = None
    thermal: Thermal = field(default_factory=Thermal)
    bank_step_var: float | None = None
    bank_steps: int | None = None
    utc_offset_min: int = 0

    def __post_init__(self) -> None:
        if not (self.nominal_v_ln > 0 and self.hz > 0):
            raise ValueError(f"{self.point_id}: nominal voltage and frequency must be above zero")
        if self.rated_a is not None and not self.rated_a > 0:
            raise ValueError(f"{self.point_id}: rated current must be above zero, or None when it is not known")
        if not self.phases or not set(self.phases) <= set("ABC"):
            raise ValueError(f"{self.point_id}: phases must be some of A, B, C, not {self.phases!r}")


@dataclass(frozen=True, slots=True)
class UnitInfo:
    """A unit that can be dispatched, as its component declares it; `point_id` meters it.

    Limits in W (generation positive), `ramp_w_min` in W per minute (None: as fast as one likes); the cost per hour is
    a constant plus `cost_b` P + `cost_c` P^2 with P in kW.
    """

    unit_id: str
    point_id: str
    low_w: float
    high_w: float
    cost_b: float
    cost_c: float = 0.0
    ramp_w_min: float | None = None


@dataclass(frozen=True, slots=True)
class FeederInfo:
    """What belongs together under one source: the scope of feeder models.

    `head_id` is the point that meters the infeed. `rated_va`, `no_load_loss_w`, `load_loss_w` and `short_circuit_v`
    (p.u. of rated voltage at rated current) are the supplying transformer's nameplate values (three-phase); None where
    not declared. `tap_*`: its tap changer, where a higher position raises the low-voltage side by `tap_step` (p.u.);
    `bank_*` and `steps_on`: the feeder's largest capacitor bank, `bank_step_var` the three-phase size of a step at
    rated voltage. `transformer_id` and `bank_id` name the components that report the position and the steps.
    """

    feeder_id: str
    head_id: str
    rated_va: float | None = None
    no_load_loss_w: float | None = None
    load_loss_w: float | None = None
    short_circuit_v: float | None = None
    tap_min: int | None = None
    tap_max: int | None = None
    tap_step: float | None = None
    tap_position: int | None = None
    bank_step_var: float | None = None
    bank_steps: int | None = None
    steps_on: int | None = None
    transformer_id: str | None = None
    bank_id: str | None = None
    # The infeed first, if it has a price, then the units of the feeder by id.
    units: tuple[UnitInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output of a model: `kind` is double, integer, boolean or enum; `values` are an enum's labels in code order.

    `optional` outputs may be absent for a row (NaN, or `absent_code` for integers and enums); all others must be
    finite.
    """

    name: str
    kind: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    optional: bool = False
    description: str = ""

    @property
    def absent_code(self) -> int:
        """-1, or the number below the range of an integer that may be negative (a tap position)."""
        return _ABSENT_CODE if self.low is None else min(_ABSENT_CODE, int(self.low) - 1)


@dataclass(frozen=True, slots=True)
class Slot:
    """One of the 16 model slots. `reason` says why it is not installed; `outputs` and `version` are empty then."""

    model_id: str
    state: SlotState
    reason: str = ""
    version: str = ""
    scope: str = "point"
    rate: str = ""
    outputs: tuple[OutputSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelScores:
    """One model's answers to one batch.

    `rows` (m,) int64 index into the batch: the readings at which the model was due. `status` (m,) int8 of `Status`.
    `reason` (m,) int32 indexes `reasons` (entry 0 is the empty text). `outputs` name -> (m,) array: float64, int64 or
    bool; enums are int64 codes into the slot's `OutputSpec.values`; rows that are not ok hold NaN, -1 or False.
    """

    model_id: str
    rows: NDArray[np.int64]
    status: NDArray[np.int8]
    reason: NDArray[np.int32]
    reasons: tuple[str, ...]
    outputs: Mapping[str, NDArray[Any]]
    specs: tuple[OutputSpec, ...] = ()

    def document(self, k: int) -> dict[str, Any]:
        """Row `k` as it stands on the twin: `status`, `reason` when there is one, and the outputs that are present."""
        status = Status(int(self.status[k]))
        body: dict[str, Any] = {"status": status.name.lower()}
        if status is not Status.OK:
            body["reason"] = self.reasons[int(self.reason[k])]
            return body
        for spec in self.specs:
            value = output_value(spec, self.outputs[spec.name][k])
            if value is not None:
                body[spec.name] = value
        return body


@dataclass(frozen=True, slots=True)
class Scores:
    """The engine's answer to one batch: which readings were taken into the windows, and what each model said.

    `accepted` (n,) bool: a reading that is not newer than its point's last one (late or duplicate), or whose point is
    not known, is not accepted and is not scored. `models` holds every model that was due for at least one reading.
    """

    accepted: NDArray[np.bool_]
    models: Mapping[str, ModelScores]


@dataclass(frozen=True, slots=True)
class FeederScore:
    """A feeder model's answer. `time_us` is the end of the minute it speaks of, in source time; None before any
    complete minute. A later call may refine the same minute when a slower member has caught up: write it when its
    time is not older than the one on the twin."""

    model_id: str
    feeder_id: str
    time_us: int | None
    status: Status
    reason: str
    outputs: Mapping[str, Any]
    missing: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As it stands on the twin."""
        body: dict[str, Any] = {"status": self.status.name.lower()}
        if self.reason:
            body["reason"] = self.reason
        return {**body, **self.outputs}


_ABSENT_CODE: Final = -1


def output_value(spec: OutputSpec, raw: Any) -> Any:
    """One output cell as a JSON value: enum label, bool, int or float; None when the optional value is absent."""
    if spec.kind == "boolean":
        return bool(raw)
    if spec.kind == "enum":
        code = int(raw)
        return spec.values[code] if 0 <= code < len(spec.values) else None
    if spec.kind == "integer":
        return None if int(raw) == spec.absent_code else int(raw)
    number = float(raw)
    return number if number == number else None
