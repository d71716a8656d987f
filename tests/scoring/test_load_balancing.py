"""Load balancing: whom the rule chooses, what the features know of a path, and advice that follows its phases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scoring_streams import START_US, C, batch, minutes

from remhart_adt.scoring import Engine, FeederInfo, PointInfo, Status, Windows
from remhart_adt.scoring.feeder import FEEDER_FEATURES, feeder_features

QUARTER_US = 900_000_000
HEAD = PointInfo("t1", 230.0, 50.0, 400.0, kind="transformer")
LEAVES = [PointInfo(f"m{k}", 230.0, 50.0, 100.0, kind="meter") for k in range(4)]
INFOS = [HEAD, *LEAVES]
FEEDER = FeederInfo("substation", "t1", 3 * 230.0 * 400.0, 600.0, 4000.0)
# Ohm of one conductor: one line that all share, with some reactance, and each leaf's own; the neutral is as thick as
# a phase.
SHARED, REACTANCE, OWN = 0.03, 0.02, np.array([0.02, 0.05, 0.08, 0.04])
START = START_US // QUARTER_US * QUARTER_US
A = np.exp(-2j * np.pi / 3 * np.arange(3))


def currents(mean: np.ndarray, count: int = 98, seed: int = 3) -> np.ndarray:
    """(count, leaves, 3) A around the given means (leaves, 3), each with a life of its own."""
    rng = np.random.default_rng(seed)
    return mean * (1 + 0.5 * rng.uniform(-1, 1, (count, *mean.shape)))


def readings(amps: np.ndarray, infos: list[PointInfo] = INFOS) -> Any:
    """One reading per quarter hour: drops by the shared and the own resistance of phase and neutral."""
    n = len(amps)
    phasor, total = amps * A, (amps * A).sum(1)
    neutral = total.sum(-1, keepdims=True)
    shared = ((SHARED + 1j * REACTANCE) * (total + neutral) / A).real
    own = OWN[:, None] * ((phasor + phasor.sum(-1, keepdims=True)) / A).real
    volts = np.concatenate([np.full((n, 1, 3), 235.0), 235.0 - shared[:, None] - own], axis=1)
    all_ = np.concatenate([amps.sum(1, keepdims=True), amps], axis=1)
    cells = np.full((n, len(infos), 25), np.nan)
    for k, info in enumerate(infos):
        for p in range(3):
            if "ABC"[p] in info.phases:
                v, i = volts[:, k, p], all_[:, k, p]
                for name, series in (("v", v), ("i", i), ("p", v * i), ("q", 0 * i)):
                    cells[:, k, C[f"{name}_a"] + p] = series
    times = minutes(n, START, QUARTER_US)
    rows = np.tile(np.arange(len(infos)), n)
    return batch([i.point_id for i in infos], rows, np.repeat(times, len(infos)), cells.reshape(-1, 25))


def ask(amps: np.ndarray, infos: list[PointInfo] = INFOS, feeder: FeederInfo = FEEDER, engine: Engine | None = None):  # type: ignore[no-untyped-def]
    windows = Windows(infos)
    windows.push(readings(amps, infos))
    return (engine or Engine.load()).feeder([windows], feeder, [i.point_id for i in infos])["load_balancing"]


def features(amps: np.ndarray, infos: list[PointInfo] = INFOS) -> dict[str, float]:
    windows = Windows(infos)
    windows.push(readings(amps, infos))
    _, x = feeder_features([windows], FEEDER, [i.point_id for i in infos], day=True)
    return dict(zip(FEEDER_FEATURES, x[0].tolist(), strict=True))


LEANING = np.array([[20.0, 8.0, 10.0], [26.0, 5.0, 6.0], [36.0, 12.0, 14.0], [9.0, 10.0, 20.0]])
EVEN = np.array([[20.0, 14.0, 17.0], [14.0, 17.0, 20.0], [17.0, 20.0, 14.0], [15.0, 15.0, 15.0]])


def saving(amps: np.ndarray, leaf: int, x: int, y: int) -> float:
    """Mean W that lines and neutral lose less when the leaf's load on x has gone to y."""

    def loss(i: np.ndarray) -> float:
        total = i.sum(1)
        part = SHARED * ((total**2).sum(-1) + np.abs((total * A).sum(-1)) ** 2)
        return float((part + (OWN * ((i**2).sum(-1) + np.abs((i * A).sum(-1)) ** 2)).sum(-1)).mean())

    after = amps.copy()
    after[:, leaf, y] += after[:, leaf, x]
    after[:, leaf, x] = 0
    return loss(amps) - loss(after)


def test_features_know_what_a_move_saves_without_knowing_cables() -> None:
    amps = currents(LEANING)
    row = features(amps)
    # A leads B by 91 - 35 = 56 A: m1, with 26 A, is nearest to half of it; A leads C by 41 A: m0, with 20 A.
    for pair, leaf in (("ab", 1), ("ac", 0)):
        y = "abc".index(pair[1])
        assert row[f"move_load_{pair}"] * 400 == pytest.approx(amps[1:97, leaf, 0].mean(), rel=0.02)
        known = row[f"move_line_{pair}"] - row[f"move_self_{pair}"]
        seen = row[f"move_drop_{pair}"] - row[f"move_self_{pair}"]
        true = saving(amps[1:97], leaf, 0, y)
        assert known * row["day_infeed_w"] == pytest.approx(true, rel=0.1)
        assert seen * row["day_infeed_w"] == pytest.approx(true, rel=0.1)
        moved, ahead = amps[1:97, leaf, 0], (amps[1:97, :, 0] - amps[1:97, :, y]).sum(1)
        ohm = 4000.0 / (3 * 400.0**2)
        winding = (2 * ohm * moved * (ahead - moved)).mean()
        assert row[f"move_winding_{pair}"] * row["day_infeed_w"] == pytest.approx(winding, rel=0.01)


def test_machines_stay_where_they_are() -> None:
    mean = np.array([[40.0, 8.0, 10.0], [32.0, 32.0, 32.0], [45.0, 12.0, 14.0], [9.0, 10.0, 20.0]])
    amps = currents(mean)
    # Half the difference is 32 A. Phases that live apart, and more than 10 % apart on the mean, are customers.
    amps[:, 1, 1] *= 1.2
    assert features(amps)["move_load_ab"] * 400 == pytest.approx(amps[1:97, 1, 0].mean(), rel=0.02)
    amps[:, 1] = amps[:, 1].mean(-1, keepdims=True)
    assert features(amps)["move_load_ab"] * 400 == pytest.approx(amps[1:97, 0, 0].mean(), rel=0.02)


def test_a_leaning_feeder_is_told_to_move_and_one_that_is_even_is_not() -> None:
    engine = Engine.load()
    leaning = ask(currents(LEANING), engine=engine).document()
    assert leaning["balancingRecommendation"] in ("A to B", "A to C")
    assert leaning["lossReduction"] > 10
    even = ask(currents(EVEN), engine=engine).document()
    assert even["balancingRecommendation"] == "none"
    assert even["lossReduction"] == 0
    assert even["balanceScore"] > 95 > leaning["balanceScore"]


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 0, 1), (1, 0, 2), (0, 2, 1)])
def test_advice_follows_the_phases_when_they_change_places(order: tuple[int, int, int]) -> None:
    engine = Engine.load()
    amps = currents(LEANING)
    one = ask(amps, engine=engine).document()
    other = ask(amps[:, :, order], engine=engine).document()
    named = {"ABC"[old]: "ABC"[new] for new, old in enumerate(order)}
    assert other["balancingRecommendation"] == "".join(named.get(c, c) for c in one["balancingRecommendation"])
    for name in ("lossReduction", "balanceScore"):
        assert other[name] == pytest.approx(one[name], rel=0.02)


def test_the_frequency_does_not_matter() -> None:
    amps, engine = currents(LEANING), Engine.load()
    sixty = ask(amps, [replace(i, hz=60.0) for i in INFOS], engine=engine)
    assert sixty.document() == ask(amps, engine=engine).document()


def test_all_on_one_phase_scores_zero() -> None:
    mean = np.zeros((4, 3))
    mean[:, 1] = (20, 10, 30, 15)
    document = ask(currents(mean)).document()
    assert document["balanceScore"] == pytest.approx(0, abs=1e-3)
    assert document["balancingRecommendation"] in ("B to A", "B to C")


def test_single_phase_customers_can_be_moved() -> None:
    infos = [HEAD, *(replace(i, phases=p) for i, p in zip(LEAVES, "AAAC", strict=True))]
    mean = np.zeros((4, 3))
    mean[[0, 1, 2, 3], [0, 0, 0, 2]] = (30, 20, 45, 30)
    amps = currents(mean)
    row = features(amps, infos)
    known = (row["move_line_ab"] - row["move_self_ab"]) * row["day_infeed_w"]
    # A leads B by 95 A: m2, with 45 A.
    assert known == pytest.approx(saving(amps[1:97], 2, 0, 1), rel=0.2)
    document = ask(amps, infos).document()
    assert document["status"] == "ok"
    assert document["balancingRecommendation"] in ("A to B", "none")


def test_why_it_abstains() -> None:
    engine = Engine.load()
    amps = currents(LEANING)
    cold = ask(amps[:40], engine=engine)
    assert (cold.status, cold.reason) == (Status.ABSTAINED, "cold start: 38 of 48 quarter hours of every member")
    one_phase = [replace(i, phases="A") for i in INFOS]
    assert ask(amps, one_phase, engine=engine).reason == "needs 3 metered phases at the head"
    windows, blind = Windows(INFOS), readings(amps)
    blind.values.reshape(-1, len(INFOS), 25)[:, 2, C["v_b"]] = np.nan
    windows.push(blind)
    score = engine.feeder([windows], FEEDER, [i.point_id for i in INFOS])["load_balancing"]
    assert score.status is Status.ABSTAINED
    assert score.reason == "missing channel: p or v of a metered phase at 1 members"
    assert engine.feeder([windows], FEEDER, [i.point_id for i in INFOS])["energy_loss"].status is Status.OK
    back = amps.copy()
    back[:-2] *= -1
    assert ask(back, engine=engine).reason == "the feeder fed back over the last day"


def test_quarter_hours_in_which_a_customer_was_dead_do_not_count() -> None:
    windows, dead = Windows(INFOS), readings(currents(LEANING))
    dead.values.reshape(-1, len(INFOS), 25)[10:30, 2, : C["q_c"] + 1] = 0.0
    windows.push(dead)
    _, x = feeder_features([windows], FEEDER, [i.point_id for i in INFOS], day=True)
    row = dict(zip(FEEDER_FEATURES, x[0].tolist(), strict=True))
    assert row["day_quarters"] == 96 - 20
    assert row["move_self_ab"] == pytest.approx(features(currents(LEANING))["move_self_ab"], rel=0.15)


def test_undeclared_losses_of_the_transformer_leave_the_lines() -> None:
    amps, engine = currents(LEANING), Engine.load()
    with_, without = (ask(amps, feeder=f, engine=engine) for f in (FEEDER, replace(FEEDER, load_loss_w=None)))
    assert without.status is Status.OK
    assert 0 < without.outputs["lossReduction"] < with_.outputs["lossReduction"]


def test_the_engine_moves_a_customer_and_loses_nothing_of_the_load() -> None:
    pytest.importorskip("dss", reason="the simulate extra is not installed")
    pytest.importorskip("xgboost", reason="the train extra is not installed")
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "lib"))
    from remhart_adt.simulate.catalogue import FEEDERS
    from remhart_adt.simulate.feeder import Feeder
    from training import balance_set

    np.seterr(all="ignore")
    feeder = Feeder(balance_set.whole(FEEDERS["village"]))
    life = balance_set.life(feeder, balance_set.DividedPlan("village", 4, START, 1), 0)
    k = [i.point_id for i in life.infos].index("village-mp-m01")
    x = "ABC".index(life.infos[k].phases[0])
    y = (x + 1) % 3
    after = balance_set.moved(life, k, x, y, life.kw)
    mine = np.array([e == "village-m01" for e in feeder.load_elements])
    machine = np.array([kind == "heat_pump" for kind in feeder.load_kinds])
    assert after.sum() == pytest.approx(life.kw.sum())
    assert (after[:, ~mine | machine] == life.kw[:, ~mine | machine]).all()
    assert (after[:, mine & ~machine & (feeder.load_phase == x)] == 0).all()
    assert life.kw[:, mine & ~machine & (feeder.load_phase == x)].sum() > 0
    _, saved = balance_set.savings(life, 97, ("village-mp-m01",) * 6, {})
    assert np.isfinite(saved).all()
    assert np.ptp(saved) > 0
