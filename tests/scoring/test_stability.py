"""grid_stability: the margins of a known feeder, what limits it, what is not measured, and that load never helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from scoring_streams import C, minutes, stream

from remhart_adt.resources import models_dir
from remhart_adt.scoring import Engine, FeederInfo, FeederScore, PointInfo, Status, Windows
from remhart_adt.scoring.feeder import FEEDER_FEATURES, feeder_features
from remhart_adt.scoring.manifest import read_manifest
from remhart_adt.scoring.sessions import Model

NAMES = list(FEEDER_FEATURES)
V, I, P, Q = (slice(C[f"{x}_a"], C[f"{x}_c"] + 1) for x in "vipq")
LINES = slice(C["v_ab"], C["v_ca"] + 1)


@cache
def engine() -> Engine:
    return Engine.load()


class Site:
    """Three-phase feeder of a head, a line and four leaves; `load` is the head's S over the rating."""

    def __init__(self, vn: float = 230.0, hz: float = 50.0, head_a: float = 400.0) -> None:
        self.infos = [
            PointInfo("t1", vn, hz, head_a, kind="transformer"),
            PointInfo("l1", vn, hz, head_a / 2, kind="transmission_line"),
            *(PointInfo(f"m{k}", vn, hz, head_a / 4, kind="meter") for k in range(4)),
        ]
        self.feeder = FeederInfo("s", "t1", 3 * vn * head_a, 400.0, 3000.0)

    def cells(self, load: float, drop: float = 0.04, supply: float = 1.03) -> np.ndarray:
        """Readings (2, points, 25) at a load; `drop` (p.u. at rated load) below the head and half of it above."""
        b = stream(self.infos, minutes(2))
        cells = b.values.reshape(2, len(self.infos), 25)
        for k, info in enumerate(self.infos):
            part = (1.0, 0.4, 0.25, 0.25, 0.25, 0.25)[k]
            v = info.nominal_v_ln * (supply - drop * load * (0.5 if k == 0 else 1.5 if k > 1 else 1.0))
            s = self.feeder.rated_va * load * part / 3
            cells[:, k, V], cells[:, k, P], cells[:, k, Q] = v, 0.95 * s, 0.31 * s
            cells[:, k, I], cells[:, k, LINES] = s / v, np.sqrt(3) * v
            cells[:, k, C["freq"]] = info.hz * 1.0004
        return cells

    def windows(self, cells: np.ndarray) -> Windows:
        b, windows = stream(self.infos, minutes(2)), Windows(self.infos)
        b.values[:] = cells.reshape(-1, 25)
        windows.push(b)
        return windows

    def score(self, cells: np.ndarray, feeder: FeederInfo | None = None) -> FeederScore:
        members = [i.point_id for i in self.infos]
        return engine().feeder([self.windows(cells)], feeder or self.feeder, members)["grid_stability"]

    def features(self, cells: np.ndarray) -> dict[str, float]:
        _, x = feeder_features([self.windows(cells)], self.feeder, [i.point_id for i in self.infos])
        return dict(zip(NAMES, x[0].tolist(), strict=True))


def document(score: FeederScore) -> dict[str, Any]:
    assert score.status is Status.OK, score.reason
    return score.document()


def test_features_of_a_known_feeder() -> None:
    site = Site()
    cells = site.cells(0.5)
    cells[:, 3, C["v_b"]] = 210.0
    cells[:, 3, C["i_b"]] *= 0.5 * 100 / 210 * 230 / cells[0, 3, C["i_b"]]
    cells[:, 1, LINES] = (400.0, 396.0, 392.0)
    x = site.features(cells)
    assert x["v_low"] == pytest.approx(210 / 230)
    assert x["frequency_off"] == pytest.approx(4e-4, abs=1e-7)
    assert x["feed_in"] == 0.0
    assert x["unbalance_worst"] == pytest.approx(1.17, abs=0.01)
    # The line carries 40 % of the feeder at half of its rating: 0.4 * 0.5 * 2 over its voltage; the leaves 0.5 of S.
    assert x["worst_load"] == pytest.approx(0.5 / (210 / 230), rel=1e-3)


def test_harmonic_current_counts_as_load() -> None:
    site = Site()
    plain, distorted = site.cells(0.5), site.cells(0.5)
    distorted[:, 4, I] *= 1.3
    assert site.features(distorted)["worst_load"] == pytest.approx(1.3 * site.features(plain)["worst_load"], rel=1e-5)


def test_what_a_plant_feeds_in_is_seen() -> None:
    site = Site()
    cells = site.cells(0.5)
    cells[:, 5, P] *= -1
    x = site.features(cells)
    assert x["feed_in"] == pytest.approx(0.5 * 0.95 / 4)


def test_a_light_feeder_is_stable_and_an_overloaded_one_is_not() -> None:
    site = Site()
    light, heavy = document(site.score(site.cells(0.1))), document(site.score(site.cells(1.3)))
    assert light["stabilityClass"] == "stable"
    assert light["voltageMargin"] > 400
    assert light["thermalMargin"] == pytest.approx(90, abs=1)
    assert (heavy["stabilityClass"], heavy["limitingFactor"]) == ("unstable", "thermal")
    assert heavy["thermalMargin"] < -25
    assert heavy["voltageMargin"] < light["voltageMargin"] / 2


def _off(c: np.ndarray) -> None:
    c[..., C["freq"]] = 48.5


def _uneven(c: np.ndarray) -> None:
    c[:, 3, LINES] = (400.0, 380.0, 380.0)


def _low(c: np.ndarray) -> None:
    c[:, 3, C["v_c"]] = 0.87 * 230


@pytest.mark.parametrize(("change", "factor"), [(_off, "frequency"), (_uneven, "imbalance"), (_low, "voltage")])
def test_the_smallest_margin_is_named(change: Callable[[np.ndarray], None], factor: str) -> None:
    site = Site()
    cells = site.cells(0.2)
    before = document(site.score(cells))
    change(cells)
    after = document(site.score(cells))
    assert (after["stabilityClass"], after["limitingFactor"]) == ("unstable", factor)
    assert before["stabilityClass"] == "stable"


def test_a_dead_phase_leaves_no_margin() -> None:
    site = Site()
    cells = site.cells(0.3)
    cells[:, 4, C["v_a"]] = 0.0
    answer = document(site.score(cells))
    assert answer["stabilityScore"] == answer["voltageMargin"] == 0.0
    assert (answer["stabilityClass"], answer["limitingFactor"]) == ("unstable", "voltage")


def test_what_is_not_measured_does_not_count() -> None:
    site = Site()
    cells = site.cells(0.3)
    expected = document(site.score(cells))
    cells[..., LINES], cells[..., C["freq"]] = 0.0, np.nan
    x = site.features(cells)
    assert np.isnan(x["unbalance_worst"])
    assert np.isnan(x["frequency_off"])
    assert document(site.score(cells)) == expected
    site.infos = [replace(info, rated_a=None) for info in site.infos]
    assert "thermalMargin" not in document(site.score(cells))


def test_it_abstains_with_the_reason() -> None:
    site = Site()
    reverse, silent = site.cells(0.3), site.cells(0.3)
    reverse[:, 0, P] *= -1
    silent[:, 3, P] = np.nan
    for cells, word in ((reverse, "reversed"), (silent, "missing channel: p of m1")):
        score = site.score(cells)
        assert score.status is Status.ABSTAINED
        assert word in score.reason
    missing = engine().feeder([site.windows(site.cells(0.3))], site.feeder, ["m0", "ghost"])["grid_stability"]
    assert missing.missing == ("ghost",)


def test_both_continents_get_the_same_answer() -> None:
    a, b = (document(site.score(site.cells(0.7))) for site in (Site(230.0, 50.0, 400.0), Site(120.0, 60.0, 1500.0)))
    for name, value in a.items():
        assert b[name] == (pytest.approx(value, rel=2e-3, abs=0.05) if isinstance(value, float) else value), name


def test_load_never_helps() -> None:
    site, answers = Site(), []
    for load in np.linspace(0.05, 3, 60):
        answers.append(document(site.score(site.cells(float(load), drop=0.05))))
    for name in ("stabilityScore", "voltageMargin", "thermalMargin"):
        column = np.array([a[name] for a in answers])
        assert (np.diff(column) <= 1e-3).all(), name
    assert answers[0]["stabilityClass"] == "stable"
    assert answers[-1]["stabilityClass"] == "unstable"


def test_whatever_the_feeder_more_drop_and_less_voltage_never_help() -> None:
    entry = read_manifest(models_dir()).entries["grid_stability"]
    model = Model(entry, models_dir())
    golden = np.load(models_dir().parent / "tests/scoring/data/golden_grid_stability.npz")["features"]
    for name, sign in (
        ("drop_max", 1), ("drop_loss", 1), ("head_load", 1), ("worst_load", 1), ("feed_in", 1), ("v_low", -1),
    ):  # fmt: skip
        at, before = entry.inputs.index(name), model.run(golden)
        for step in (0.02, 0.1, 0.4):
            x = golden.copy()
            x[:, at] += sign * step
            after = model.run(x)
            for out in ("stabilityScore", "voltageMargin", "thermalMargin"):
                assert np.nanmax(after[out] - before[out]) < 1e-2, (name, step, out)
            before = after
