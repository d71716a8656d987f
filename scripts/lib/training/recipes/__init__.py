"""The recipes, by model id."""

from __future__ import annotations

from collections.abc import Iterable

from training.recipe import Recipe
from training.recipes.demand_response import DemandResponse
from training.recipes.energy_loss import EnergyLoss
from training.recipes.equipment_failure import EquipmentFailure
from training.recipes.frequency_stability import FrequencyStability
from training.recipes.grid_stability import GridStability
from training.recipes.harmonic_analysis import HarmonicAnalysis
from training.recipes.load_balancing import LoadBalancing
from training.recipes.load_forecast import LoadForecast
from training.recipes.optimal_dispatch import OptimalDispatch
from training.recipes.overload_risk import OverloadRisk
from training.recipes.phase_imbalance import PhaseImbalance
from training.recipes.power_flow_optimization import PowerFlowOptimization
from training.recipes.power_quality_index import PowerQualityIndex
from training.recipes.reactive_power import ReactivePower
from training.recipes.voltage_anomaly import VoltageAnomaly
from training.recipes.voltage_sag import VoltageSag

__all__ = ["RECIPES", "kinds"]

RECIPES: dict[str, Recipe] = {
    recipe.id: recipe
    for recipe in (
        VoltageAnomaly(),
        FrequencyStability(),
        HarmonicAnalysis(),
        PhaseImbalance(),
        EquipmentFailure(),
        OverloadRisk(),
        PowerQualityIndex(),
        LoadForecast(),
        EnergyLoss(),
        DemandResponse(),
        ReactivePower(),
        OptimalDispatch(),
        LoadBalancing(),
        PowerFlowOptimization(),
        VoltageSag(),
        GridStability(),
    )
}


def kinds(names: Iterable[str]) -> set[str]:
    """The kinds of rows that these recipes read."""
    recipes = [RECIPES[name] for name in names]
    return {kind for recipe in recipes for kind in (*recipe.sources, *getattr(recipe, "also", ()))}
