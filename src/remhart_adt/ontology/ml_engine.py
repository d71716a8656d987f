"""ML engine: the 16 models of a measurement point: what is installed, and the last full output of each model.

Generated from dtmi:remhart:smartgrid:MLEngine;2 by `remhart-adt dtdl codegen`; do not edit.
"""

from __future__ import annotations

from enum import StrEnum

from remhart_adt.ontology.base import Boolean, Instant, InterfaceModel, Key, Long, Part, Real, Text, Whole

__all__ = [
    "DecisionPredictions",
    "DemandResponse",
    "EnergyLoss",
    "EnergyPredictions",
    "EquipmentFailure",
    "FeatureEngineering",
    "FrequencyStability",
    "GridStability",
    "HarmonicAnalysis",
    "HarmonicLevel",
    "ImbalanceClass",
    "InferenceMetrics",
    "LimitingFactor",
    "LoadBalancing",
    "LoadForecast",
    "MLEngine",
    "MaintenancePredictions",
    "ModelRegistry",
    "MonitoringPredictions",
    "OptimalDispatch",
    "OverloadRisk",
    "OverloadRiskLevel",
    "Phase",
    "PhaseImbalance",
    "PowerFlowOptimization",
    "PowerQualityIndex",
    "PredictionStatus",
    "QualityClass",
    "ReactivePowerCompensation",
    "ResponseRecommendation",
    "StabilityClass",
    "VoltageAnomalyDetection",
    "VoltageSag",
]


class ModelRegistry(Part):
    """Counts of installed models."""

    total_models: Whole | None = None  # Installed models.
    monitoring_models: Whole | None = None  # Installed monitoring models.
    maintenance_models: Whole | None = None  # Installed maintenance models.
    energy_models: Whole | None = None  # Installed energy models.
    decision_models: Whole | None = None  # Installed decision models.


class FeatureEngineering(Part):
    """Counts of computed features."""

    total_features: Whole | None = None  # Computed features.
    voltage_features: Whole | None = None  # Features of the voltages.
    current_features: Whole | None = None  # Features of the currents.
    frequency_features: Whole | None = None  # Features of the frequency.
    power_features: Whole | None = None  # Features of the powers.
    balance_features: Whole | None = None  # Features of the balance between phases.
    quality_features: Whole | None = None  # Features of supply quality.
    time_series_features: Whole | None = None  # Features of past values.


class Phase(StrEnum):
    """A phase of the supply."""

    A = "A"  # Phase A.
    B = "B"  # Phase B.
    C = "C"  # Phase C.
    NONE = "none"  # No single phase stands out.


class PredictionStatus(StrEnum):
    """Whether a model answered."""

    OK = "ok"  # The model answered.
    ABSTAINED = "abstained"  # The model had no ground to answer on; the reason tells why.
    FAILED = "failed"  # The model is out of service; the reason tells why.


class VoltageAnomalyDetection(Part):
    """Whether the voltage behaves unlike this point's own past."""

    anomaly_detected: Boolean | None = None  # Whether the reading is an anomaly.
    anomaly_score: Real | None = None  # Strength of the anomaly; larger is stranger.
    p_value: Real | None = None  # Probability of so large a residual in normal operation, from 0 to 1.
    residual: Real | None = None  # Largest voltage less expected voltage, in per unit of nominal.
    phase: Phase | None = None  # Phase with the largest residual.
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class HarmonicLevel(StrEnum):
    """Class of voltage distortion."""

    LOW = "low"  # Voltage distortion below 3 %.
    MEDIUM = "medium"  # From 3 % to 5 %.
    HIGH = "high"  # Above 5 %; IEEE 519 allows 8 % at low voltage.


class HarmonicAnalysis(Part):
    """Voltage distortion, also where the meter does not send it."""

    thd_estimate: Real | None = None  # Voltage THD, in percent of the fundamental.
    thd_low: Real | None = None  # Lower end of the 90 % interval of the THD, in percent.
    thd_high: Real | None = None  # Upper end of the 90 % interval of the THD, in percent.
    tdd_estimate: Real | None = None  # Current total demand distortion, in percent of rated current.
    harmonic_level: HarmonicLevel | None = None  # Class of the voltage distortion.
    worst_phase: Phase | None = None  # Phase with the highest distortion.
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class FrequencyStability(Part):
    """Where the frequency goes in the next seconds.

    Units: predicted_frequency in hertz, frequency_low in hertz, frequency_high in hertz.
    """

    predicted_frequency: Real | None = None  # Frequency expected 5 seconds ahead. Unit: hertz (Frequency).
    frequency_low: Real | None = None  # Lower end of the 90 % interval. Unit: hertz (Frequency).
    frequency_high: Real | None = None  # Upper end of the 90 % interval. Unit: hertz (Frequency).
    # Probability of leaving the normal operating band within 60 seconds, from 0 to 1.
    band_exit_probability: Real | None = None
    stability_score: Real | None = None  # Stability of the frequency, from 0 (worst) to 100.
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class ImbalanceClass(StrEnum):
    """Class of voltage imbalance."""

    BALANCED = "balanced"  # Negative-sequence voltage below 2 % of the positive sequence.
    MINOR = "minor"  # From 2 % to below 5 %.
    MODERATE = "moderate"  # From 5 % to below 10 %.
    SEVERE = "severe"  # 10 % and more.


class PhaseImbalance(Part):
    """True voltage unbalance factor and the phase that causes it."""

    imbalance_class: ImbalanceClass | None = None  # Class of the voltage imbalance.
    vuf: Real | None = None  # Negative-sequence over positive-sequence voltage, in percent.
    vuf_low: Real | None = None  # Lower end of the 90 % interval, in percent.
    vuf_high: Real | None = None  # Upper end of the 90 % interval, in percent.
    confidence: Real | None = None  # Probability of the class, from 0 to 1.
    critical_phase: Phase | None = None  # Phase that deviates most.
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class MonitoringPredictions(Part):
    """One object per monitoring model."""

    # Whether the voltage behaves unlike this point's own past.
    voltage_anomaly_detection: VoltageAnomalyDetection | None = None
    harmonic_analysis: HarmonicAnalysis | None = None  # Voltage distortion, also where the meter does not send it.
    frequency_stability: FrequencyStability | None = None  # Where the frequency goes in the next seconds.
    phase_imbalance: PhaseImbalance | None = None  # True voltage unbalance factor and the phase that causes it.


class EquipmentFailure(Part):
    """Thermal stress of the equipment and the alarm it may lead to within 24 hours.

    Units: time_to_failure in hour.
    """

    failure_risk: Real | None = None  # Probability of a thermal alarm within 24 hours, from 0 to 1.
    aging_acceleration: Real | None = None  # Ageing relative to rated hot-spot temperature; 1 is normal.
    loss_of_life: Real | None = None  # Insulation life used in the last 24 hours, in percent of normal life.
    # Time until the alarm is expected; absent when none is. Unit: hour (TimeSpan).
    time_to_failure: Whole | None = None
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class OverloadRiskLevel(StrEnum):
    """Class of overload risk."""

    LOW = "low"  # No limit comes near within the horizon.
    MEDIUM = "medium"  # The planning limit of the equipment comes near.
    HIGH = "high"  # The planning limit is expected to be exceeded.
    CRITICAL = "critical"  # The emergency limit is expected to be exceeded.


class OverloadRisk(Part):
    """Highest thermal stress in the next 60 minutes.

    Units: max_hot_spot in degreeCelsius, time_to_limit in minute.
    """

    risk_level: OverloadRiskLevel | None = None  # Class of the risk.
    risk_score: Real | None = None  # Risk from 0 (none) to 1.
    # Highest winding hot-spot temperature in the next 60 minutes; transformers only. Unit: degreeCelsius (Temperature).
    max_hot_spot: Real | None = None
    max_loading: Real | None = None  # Highest loading in the next 60 minutes, in per unit of the rating.
    # Time until the limit is reached; absent when it is not. Unit: minute (TimeSpan).
    time_to_limit: Real | None = None
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class QualityClass(StrEnum):
    """Class of the power quality index."""

    EXCELLENT = "excellent"  # Above 90.
    GOOD = "good"  # From 70 to 90.
    FAIR = "fair"  # From 50 to below 70.
    POOR = "poor"  # Below 50.


class PowerQualityIndex(Part):
    """Exact power quality index and its forecast.

    Units: violation_time in hour.
    """

    quality_index: Real | None = None  # Power quality index, from 0 (worst) to 100.
    quality_class: QualityClass | None = None  # Class of the index.
    voltage_quality: Real | None = None  # Part of the supply voltage, from 0 to 100.
    # Part of the voltage unbalance, from 0 to 100; absent when it does not count.
    unbalance_quality: Real | None = None
    frequency_quality: Real | None = None  # Part of the frequency, from 0 to 100; absent when it does not count.
    harmonic_quality: Real | None = None  # Part of the voltage harmonics, from 0 to 100; absent when it does not count.
    forecast_quality_index: Real | None = None  # Index expected for the next day, from 0 to 100.
    forecast_low: Real | None = None  # Lower end of the 90 % interval of the forecast.
    forecast_high: Real | None = None  # Upper end of the 90 % interval of the forecast.
    violation_time: Real | None = None  # Time outside the limits in the last 24 hours. Unit: hour (TimeSpan).
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class VoltageSag(Part):
    """Whether, how deep and how long a voltage sag comes within 15 minutes.

    Units: sag_duration in second.
    """

    sag_probability: Real | None = None  # Probability of a sag within 15 minutes, from 0 to 1.
    sag_depth: Real | None = None  # Expected depth below nominal if a sag comes, in per unit.
    sag_duration: Real | None = None  # Expected duration if a sag comes. Unit: second (TimeSpan).
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class MaintenancePredictions(Part):
    """One object per maintenance model."""

    # Thermal stress of the equipment and the alarm it may lead to within 24 hours.
    equipment_failure: EquipmentFailure | None = None
    overload_risk: OverloadRisk | None = None  # Highest thermal stress in the next 60 minutes.
    power_quality_index: PowerQualityIndex | None = None  # Exact power quality index and its forecast.
    voltage_sag: VoltageSag | None = None  # Whether, how deep and how long a voltage sag comes within 15 minutes.


class LoadForecast(Part):
    """Active power to come, with 90 % intervals.

    Units: forecasted_load in watt, forecasted_load_low in watt, forecasted_load_high in watt, load15min in
    watt, load15min_low in watt, load15min_high in watt, load24h in watt, load24h_low in watt, load24h_high in
    watt, forecast_horizon in minute.
    """

    forecasted_load: Real | None = None  # Active power expected one hour ahead. Unit: watt (Power).
    forecasted_load_low: Real | None = None  # Lower end of its interval. Unit: watt (Power).
    forecasted_load_high: Real | None = None  # Upper end of its interval. Unit: watt (Power).
    load15min: Real | None = None  # Active power expected 15 minutes ahead. Unit: watt (Power).
    load15min_low: Real | None = None  # Lower end of its interval. Unit: watt (Power).
    load15min_high: Real | None = None  # Upper end of its interval. Unit: watt (Power).
    load24h: Real | None = None  # Active power expected 24 hours ahead. Unit: watt (Power).
    load24h_low: Real | None = None  # Lower end of its interval. Unit: watt (Power).
    load24h_high: Real | None = None  # Upper end of its interval. Unit: watt (Power).
    forecast_horizon: Whole | None = None  # Horizon of forecastedLoad. Unit: minute (TimeSpan).
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class EnergyLoss(Part):
    """Losses between the infeed of a scope and its measured loads.

    Units: loss_in_watts in watt, loss_low in watt, loss_high in watt.
    """

    loss_in_watts: Real | None = None  # Power lost now. Unit: watt (Power).
    estimated_loss: Real | None = None  # Power lost, in percent of the infeed of the scope.
    loss_low: Real | None = None  # Lower end of the 90 % interval of the loss. Unit: watt (Power).
    loss_high: Real | None = None  # Upper end of the 90 % interval of the loss. Unit: watt (Power).
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class PowerFlowOptimization(Part):
    """Taps and capacitor steps with the least losses inside the voltage limits.

    Units: loss_reduction in watt.
    """

    optimal_configuration: Text | None = None  # The recommended configuration in short.
    recommended_tap_position: Whole | None = None  # Recommended tap position.
    recommended_steps: Whole | None = None  # Recommended capacitor steps switched on.
    loss_reduction: Real | None = None  # Losses it saves. Unit: watt (Power).
    efficiency_gain: Real | None = None  # Losses it saves, in percent of the losses now.
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class ResponseRecommendation(StrEnum):
    """What to ask of the flexible loads."""

    NONE = "none"  # Nothing.
    SHIFT = "shift"  # Use energy later.
    SHED = "shed"  # Use less now.


class DemandResponse(Part):
    """How much load could be shed here and how.

    Units: sheddable_power in watt, sheddable_low in watt, sheddable_high in watt.
    """

    demand_cluster: Text | None = None  # Name of the load pattern this point follows.
    response_recommendation: ResponseRecommendation | None = None  # What to ask of the flexible loads.
    sheddable_power: Real | None = None  # Power that flexible loads could shed now. Unit: watt (Power).
    sheddable_low: Real | None = None  # Lower end of the 90 % interval. Unit: watt (Power).
    sheddable_high: Real | None = None  # Upper end of the 90 % interval. Unit: watt (Power).
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class EnergyPredictions(Part):
    """One object per energy model."""

    load_forecast: LoadForecast | None = None  # Active power to come, with 90 % intervals.
    energy_loss: EnergyLoss | None = None  # Losses between the infeed of a scope and its measured loads.
    # Taps and capacitor steps with the least losses inside the voltage limits.
    power_flow_optimization: PowerFlowOptimization | None = None
    demand_response: DemandResponse | None = None  # How much load could be shed here and how.


class ReactivePowerCompensation(Part):
    """Reactive power to come and the compensation for it.

    Units: forecast_reactive_power in voltAmpereReactive, recommended_compensation in voltAmpereReactive.
    """

    # Reactive power expected 10 minutes ahead. Unit: voltAmpereReactive (ReactivePower).
    forecast_reactive_power: Real | None = None
    # Compensation recommended; positive is capacitive. Unit: voltAmpereReactive (ReactivePower).
    recommended_compensation: Real | None = None
    expected_power_factor: Real | None = None  # Power factor with the recommended compensation, from -1 to 1.
    # Capacitor steps to switch on; absent when the step size of the bank is unknown.
    recommended_steps: Whole | None = None
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class LoadBalancing(Part):
    """Single-phase loads to move between phases.

    Units: loss_reduction in watt.
    """

    balancing_recommendation: Text | None = None  # The move that helps most, or none.
    balance_score: Real | None = None  # Balance of the loads, from 0 (worst) to 100.
    loss_reduction: Real | None = None  # Neutral and phase losses the move saves. Unit: watt (Power).
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class StabilityClass(StrEnum):
    """Class of stability."""

    STABLE = "stable"  # All margins are wide.
    MARGINAL = "marginal"  # A margin is narrow.
    UNSTABLE = "unstable"  # A margin is used up.


class LimitingFactor(StrEnum):
    """What limits."""

    VOLTAGE = "voltage"  # Voltage.
    FREQUENCY = "frequency"  # Frequency.
    IMBALANCE = "imbalance"  # Imbalance of the phases.
    THERMAL = "thermal"  # Loading.


class GridStability(Part):
    """Smallest margin to an operating limit."""

    stability_score: Real | None = None  # Smallest normalised margin, from 0 (none) to 100.
    stability_class: StabilityClass | None = None  # Class of the score.
    voltage_margin: Real | None = None  # Distance to voltage collapse, in percent of the load.
    thermal_margin: Real | None = None  # Distance to the thermal limit, in percent of the rating.
    limiting_factor: LimitingFactor | None = None  # What the smallest margin is about.
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class OptimalDispatch(Part):
    """Least-cost dispatch of the declared units.

    Units: reserve_shortfall in watt.
    """

    dispatch_recommendation: Text | None = None  # The dispatch in short.
    setpoints: dict[Key, Real] | None = None  # Set point of each unit, in watts, by component identifier.
    cost_savings: Real | None = None  # Cost saved against the dispatch now, in currency per hour.
    reserve_shortfall: Real | None = None  # Reserve missing after loss of the largest unit. Unit: watt (Power).
    model_version: Text | None = None  # Version of the model that answered.
    status: PredictionStatus | None = None  # Whether the model answered.
    reason: Text | None = None  # Why the model abstained or failed; absent when it answered.
    scored_at: Instant | None = None  # Source time of the newest reading the answer is about.


class DecisionPredictions(Part):
    """One object per decision model."""

    # Reactive power to come and the compensation for it.
    reactive_power_compensation: ReactivePowerCompensation | None = None
    load_balancing: LoadBalancing | None = None  # Single-phase loads to move between phases.
    grid_stability: GridStability | None = None  # Smallest margin to an operating limit.
    optimal_dispatch: OptimalDispatch | None = None  # Least-cost dispatch of the declared units.


class InferenceMetrics(Part):
    """Counters of scoring.

    Units: average_inference_time in millisecond.
    """

    total_inferences: Long | None = None  # Answers given since the start.
    average_inference_time: Real | None = None  # Mean time of one answer. Unit: millisecond (TimeSpan).
    models_active: Whole | None = None  # Models in service.
    last_inference_timestamp: Instant | None = None  # Time of the last answer.


class MLEngine(InterfaceModel):
    """The 16 models of a measurement point: what is installed, and the last full output of each model."""

    MODEL = "dtmi:remhart:smartgrid:MLEngine;2"

    engine_version: Text | None = None  # Version of the software that scores.
    model_registry: ModelRegistry | None = None  # How many models are installed.
    feature_engineering: FeatureEngineering | None = None  # How many features are computed.
    monitoring_predictions: MonitoringPredictions | None = None  # Last outputs of the monitoring models.
    maintenance_predictions: MaintenancePredictions | None = None  # Last outputs of the maintenance models.
    energy_predictions: EnergyPredictions | None = None  # Last outputs of the energy models.
    decision_predictions: DecisionPredictions | None = None  # Last outputs of the decision models.
    inference_metrics: InferenceMetrics | None = None  # How scoring of this point runs.
