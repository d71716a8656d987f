"""Identifiers: DTMIs, twin ids, and the 16 model ids with their published names."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = [
    "DTMI_COMPONENT",
    "DTMI_ENGINE",
    "DTMI_POINT",
    "DTMI_USER",
    "MODELS",
    "MODEL_BY_ID",
    "ModelName",
    "is_dtmi",
    "is_twin_id",
]

DTMI_POINT: Final = "dtmi:remhart:smartgrid:GridMeasurementPoint;2"
DTMI_ENGINE: Final = "dtmi:remhart:smartgrid:MLEngine;2"
DTMI_COMPONENT: Final = "dtmi:remhart:smartgrid:GridComponent;2"
DTMI_USER: Final = "dtmi:remhart:smartgrid:User;2"

_DTMI = re.compile(
    r"dtmi:[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?(?::[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?)*"
    r"(?:;[1-9][0-9]{0,8}(?:\.[1-9][0-9]{0,5})?)?",
    re.ASCII,
)
_TWIN_ID = re.compile(r"[A-Za-z0-9\-.+%_#*?!(),=@$']{1,128}", re.ASCII)


class ModelName(NamedTuple):
    """One of the 16 model slots: our id, its module property on MLEngine, its object in there, and its headline
    property on GridMeasurementPoint.mlPredictions."""

    id: str
    module: str
    published: str
    headline: str


MODELS: Final = (
    ModelName("voltage_anomaly", "monitoringPredictions", "voltageAnomalyDetection", "voltageAnomalyDetected"),
    ModelName("harmonic_analysis", "monitoringPredictions", "harmonicAnalysis", "harmonicDistortionLevel"),
    ModelName("frequency_stability", "monitoringPredictions", "frequencyStability", "frequencyStabilityPrediction"),
    ModelName("phase_imbalance", "monitoringPredictions", "phaseImbalance", "phaseImbalanceClass"),
    ModelName("equipment_failure", "maintenancePredictions", "equipmentFailure", "equipmentFailureRisk"),
    ModelName("overload_risk", "maintenancePredictions", "overloadRisk", "overloadRiskLevel"),
    ModelName("power_quality_index", "maintenancePredictions", "powerQualityIndex", "powerQualityIndex"),
    ModelName("voltage_sag", "maintenancePredictions", "voltageSag", "voltageSagProbability"),
    ModelName("load_forecast", "energyPredictions", "loadForecast", "loadForecast"),
    ModelName("energy_loss", "energyPredictions", "energyLoss", "energyLossEstimate"),
    ModelName("power_flow_optimization", "energyPredictions", "powerFlowOptimization", "powerFlowEfficiencyGain"),
    ModelName("demand_response", "energyPredictions", "demandResponse", "demandResponsePotential"),
    ModelName("reactive_power", "decisionPredictions", "reactivePowerCompensation", "reactivePowerCompensation"),
    ModelName("load_balancing", "decisionPredictions", "loadBalancing", "loadBalancingRecommendation"),
    ModelName("grid_stability", "decisionPredictions", "gridStability", "gridStabilityScore"),
    ModelName("optimal_dispatch", "decisionPredictions", "optimalDispatch", "optimalDispatchRecommendation"),
)
MODEL_BY_ID: Final = {model.id: model for model in MODELS}


def is_dtmi(text: str) -> bool:
    """Whether the text is a DTMI (any version form, at most 4096 characters; DTDL v3 and later limit)."""
    return len(text) <= 4096 and _DTMI.fullmatch(text) is not None


def is_twin_id(text: str) -> bool:
    """Whether the text can be a twin id: 1 to 128 characters of the set the service's tools accept."""
    return _TWIN_ID.fullmatch(text) is not None
