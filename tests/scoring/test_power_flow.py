"""Advice on taps and capacitor steps: within reach, away from broken limits, in the twin's own numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scoring_streams import MINUTE_US, START_US, C, minutes, stream

from remhart_adt.resources import models_dir
from remhart_adt.scoring import Engine, FeederInfo, FeederScore, PointInfo, Status, Windows
from remhart_adt.scoring.feeder import FEEDER_FEATURES, feeder_features
from remhart_adt.scoring.manifest import read_manifest
from remhart_adt.scoring.sessions import Model
from remhart_adt.scoring.types import OutputSpec, output_value

NAME = "power_flow_optimization"
DATA = Path(__file__).parent / "data"
FEEDER = FeederInfo(
    "substation", "t1", 3 * 230.0 * 400.0, 400.0, 3000.0, short_circuit_v=0.04,
    tap_min=-2, tap_max=2, tap_step=0.025, tap_position=0,
    bank_step_var=10_000.0, bank_steps=4, steps_on=0, transformer_id="tr", bank_id="cap",
)  # fmt: skip


def ask(
    feeder: FeederInfo = FEEDER, *, volts: float = 1.0, var: float = 1.0, watts: float = 1.0,
    site: tuple[float, float, float] = (230.0, 50.0, 400.0),
) -> FeederScore:  # fmt: skip
    """The answer for a head and four customers at `volts` p.u.; their powers times `watts` and `var`."""
    nominal, hz, rated = site
    infos = [PointInfo("t1", nominal, hz, rated, kind="transformer")]
    infos += [PointInfo(f"m{k}", nominal, hz, rated / 5, kind="meter") for k in range(4)]
    b, windows = stream(infos, minutes(4, START_US, MINUTE_US)), Windows(infos)
    cells = b.values.reshape(4, len(infos), 25)
    p, q = slice(C["p_a"], C["p_c"] + 1), slice(C["q_a"], C["q_c"] + 1)
    size = 0.12 * nominal * rated
    cells[:, 1:, p], cells[:, 1:, q] = watts * size, var * 0.4 * size
    cells[:, 0, p], cells[:, 0, q] = cells[:, 1:, p].sum(1) * 1.01, cells[:, 1:, q].sum(1) * 1.01
    cells[:, :, C["v_a"] : C["v_c"] + 1] = volts * nominal
    cells[:, 1:, C["v_a"] : C["v_c"] + 1] *= 0.99
    windows.push(b)
    return Engine.load().feeder([windows], feeder, [i.point_id for i in infos])[NAME]


def test_features_of_voltages_and_controls() -> None:
    infos = [PointInfo("t1", 230.0, 50.0, 400.0, kind="transformer"), PointInfo("m0", 230.0, 50.0, 63.0, kind="meter")]
    infos.append(PointInfo("l1", 230.0, 50.0, 63.0, kind="transmission_line"))
    b, windows = stream(infos, minutes(3, START_US, MINUTE_US)), Windows(infos)
    volts = b.values.reshape(3, 3, 25)[:, :, C["v_a"] : C["v_c"] + 1]
    volts[:] = 230.0
    volts[:, 1] = (0.95 * 230.0, 0.0, 230.0)  # phase B is dead there
    volts[:, 2, 2] = 1.06 * 230.0
    windows.push(b)
    moved = replace(FEEDER, tap_min=-3, tap_position=1, steps_on=1)
    row = dict(zip(FEEDER_FEATURES, feeder_features([windows], moved, ["t1", "m0", "l1"])[1][0].tolist(), strict=True))
    assert row["v_lowest"] == pytest.approx(0.95)
    assert row["v_highest"] == pytest.approx(1.06)
    assert row["v_head"] == pytest.approx(1.0)
    assert (row["tap_position"], row["tap_down"], row["tap_up"]) == (1, 4, 1)
    assert (row["steps_on"], row["steps_off"]) == (1, 3)
    assert row["bank_step"] == pytest.approx(10_000.0 / row["rated_va"])


def test_a_light_load_at_high_voltage_is_served_by_a_lower_tap() -> None:
    score = ask(volts=1.04, watts=0.3, var=0.3)
    assert score.status is Status.OK
    assert score.outputs["optimalConfiguration"] == "tap and steps"
    assert -2 <= score.outputs["recommendedTapPosition"] < 0
    # 0.4 x 0.3 x 0.48 of 276 kVA is 16 kvar.
    assert score.outputs["recommendedSteps"] in (1, 2)
    assert score.outputs["lossReduction"] > 0
    assert 0 < score.outputs["efficiencyGain"] < 100


def test_an_idle_bank_is_switched_on() -> None:
    score = ask()
    # 0.4 x 0.48 of 276 kVA is 53 kvar: all four steps.
    assert score.outputs["recommendedSteps"] == 4


@pytest.mark.parametrize(("volts", "direction"), [(0.93, 1), (1.115, -1)])
def test_a_broken_limit_is_put_right_first(volts: float, direction: int) -> None:
    score = ask(volts=volts)
    assert direction * score.outputs["recommendedTapPosition"] > 0


def test_no_tap_is_lowered_into_the_limit() -> None:
    # The lowest customer stands at 0.955; a tap of 2.5 % less would be below 0.94.
    assert ask(volts=0.965).outputs["recommendedTapPosition"] >= 0


def test_a_bank_is_never_overcompensated_far() -> None:
    score = ask(replace(FEEDER, steps_on=4), var=-0.5)
    assert score.outputs["recommendedSteps"] < 4


def test_where_nothing_can_move_the_setting_is_kept() -> None:
    score = ask(replace(FEEDER, tap_min=0, tap_max=0, bank_steps=1, steps_on=1))
    assert score.outputs == {
        "optimalConfiguration": "keep", "recommendedTapPosition": 0, "recommendedSteps": 1, "lossReduction": 0.0,
        "efficiencyGain": 0.0,
    }  # fmt: skip


def test_what_is_not_declared_is_not_advised_on() -> None:
    no_bank = ask(replace(FEEDER, bank_step_var=None))
    assert (no_bank.status, "recommendedSteps" in no_bank.outputs) == (Status.OK, False)
    no_tap = ask(replace(FEEDER, tap_step=None))
    assert (no_tap.status, "recommendedTapPosition" in no_tap.outputs) == (Status.OK, False)
    assert no_tap.outputs["recommendedSteps"] > 0
    for without in ({"tap_position": None, "steps_on": None}, {"tap_position": 7, "steps_on": 9}):
        neither = ask(replace(FEEDER, **without))  # type: ignore[arg-type]
        assert neither.status is Status.ABSTAINED
        assert neither.reason == "no tap changer or capacitor bank with a known position is declared"


def test_missing_plate_values_are_no_obstacle() -> None:
    bare = replace(FEEDER, no_load_loss_w=None, load_loss_w=None, short_circuit_v=None)
    assert ask(bare, volts=1.04).outputs["recommendedSteps"] == 4


def test_reverse_power_abstains() -> None:
    score = ask(watts=-1.0)
    assert score.status is Status.ABSTAINED
    assert "reversed" in score.reason


def test_both_continents_get_the_same_advice() -> None:
    here = ask(volts=1.02)
    small = (127.0, 60.0, 100.0)
    k = small[0] * small[2] / (230.0 * 400.0)
    there = ask(
        replace(
            FEEDER, rated_va=3 * small[0] * small[2], no_load_loss_w=400.0 * k, load_loss_w=3000.0 * k,
            bank_step_var=10_000.0 * k,
        ),
        volts=1.02, site=small,
    )  # fmt: skip
    for name in ("optimalConfiguration", "recommendedTapPosition", "recommendedSteps"):
        assert here.outputs[name] == there.outputs[name]
    assert there.outputs["lossReduction"] == pytest.approx(k * here.outputs["lossReduction"], rel=0.02)


def test_positions_may_be_counted_from_anywhere() -> None:
    middle = ask(volts=1.04)
    counted = ask(replace(FEEDER, tap_min=1, tap_max=5, tap_position=3), volts=1.04)
    assert counted.outputs["recommendedTapPosition"] == middle.outputs["recommendedTapPosition"] + 3
    assert counted.outputs["lossReduction"] == middle.outputs["lossReduction"]


def test_a_tap_of_minus_one_is_a_position_and_not_an_absent_value() -> None:
    spec = next(o.spec() for o in read_manifest(models_dir()).entries[NAME].outputs if "Tap" in o.name)
    assert output_value(spec, -1) == -1
    assert output_value(spec, spec.absent_code) is None
    assert output_value(OutputSpec("steps", "integer", low=0, optional=True), -1) is None
    assert output_value(OutputSpec("steps", "integer", optional=True), -1) is None


def test_advice_stays_within_reach_for_any_feeder() -> None:
    entry = read_manifest(models_dir()).entries[NAME]
    names = list(entry.inputs)
    x = np.repeat(np.load(DATA / f"golden_{NAME}.npz")["features"], 16, axis=0)
    rng = np.random.default_rng(1)

    def put(name: str, values: Any) -> None:
        x[:, names.index(name)] = values

    n = len(x)
    at, down, up = rng.integers(-9, 10, n), rng.integers(0, 9, n), rng.integers(0, 9, n)
    on, off = rng.integers(0, 9, n), rng.integers(0, 9, n)
    for name, values in (
        ("tap_position", at),
        ("tap_down", down),
        ("tap_up", up),
        ("steps_on", on),
        ("steps_off", off),
    ):
        put(name, values)
    put("tap_step", rng.uniform(0.01, 0.03, n))
    put("bank_step", rng.uniform(0.01, 0.2, n))
    put("v_lowest", rng.uniform(0.6, 1.1, n))
    put("v_highest", rng.uniform(0.9, 1.3, n))
    got = Model(entry, models_dir()).run(x)
    tap, steps = got["recommendedTapPosition"], got["recommendedSteps"]
    assert ((tap >= at - down) & (tap <= at + up) & (np.abs(tap - at) <= 4)).all()
    assert ((steps >= 0) & (steps <= on + off) & (np.abs(steps - on) <= 6)).all()
    assert len(np.unique(tap - at)) > 5
    kept = (tap == at) & (steps == on)
    assert ((got["optimalConfiguration"] == 0) == kept).all()
    assert (got["lossReduction"][kept] == 0).all()
