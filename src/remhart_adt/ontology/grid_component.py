"""Grid component: a piece of grid equipment: what it is, its ratings and electrical data, its state, and what it
feeds.

Generated from dtmi:remhart:smartgrid:GridComponent;2 by `remhart-adt dtdl codegen`; do not edit.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from remhart_adt.ontology.base import (
    Boolean,
    Day,
    Instant,
    InterfaceModel,
    Key,
    Part,
    Real,
    RelationshipClasses,
    RelationshipModel,
    Text,
    Whole,
)

__all__ = [
    "Alarm",
    "AlarmSeverity",
    "ComponentType",
    "DataQuality",
    "DispatchData",
    "ElectricalData",
    "FedBy",
    "FeedsTo",
    "GridComponent",
    "Location",
    "MonitoredBy",
    "Status",
    "SwitchState",
]


class ComponentType(StrEnum):
    """Kind of equipment."""

    TRANSFORMER = "transformer"  # Transformer.
    SUBSTATION = "substation"  # Substation: the source of a feeder.
    CIRCUIT_BREAKER = "circuit_breaker"  # Circuit breaker or switch.
    CAPACITOR_BANK = "capacitor_bank"  # Bank of capacitors switched in steps.
    METER = "meter"  # Meter or service connection of a customer.
    TRANSMISSION_LINE = "transmission_line"  # Line or cable.
    RENEWABLE_SOURCE = "renewable_source"  # Photovoltaic, wind or other renewable source.


class Location(Part):
    """A place on the map.

    Units: latitude in degreeOfArc, longitude in degreeOfArc.
    """

    latitude: Real | None = None  # Latitude in the WGS 84 datum; north is positive. Unit: degreeOfArc (Latitude).
    longitude: Real | None = None  # Longitude in the WGS 84 datum; east is positive. Unit: degreeOfArc (Longitude).
    address: Text | None = None  # Postal or site address in plain words.


class Status(StrEnum):
    """Operational status."""

    OPERATIONAL = "operational"  # In service.
    MAINTENANCE = "maintenance"  # Out of service for maintenance.
    FAULT = "fault"  # Out of service by a fault.
    OFFLINE = "offline"  # Out of service.


class SwitchState(StrEnum):
    """Position of a switch."""

    OPEN = "open"  # No current can pass.
    CLOSED = "closed"  # Current can pass.


class AlarmSeverity(StrEnum):
    """How urgently somebody has to act."""

    CRITICAL = "critical"  # Supply is lost or equipment is in danger: act at once.
    MAJOR = "major"  # Limits of supply quality or loading are broken: act soon.
    MINOR = "minor"  # A limit is broken without danger: look at it.
    WARNING = "warning"  # A limit will probably be broken: be aware.


class Alarm(Part):
    """One alarm: what was measured, against which limit, and since when."""

    severity: AlarmSeverity | None = None  # How urgently somebody has to act.
    raised_at: Instant | None = None  # Source time of the reading that raised the alarm.
    cleared_at: Instant | None = None  # Source time of the reading that cleared it; absent while the alarm is active.
    value: Real | None = None  # The value that raised the alarm, in the unit of the limit.
    # The limit that was crossed; voltages are in per unit of the nominal line-to-neutral voltage.
    limit: Real | None = None
    source: Text | None = None  # What raised the alarm: rule, or the identifier of a model.
    phases: Text | None = None  # Phases concerned, in order, such as A or AB; empty when the alarm is not about phases.


class ElectricalData(Part):
    """Parameters of lines, transformers and capacitor banks.

    Units: length in kilometre, no_load_loss in watt, load_loss in watt, step_kvar in kilovoltAmpereReactive.
    """

    r1: Real | None = None  # Positive-sequence resistance, in ohms per kilometre.
    x1: Real | None = None  # Positive-sequence reactance, in ohms per kilometre.
    r0: Real | None = None  # Zero-sequence resistance, in ohms per kilometre.
    x0: Real | None = None  # Zero-sequence reactance, in ohms per kilometre.
    length: Real | None = None  # Length of the line. Unit: kilometre (Length).
    no_load_loss: Real | None = None  # No-load loss of the transformer. Unit: watt (Power).
    load_loss: Real | None = None  # Load loss of the transformer at rated current. Unit: watt (Power).
    short_circuit_voltage: Real | None = None  # Short-circuit voltage of the transformer, in percent of rated voltage.
    tap_min: Whole | None = None  # Lowest tap position.
    tap_max: Whole | None = None  # Highest tap position.
    tap_step: Real | None = None  # Voltage change of one tap, in percent of rated voltage.
    tap_position: Whole | None = None  # Tap position now.
    # Reactive power of one capacitor step at rated voltage. Unit: kilovoltAmpereReactive (ReactivePower).
    step_kvar: Real | None = None
    steps: Whole | None = None  # Capacitor steps installed.
    steps_on: Whole | None = None  # Capacitor steps switched on.
    neutral_earthed: Boolean | None = None  # Whether the neutral is earthed at this component.


class DispatchData(Part):
    """Limits and cost curve of a unit.

    Units: min_power in watt, max_power in watt.
    """

    min_power: Real | None = None  # Least active power while running. Unit: watt (Power).
    max_power: Real | None = None  # Greatest active power. Unit: watt (Power).
    ramp_rate: Real | None = None  # Greatest change of active power, in watts per minute.
    cost_a: Real | None = None  # Constant part of the cost, in currency per hour.
    cost_b: Real | None = None  # Linear part of the cost, in currency per kilowatt-hour.
    cost_c: Real | None = None  # Quadratic part of the cost, in currency per hour and kilowatt squared.


class DataQuality(StrEnum):
    """Trust in the readings."""

    GOOD = "good"  # Readings can be trusted.
    SUSPECT = "suspect"  # Readings may be wrong.
    BAD = "bad"  # Readings must not be used.


class FeedsTo(RelationshipModel):
    """Power flows from this component to the target in normal operation.

    Units: active_power in watt.
    """

    NAME = "feedsTo"
    TARGET = "dtmi:remhart:smartgrid:GridComponent;2"

    # Active power over this connection; positive toward the target. Unit: watt (Power).
    active_power: Real | None = None
    loading: Real | None = None  # Loading of the connection in per unit of its rating.
    energized: Boolean | None = None  # Whether a source reaches this connection over closed switches.
    updated_at: Instant | None = None  # Source time of the newest reading in these values.


class FedBy(RelationshipModel):
    """The generated inverse of feedsTo; it has no state."""

    NAME = "fedBy"
    TARGET = "dtmi:remhart:smartgrid:GridComponent;2"


class MonitoredBy(RelationshipModel):
    """The measurement point that watches this component."""

    NAME = "monitoredBy"
    TARGET = "dtmi:remhart:smartgrid:GridMeasurementPoint;2"

    phases: Text | None = None  # Phases the point measures, such as ABC.
    last_reading_at: Instant | None = None  # Source time of the newest reading.
    data_quality: DataQuality | None = None  # The point's word on its newest reading.


class GridComponent(InterfaceModel):
    """A piece of grid equipment: what it is, its ratings and electrical data, its state, and what it feeds.

    Units: rated_capacity in voltAmpere, rated_current in ampere, temperature in degreeCelsius.
    """

    MODEL = "dtmi:remhart:smartgrid:GridComponent;2"
    RELATIONSHIPS: ClassVar[RelationshipClasses] = (FeedsTo, FedBy, MonitoredBy)

    component_type: ComponentType | None = None  # What kind of equipment it is.
    component_id: Text | None = None  # Identifier in the asset register of the grid operator.
    location: Location | None = None  # Where the component stands.
    rated_capacity: Real | None = None  # Rated apparent power, all phases. Unit: voltAmpere (ApparentPower).
    rated_current: Real | None = None  # Rated continuous current per phase. Unit: ampere (Current).
    manufacturer: Text | None = None  # Who made it.
    installation_date: Day | None = None  # When it was installed.
    status: Status | None = None  # Operational status.
    switch_state: SwitchState | None = None  # Position of the switch; only components that switch have one.
    energized: Boolean | None = None  # Whether a source reaches the component over closed switches.
    load_factor: Real | None = None  # Loading in per unit of the rating.
    health_score: Real | None = None  # Health from 0 (worst) to 100.
    temperature: Real | None = None  # Last reported temperature. Unit: degreeCelsius (Temperature).
    last_updated_at: Instant | None = None  # Source time of the newest report that changed the state.
    # Alarms of this component, the active ones and the last cleared one of each kind, by alarm name.
    alarms: dict[Key, Alarm] | None = None
    active_alarm_count: Whole | None = None  # Number of alarms that are raised and not cleared.
    # Electrical data that feeder calculations need; a component has those that apply to it.
    electrical: ElectricalData | None = None
    can_island: Boolean | None = None  # Whether this source may feed its part of the grid without a substation.
    # Limits and cost of a unit that can be dispatched; the cost per hour is costA + costB P + costC P^2 with P in
    # kilowatts.
    dispatch: DispatchData | None = None
