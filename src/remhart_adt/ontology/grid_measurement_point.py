"""Grid measurement point: a place in a three-phase grid where electrical quantities are measured: their last
values, what the models make of them, and the alarms.

Generated from dtmi:remhart:smartgrid:GridMeasurementPoint;2 by `remhart-adt dtdl codegen`; do not edit.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from remhart_adt.ontology.base import (
    Boolean,
    ComponentNames,
    Instant,
    InterfaceModel,
    Key,
    Part,
    Real,
    RelationshipClasses,
    RelationshipModel,
    Text,
    Whole,
    component_of,
)
from remhart_adt.ontology.ml_engine import MLEngine

__all__ = [
    "ActivePower",
    "Alarm",
    "AlarmEvent",
    "AlarmSeverity",
    "ConnectedTo",
    "Connectivity",
    "Currents",
    "Frequency",
    "GridMeasurementPoint",
    "GridMeasurementPointTelemetry",
    "GridStandard",
    "HarmonicLevel",
    "HeadlinePredictions",
    "ImbalanceClass",
    "Location",
    "ManagedBy",
    "OverloadRiskLevel",
    "PhaseConfiguration",
    "PowerQuality",
    "ReactivePower",
    "ReactivePowerConvention",
    "SimulationMetadata",
    "Temperatures",
    "Voltages",
]


class Location(Part):
    """A place on the map.

    Units: latitude in degreeOfArc, longitude in degreeOfArc.
    """

    latitude: Real | None = None  # Latitude in the WGS 84 datum; north is positive. Unit: degreeOfArc (Latitude).
    longitude: Real | None = None  # Longitude in the WGS 84 datum; east is positive. Unit: degreeOfArc (Longitude).
    address: Text | None = None  # Postal or site address in plain words.


class PhaseConfiguration(StrEnum):
    """Conductors of the supply."""

    THREE_PHASE_FOUR_WIRE = "threePhaseFourWire"  # Three phases and neutral.
    THREE_PHASE_THREE_WIRE = "threePhaseThreeWire"  # Three phases without neutral.
    SPLIT_PHASE = "splitPhase"  # Two legs of 180 degrees and neutral.
    SINGLE_PHASE = "singlePhase"  # One phase and neutral.


class ReactivePowerConvention(StrEnum):
    """How the meter computes reactive power."""

    FUNDAMENTAL = "fundamental"  # Reactive power of the fundamental component.
    RESIDUAL = "residual"  # Square root of apparent power squared less active power squared; harmonics are in it.


class GridStandard(Part):
    """Nominal values and conventions.

    Units: nominal_voltage in volt, nominal_frequency in hertz, rated_current in ampere.
    """

    nominal_voltage: Real | None = None  # Nominal voltage, line to neutral. Unit: volt (Voltage).
    nominal_frequency: Real | None = None  # Nominal frequency, 50 or 60 Hz. Unit: hertz (Frequency).
    phase_configuration: PhaseConfiguration | None = None  # Conductors of the supply at this point.
    # Continuous current rating per phase of what this point measures. Unit: ampere (Current).
    rated_current: Real | None = None
    reactive_power_convention: ReactivePowerConvention | None = None  # How the meter computes reactive power.


class SimulationMetadata(Part):
    """Names one simulation run."""

    simulation_id: Text | None = None  # Identifier of the run.
    simulation_name: Text | None = None  # Name of the run.
    scenario_type: Text | None = None  # Kind of scenario the run plays.
    parameters: Text | None = None  # Parameters of the run as JSON text.


class Voltages(Part):
    """Line-to-neutral and line-to-line voltages of one reading.

    Units: phase_a in volt, phase_b in volt, phase_c in volt, average in volt, ab in volt, bc in volt, ca in
    volt.
    """

    phase_a: Real | None = None  # Line-to-neutral voltage of phase A. Unit: volt (Voltage).
    phase_b: Real | None = None  # Line-to-neutral voltage of phase B. Unit: volt (Voltage).
    phase_c: Real | None = None  # Line-to-neutral voltage of phase C. Unit: volt (Voltage).
    average: Real | None = None  # Mean of the three line-to-neutral voltages. Unit: volt (Voltage).
    # Line voltage between phases A and B; absent when the meter does not record it. Unit: volt (Voltage).
    ab: Real | None = None
    # Line voltage between phases B and C; absent when the meter does not record it. Unit: volt (Voltage).
    bc: Real | None = None
    # Line voltage between phases C and A; absent when the meter does not record it. Unit: volt (Voltage).
    ca: Real | None = None
    timestamp: Instant | None = None  # Source time of the reading that gave these voltages.


class Currents(Part):
    """Phase and neutral currents of one reading.

    Units: phase_a in ampere, phase_b in ampere, phase_c in ampere, average in ampere, neutral in ampere.
    """

    phase_a: Real | None = None  # Current of phase A. Unit: ampere (Current).
    phase_b: Real | None = None  # Current of phase B. Unit: ampere (Current).
    phase_c: Real | None = None  # Current of phase C. Unit: ampere (Current).
    average: Real | None = None  # Mean of the three phase currents. Unit: ampere (Current).
    # Current in the neutral conductor; absent when the meter does not record it. Unit: ampere (Current).
    neutral: Real | None = None
    timestamp: Instant | None = None  # Source time of the reading that gave these currents.


class Frequency(Part):
    """Frequency of one reading.

    Units: value in hertz, deviation in hertz.
    """

    value: Real | None = None  # Frequency of the supply. Unit: hertz (Frequency).
    deviation: Real | None = None  # Frequency less nominal frequency. Unit: hertz (Frequency).
    timestamp: Instant | None = None  # Source time of the reading that gave this frequency.


class ActivePower(Part):
    """Active power of one reading.

    Units: phase_a in watt, phase_b in watt, phase_c in watt, total in watt.
    """

    phase_a: Real | None = None  # Active power of phase A. Unit: watt (Power).
    phase_b: Real | None = None  # Active power of phase B. Unit: watt (Power).
    phase_c: Real | None = None  # Active power of phase C. Unit: watt (Power).
    total: Real | None = None  # Sum of the three phases. Unit: watt (Power).
    timestamp: Instant | None = None  # Source time of the reading that gave this power.


class ReactivePower(Part):
    """Reactive power of one reading.

    Units: phase_a in voltAmpereReactive, phase_b in voltAmpereReactive, phase_c in voltAmpereReactive, total in
    voltAmpereReactive.
    """

    phase_a: Real | None = None  # Reactive power of phase A. Unit: voltAmpereReactive (ReactivePower).
    phase_b: Real | None = None  # Reactive power of phase B. Unit: voltAmpereReactive (ReactivePower).
    phase_c: Real | None = None  # Reactive power of phase C. Unit: voltAmpereReactive (ReactivePower).
    total: Real | None = None  # Sum of the three phases. Unit: voltAmpereReactive (ReactivePower).
    timestamp: Instant | None = None  # Source time of the reading that gave this power.


class PowerQuality(Part):
    """Indices of one reading."""

    voltage_imbalance: Real | None = None  # Negative-sequence over positive-sequence voltage, in percent.
    # Largest deviation of a phase current from the mean, over the mean, in percent.
    current_imbalance: Real | None = None
    # Largest voltage THD of the three phases, in percent of the fundamental; absent when the meter does not send it.
    total_harmonic_distortion: Real | None = None
    power_factor: Real | None = None  # Active over apparent power, from -1 to 1; negative when power flows back.
    # Exact power quality index, from 0 (worst) to 100; absent when it is not computed.
    quality_score: Real | None = None
    timestamp: Instant | None = None  # Source time of the reading that gave these indices.


class Temperatures(Part):
    """Temperatures of one reading.

    Units: oil in degreeCelsius, ambient in degreeCelsius.
    """

    oil: Real | None = None  # Top-oil temperature of the transformer. Unit: degreeCelsius (Temperature).
    ambient: Real | None = None  # Air temperature beside the equipment. Unit: degreeCelsius (Temperature).
    timestamp: Instant | None = None  # Source time of the reading that gave these temperatures.


class HarmonicLevel(StrEnum):
    """Class of voltage distortion."""

    LOW = "low"  # Voltage distortion below 3 %.
    MEDIUM = "medium"  # From 3 % to 5 %.
    HIGH = "high"  # Above 5 %; IEEE 519 allows 8 % at low voltage.


class ImbalanceClass(StrEnum):
    """Class of voltage imbalance."""

    BALANCED = "balanced"  # Negative-sequence voltage below 2 % of the positive sequence.
    MINOR = "minor"  # From 2 % to below 5 %.
    MODERATE = "moderate"  # From 5 % to below 10 %.
    SEVERE = "severe"  # 10 % and more.


class OverloadRiskLevel(StrEnum):
    """Class of overload risk."""

    LOW = "low"  # No limit comes near within the horizon.
    MEDIUM = "medium"  # The planning limit of the equipment comes near.
    HIGH = "high"  # The planning limit is expected to be exceeded.
    CRITICAL = "critical"  # The emergency limit is expected to be exceeded.


class HeadlinePredictions(Part):
    """One value of each of the 16 models; a model that abstained leaves its last value or none.

    Units: frequency_stability_prediction in hertz, load_forecast in watt, demand_response_potential in watt,
    reactive_power_compensation in voltAmpereReactive.
    """

    voltage_anomaly_detected: Boolean | None = None  # Whether the voltage behaves unlike this point's own past.
    harmonic_distortion_level: HarmonicLevel | None = None  # Class of the estimated voltage distortion.
    frequency_stability_prediction: Real | None = None  # Frequency expected 5 seconds ahead. Unit: hertz (Frequency).
    phase_imbalance_class: ImbalanceClass | None = None  # Class of the voltage imbalance.
    equipment_failure_risk: Real | None = None  # Probability of a thermal alarm within 24 hours, from 0 to 1.
    overload_risk_level: OverloadRiskLevel | None = None  # Class of the overload risk in the next 60 minutes.
    power_quality_index: Real | None = None  # Power quality index, from 0 (worst) to 100.
    voltage_sag_probability: Real | None = None  # Probability of a voltage sag within 15 minutes, from 0 to 1.
    load_forecast: Real | None = None  # Active power expected one hour ahead. Unit: watt (Power).
    energy_loss_estimate: Real | None = None  # Losses in percent of what is fed into the scope.
    power_flow_efficiency_gain: Real | None = None  # Losses that the recommended configuration saves, in percent.
    demand_response_potential: Real | None = None  # Power that flexible loads could shed now. Unit: watt (Power).
    # Compensation recommended now; positive is capacitive. Unit: voltAmpereReactive (ReactivePower).
    reactive_power_compensation: Real | None = None
    load_balancing_recommendation: Text | None = None  # Phase move that reduces imbalance most, or none.
    grid_stability_score: Real | None = None  # Smallest normalised stability margin, from 0 (none) to 100.
    optimal_dispatch_recommendation: Text | None = None  # Least-cost dispatch of the declared units, in short.
    timestamp: Instant | None = None  # Source time of the latest reading that a headline comes from.


class Connectivity(StrEnum):
    """Whether readings arrive."""

    ONLINE = "online"  # Readings arrive.
    STALE = "stale"  # Readings are overdue.
    OFFLINE = "offline"  # No readings for long, or none yet.


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


class AlarmEvent(Part):
    """An alarm that was raised or cleared, as sent on event routes."""

    alarm_name: Text | None = None  # Kind of the alarm; the key in the alarms map.
    severity: AlarmSeverity | None = None  # How urgently somebody has to act.
    timestamp: Instant | None = None  # Source time of the reading that raised or cleared the alarm.
    value: Real | None = None  # The value that crossed the limit, in the unit of the limit.
    limit: Real | None = None  # The limit that was crossed.
    source: Text | None = None  # What decided it: rule, or the identifier of a model.
    phases: Text | None = None  # Phases concerned, in order, such as A or AB; empty when the alarm is not about phases.


class ManagedBy(RelationshipModel):
    """Who is responsible for this point."""

    NAME = "managedBy"
    TARGET = "dtmi:remhart:smartgrid:User;2"


class ConnectedTo(RelationshipModel):
    """The grid component this point is connected to."""

    NAME = "connectedTo"
    TARGET = "dtmi:remhart:smartgrid:GridComponent;2"


class GridMeasurementPointTelemetry(Part):
    """One telemetry message of GridMeasurementPoint."""

    alarm_raised: AlarmEvent | None = None  # Sent when an alarm becomes active.
    alarm_cleared: AlarmEvent | None = None  # Sent when an alarm is no longer active.


class GridMeasurementPoint(InterfaceModel):
    """A place in a three-phase grid where electrical quantities are measured: their last values, what the models
    make of them, and the alarms."""

    MODEL = "dtmi:remhart:smartgrid:GridMeasurementPoint;2"
    COMPONENTS: ClassVar[ComponentNames] = ("mlEngine",)
    RELATIONSHIPS: ClassVar[RelationshipClasses] = (ManagedBy, ConnectedTo)

    location: Location | None = None  # Where the measurement point stands.
    # Nominal values and conventions of the grid at this point; readings are judged against them.
    grid_standard: GridStandard | None = None
    is_simulation: Boolean | None = None  # Whether the readings come from a simulation instead of a meter.
    simulation_metadata: SimulationMetadata | None = None  # Which simulation the readings come from.
    voltage: Voltages | None = None  # Last voltages, true RMS.
    current: Currents | None = None  # Last currents, true RMS.
    frequency: Frequency | None = None  # Last frequency.
    active_power: ActivePower | None = None  # Last active power; positive into the load.
    reactive_power: ReactivePower | None = None  # Last reactive power; positive into the load (inductive).
    power_quality: PowerQuality | None = None  # Quality of supply at the last reading.
    temperature: Temperatures | None = None  # Last temperatures of the equipment at this point.
    # The headline of each model; the full outputs are in the component mlEngine.
    ml_predictions: HeadlinePredictions | None = None
    connectivity: Connectivity | None = None  # Whether readings arrive as expected.
    last_reading_at: Instant | None = None  # Source time of the newest reading that was applied.
    # Alarms of this point, the active ones and the last cleared one of each kind, by alarm name.
    alarms: dict[Key, Alarm] | None = None
    active_alarm_count: Whole | None = None  # Number of alarms that are raised and not cleared.
    # The models that judge this point's readings, with their full outputs.
    ml_engine: MLEngine = component_of(MLEngine)
