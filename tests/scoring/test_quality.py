"""The power quality index: exact against a plain recount of the readings, and what counts and what does not."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from scoring_streams import START_US, C, batch, minutes, values

from remhart_adt.scoring import Engine, PointInfo, Windows, quality
from remhart_adt.scoring.features import FEATURES
from remhart_adt.scoring.windows import SLOT_US

INFO = PointInfo("x", 230.0, 50.0, 63.0)
MIDNIGHT = START_US // 86_400_000_000 * 86_400_000_000
DAY_AND_A_BIT = minutes(24 * 12 + 1, MIDNIGHT, 5 * 60_000_000)


def features(cells: np.ndarray, times: np.ndarray = DAY_AND_A_BIT, info: PointInfo = INFO) -> dict[str, float]:
    got = Engine([]).prepare(Windows([info]), batch([info.point_id], np.zeros(len(times)), times, cells))
    return {f.name: float(x) for f, x in zip(FEATURES, got.features[-1], strict=True)}


def calm(times: np.ndarray = DAY_AND_A_BIT) -> np.ndarray:
    """Nominal voltage and frequency, no line voltages, no THD."""
    cells = values(INFO, times)
    cells[:, C["v_a"] : C["v_c"] + 1] = 230.0
    cells[:, C["v_ab"] : C["v_ca"] + 1] = np.nan
    cells[:, C["freq"]] = 50.0
    return cells


def highest(values: list[float]) -> float:
    return max((x for x in values if x == x), default=math.nan)


def recount(cells: np.ndarray, times: np.ndarray) -> dict[str, float]:
    """The index by loops over the readings, from the words of the definition."""
    now = int(times[-1]) // SLOT_US
    ratios: dict[str, list[float]] = {"voltage": [], "unbalance": [], "frequency": [], "harmonics": []}
    out = 0
    for slot in range(now - 96, now):
        rows = cells[times // SLOT_US == slot].astype(np.float32).astype(float)

        def mean(name: str, rows: np.ndarray = rows) -> float:
            known = [x for x in rows[:, C[name]] if x == x]
            return float(np.float32(math.fsum(known) / len(known))) if known else math.nan

        def unbalance(rows: np.ndarray = rows) -> float:
            found = []
            for r in rows:
                u = [r[C["v_ab"]], r[C["v_bc"]], r[C["v_ca"]]]
                if all(x == x for x in u):
                    b = sum(x**4 for x in u) / sum(x * x for x in u) ** 2
                    root = math.sqrt(max(0.0, 3 - 6 * b))
                    found.append(100 * math.sqrt(max(0.0, (1 - root) / (1 + root))))
            return statistics.fmean(found) if found else math.nan

        v = [mean(f"v_{k}") / 230 for k in "abc"]
        if not highest(v) >= 0.05:
            continue
        window = {
            "voltage": highest([abs(x - 1) for x in v]) / 0.1, "unbalance": unbalance() / 2,
            "frequency": abs(mean("freq") / 50 - 1) / 0.01,
            "harmonics": highest([mean(f"thdv_{k}") for k in "abc"]) / 8,
        }  # fmt: skip
        out += any(e > 1 for e in window.values())
        for name, e in window.items():
            if e == e:
                ratios[name].append(e)
    parts, weights = {}, {"voltage": 0.4, "unbalance": 0.2, "frequency": 0.2, "harmonics": 0.2}
    for name, found in ratios.items():
        if len(found) >= 72:
            allowed = 0.005 if name == "frequency" else 0.05
            spared = int(allowed * len(found) + 1e-9)
            q = sorted(found, reverse=True)[spared]
            share = sum(e > 1 for e in found) / len(found)
            parts[name] = 100 - 30 * min(1, q) - min(70, 20 * share / allowed)
    total = sum(weights[k] for k in parts)
    index = (min(parts.values()) + sum(weights[k] * p for k, p in parts.items()) / total) / 2
    return {"quality_index": index, "quality_hours_out": out / 4, **{f"quality_{k}": p for k, p in parts.items()}}


@pytest.mark.parametrize("seed", range(6))
def test_the_index_is_the_one_that_a_plain_recount_of_the_readings_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = minutes(27 * 60 // 5, MIDNIGHT, 5 * 60_000_000)
    cells = values(INFO, times, seed=seed)
    rough = 0.6 + 0.08 * seed
    level = 1 + 0.06 * rough * np.sin(np.arange(len(times)) / 40)[:, None] + rng.normal(0, 0.03, (len(times), 3))
    cells[:, C["v_a"] : C["v_c"] + 1] = 230 * level - 6
    cells[:, C["v_ab"] : C["v_ca"] + 1] = 400 * (1 + rough * rng.normal(0, 0.02, (len(times), 3)))
    cells[:, C["freq"]] = 50 + rough * rng.normal(0, 0.3, len(times))
    if seed % 2:
        cells[:, C["thdv_a"] : C["thdv_c"] + 1] = rng.gamma(9, 0.8 * rough, (len(times), 3))
    cells[rng.random(cells.shape) < 0.05] = np.nan
    cells[100:106, C["v_b"]] = 200.0
    cells[30:51, C["v_a"] : C["v_c"] + 1] = 0.0

    got, expected = features(cells, times), recount(cells, times)
    assert 0 < expected["quality_index"] < 95
    assert expected["quality_hours_out"] > 0
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, abs=2e-4), name
    assert np.isnan(got["quality_harmonics"]) == (seed % 2 == 0)


def test_a_part_is_at_least_fifty_exactly_when_it_meets_the_percentile_of_its_clause() -> None:
    rng = np.random.default_rng(2)
    severity = rng.gamma(2.0, rng.uniform(0.05, 0.4, (3000, 1, 1)), (3000, 96, 4))
    severity[rng.random(severity.shape) < rng.uniform(0, 0.2, (3000, 1, 1))] = np.nan
    day = quality.day_index(np.swapaxes(severity, 1, 2))
    n, outside = (~np.isnan(severity)).sum(1), (severity > 1).sum(1)
    meets = outside <= np.array([p.allowed for p in quality.PARTS]) * n
    counts = ~np.isnan(day.parts)
    assert np.array_equal(counts, n >= 72)
    assert 0.2 < meets[counts].mean() < 0.9
    assert np.array_equal(day.parts[counts] >= 50, meets[counts])


@pytest.mark.parametrize("channel", ["v_a", "freq", "v_bc", "thdv_b"])
def test_the_index_never_rises_as_a_quantity_leaves_its_nominal_value(channel: str) -> None:
    seen = []
    for step in np.linspace(0, 0.3, 16):
        cells = calm()
        cells[:, C["v_ab"] : C["v_ca"] + 1] = 230 * np.sqrt(3)
        cells[:, C["thdv_a"] : C["thdv_c"] + 1] = 0.0
        cells[:, C[channel]] = cells[0, C[channel]] * (1 - step) if channel != "thdv_b" else 100 * step
        seen.append(features(cells)["quality_index"])
    assert seen[0] == pytest.approx(100, abs=0.01)
    assert (np.diff(seen) <= 0).all()
    assert seen[-1] <= 45


def test_a_value_at_its_limit_is_inside_it() -> None:
    for volts in (207.0, 253.0):
        cells = calm()
        cells[:, C["v_a"]] = volts
        got = features(cells)
        assert got["quality_voltage"] == pytest.approx(70, abs=1e-3)
        assert got["quality_hours_out"] == 0


def test_an_interruption_does_not_count_and_a_lost_phase_does() -> None:
    dark, lost = calm(), calm()
    dark[120:144, C["v_a"] : C["v_c"] + 1] = 0.0
    lost[120:144, C["v_a"]] = 0.0
    assert features(dark)["quality_index"] == pytest.approx(100, abs=0.01)
    assert features(dark)["quality_windows"] == 88
    assert features(lost)["quality_hours_out"] == 2
    assert features(lost)["quality_voltage"] < 50
    dark[60:180, C["v_a"] : C["v_c"] + 1] = 0.0
    assert np.isnan(features(dark)["quality_index"])


def test_a_line_voltage_that_was_not_recorded_leaves_the_unbalance_out() -> None:
    cells = calm()
    cells[:, C["v_ab"] : C["v_ca"] + 1] = (0.0, 400.0, 400.0)
    assert np.isnan(features(cells)["quality_unbalance"])
    cells[:, C["v_a"] : C["v_b"] + 1] = 0.0  # two phases dead: now the zero is true
    assert features(cells)["quality_unbalance"] == pytest.approx(0, abs=0.01)
