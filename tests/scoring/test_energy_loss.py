"""How energy_loss is learned: the physical sum, unless every feeder says otherwise."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("xgboost", reason="the train extra is not installed")
pytest.importorskip("spox", reason="the train extra is not installed")
pytest.importorskip("dss", reason="the simulate extra is not installed")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

from remhart_adt.scoring.feeder import FEEDER_FEATURES  # noqa: E402
from training.expr import evaluate  # noqa: E402
from training.recipe import Data, inputs_of  # noqa: E402
from training.recipes.energy_loss import EnergyLoss  # noqa: E402
from training.samples import Samples  # noqa: E402

FEEDERS, ROWS = 4, 400
AT = {name: k for k, name in enumerate(FEEDER_FEATURES)}


def feeders(uneven: list[float]) -> tuple[Samples, np.ndarray]:
    """Rows of feeders whose loss is the physical sum and so many times the drop of their uneven load, and that loss."""
    rng = np.random.default_rng(3)
    n = FEEDERS * ROWS
    number = np.repeat(np.arange(FEEDERS), ROWS)
    drawn = {
        "infeed_w": rng.uniform(2e4, 2e5, n), "head_load": rng.uniform(0.1, 0.6, n),
        "head_reactive": rng.uniform(0.1, 0.4, n), "head_unbalance": rng.uniform(0.0, 0.2, n),
        "head_square": np.ones(n), "leaf_share": rng.uniform(0.8, 1.2, n), "balance": rng.uniform(0.0, 0.3, n),
        "drop_loss": rng.uniform(0.004, 0.02, n), "drop_mean": np.zeros(n), "drop_max": rng.uniform(0.01, 0.03, n),
        "no_load_share": rng.uniform(0.003, 0.01, n), "load_loss_share": rng.uniform(0.002, 0.006, n),
    }  # fmt: skip
    x = np.full((n, len(FEEDER_FEATURES)), np.nan, np.float32)
    for name, column in drawn.items():
        x[:, AT[name]] = column
    part = drawn["drop_loss"] * (1 + drawn["balance"]) + drawn["no_load_share"] + drawn["load_loss_share"]
    part = part + np.array(uneven)[number] * drawn["head_unbalance"] * drawn["drop_loss"]
    loss = part * drawn["infeed_w"]
    return Samples(x, {"loss_w": loss, "feeder": number.astype(float)}, np.arange(n) // 100), loss


def learned(samples: Samples) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    recipe = EnergyLoss()
    function, facts = recipe.learn(Data({"feeder": samples}, {"feeder": samples}))
    return evaluate(function, recipe.inputs, inputs_of(recipe, samples)), facts


def test_the_physical_sum_is_found_and_held() -> None:
    samples, loss = feeders([0.0] * FEEDERS)
    answer, facts = learned(samples)
    assert np.abs(answer["lossInWatts"] / loss - 1).max() < 0.005
    assert facts["coefficients"]["no load"] == pytest.approx(1, abs=0.02)
    assert (answer["lossLow"] <= loss * 1.005).all()
    assert (loss * 0.995 <= answer["lossHigh"]).all()


def test_what_holds_on_one_feeder_only_is_not_believed_and_what_holds_on_all_is() -> None:
    _, apart = learned(feeders([12.0, 0.0, 0.0, 0.0])[0])
    assert apart["firmness"] >= 1
    assert abs(apart["coefficients"]["uneven drop"]) < 0.5
    samples, loss = feeders([6.0] * FEEDERS)
    answer, alike = learned(samples)
    assert alike["firmness"] < apart["firmness"]
    assert np.abs(answer["lossInWatts"] / loss - 1).mean() < 0.02


def test_the_interval_is_as_wide_as_feeders_differ() -> None:
    samples, loss = feeders([6.0, -6.0, -6.0, 6.0])
    answer, _ = learned(samples)
    inside = (answer["lossLow"] <= loss) & (loss <= answer["lossHigh"])
    assert 0.8 < inside.mean() < 0.99
