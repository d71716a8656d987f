"""The truth that grid_stability learns: the search for the load at which voltage is down, on a feeder that is solved
by hand and on the engine. Needs the train and simulate extras."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scoring_streams import MINUTE_US, START_US, batch, minutes, stream

pytest.importorskip("xgboost", reason="the train extra is not installed")
pytest.importorskip("spox", reason="the train extra is not installed")
pytest.importorskip("dss", reason="the simulate extra is not installed")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "lib"))

from remhart_adt.readings import CHANNEL_INDEX
from remhart_adt.scoring import Engine, Windows
from remhart_adt.scoring.feeder import FEEDER_FEATURES
from remhart_adt.simulate.catalogue import FEEDERS
from remhart_adt.simulate.feeder import Feeder
from remhart_adt.simulate.loads import Scenery
from remhart_adt.simulate.meters import Meters
from training import stability_set as stability
from training.world import feeder_info, point_infos


def test_the_nose_of_a_two_node_grid_is_found() -> None:
    """Constant power p over a resistance r from 1 p.u.: V = (1 + sqrt(1 - 4 r p)) / 2, no solution beyond p = 1/(4r);
    V is down at 0.9 when r p = 0.09."""
    rp = np.array([0.2, 0.1, 0.05, 0.001, 0.26])

    def lowest(factor: np.ndarray, which: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return (1 + np.sqrt(1 - 4 * rp[which] * factor)) / 2

    collapse, limit = stability.growth(lowest, len(rp), (stability.COLLAPSE, stability.LIMIT))
    assert collapse == pytest.approx([0.25, 1.5, 4.0, stability.CAP, 0.0], rel=0.03)
    assert limit == pytest.approx([0.0, 0.0, 0.8, stability.CAP, 0.0], rel=0.002)


def test_a_straight_fall_is_found_exactly() -> None:
    drop = np.array([0.03, 0.06, 0.2])
    collapse, limit = stability.growth(lambda f, w: 1.02 - drop[w] * f, 3, (0.5, 0.9))
    assert collapse == pytest.approx(np.minimum(0.52 / drop - 1, stability.CAP), abs=1e-6)
    assert limit == pytest.approx((0.12 / drop - 1).clip(0), abs=1e-6)


@pytest.fixture(scope="module")
def rows() -> stability.Samples:
    with np.errstate(all="ignore"):
        return stability.stability_rows(stability.StressPlan("village", 11, 1_750_000_000_000_000, 2.0, 40))[
            "stability"
        ]


def test_the_engine_collapses_beyond_the_voltage_limit(rows: stability.Samples) -> None:
    collapse, limit = rows.y["collapse"], rows.y["limit"]
    assert len(rows) > 50
    assert (collapse >= limit).all()
    assert ((collapse > 0) & (collapse < stability.CAP)).mean() > 0.2
    low = rows.x[:, list(FEEDER_FEATURES).index("v_low")]
    assert ((limit > 0) == (rows.y["low"] > stability.LIMIT)).all()
    assert np.quantile(np.abs(low - rows.y["low"]), 0.6) < 0.003


def test_a_variant_keeps_customers_and_points() -> None:
    """Feeders differ only in what the meters do not see: lengths, transformer, supply; and in ratings."""
    spec = FEEDERS["village"]
    a, b = (stability.variant(spec, np.random.default_rng(k)) for k in (1, 2))
    lengths = np.array([[getattr(e, "length_km", 0.0) for e in one.elements] for one in (spec, a, b)])
    cables = lengths[0] > 0
    assert (lengths[1:, cables] != lengths[0, cables]).all()
    assert a.source.mva_sc3 != b.source.mva_sc3
    assert [p.id for p in a.points] == [p.id for p in b.points] == [p.id for p in spec.points]
    assert a.points[0].rated_a == pytest.approx(a.transformer.kva / (3**0.5 * a.transformer.lv_kv), abs=0.2)


@pytest.mark.parametrize("name", ["terrace", "village"])
def test_on_the_engine_more_load_never_means_more_margin(name: str) -> None:
    """One evening of a feeder with all loads scaled, read by its meters (whose noise may stir the last digit), line
    voltages left out: load may well even out the unbalance that the grid above brings."""
    spec = FEEDERS[name]
    feeder, engine = Feeder(spec), Engine.load()
    now = Scenery(feeder, 3, 1_763_000_000_000_000).advance(1)
    plants = np.array([kind == "pv" for kind in feeder.load_kinds])
    scale = np.geomspace(0.3, 6, 25)
    factor = np.where(plants, 1.0, scale[:, None])
    sol = feeder.run(now.kw * factor, now.kvar * factor)
    assert sol.converged.all()
    infos = point_infos(spec)
    meters = Meters(len(infos), spec.nominal_v, np.random.default_rng(1), np.random.default_rng(2))
    cells = meters.read(sol, np.full(25, spec.hz), np.full(25, np.nan), np.full(25, 15.0), 0)
    cells[..., CHANNEL_INDEX["v_ab"] : CHANNEL_INDEX["v_ca"] + 1] = np.nan
    ids, answers = [i.point_id for i in infos], []
    for k in range(25):
        windows = Windows(infos)
        windows.push(stream(infos, minutes(2)))
        for at in range(2):
            times = np.full(len(ids), START_US + (10 + at) * MINUTE_US)
            windows.push(batch(ids, np.arange(len(ids)), times, cells[k]))
        answers.append(engine.feeder([windows], feeder_info(spec), ids)["grid_stability"].document())
    for output, noise in (("stabilityScore", 0.3), ("voltageMargin", 3.0), ("thermalMargin", 0.3)):
        column = np.array([answer[output] for answer in answers])
        assert (np.diff(column) < noise).all(), output
        assert column[0] > column[-1] + 30
