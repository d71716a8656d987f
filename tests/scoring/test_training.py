"""The training library: exported graphs mean what the reference means, test worlds stay unseen, cards are fresh.

Needs the train extra; without it these tests are skipped and say so.
"""

from __future__ import annotations

import csv
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

xgb = pytest.importorskip("xgboost", reason="the train extra is not installed")
pytest.importorskip("spox", reason="the train extra is not installed")
pytest.importorskip("dss", reason="the simulate extra is not installed")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

from remhart_adt.scoring.features import INDEX  # noqa: E402
from training import cards, days, expr, gather, plans, plots, sets, train, world  # noqa: E402
from training.publish import read_manifest_rows  # noqa: E402
from training.recipes import RECIPES  # noqa: E402


def data(rows: int = 500) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    return x


@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:logistic"])
def test_an_exported_forest_gives_the_boosters_margin(objective: str) -> None:
    import onnxruntime as ort

    from training.recipe import boost

    x = data()
    y = np.nan_to_num(x[:, 0]) + np.abs(np.nan_to_num(x[:, 1]))
    booster = boost(x, (y > 1).astype(float) if "log" in objective else y, 30, 4, objective=objective, leaf=2.0)

    def function(i: expr.Inputs) -> dict[str, expr.Expr]:
        margin = expr.forest(booster, i.x)
        return {
            "margin": margin,
            "p": expr.knots(margin, [-1.0, 0.0, 2.0], [1.0, 0.3, 0.0]),
            "worst": i[["a", "b"]].nan_to(0.0).abs().argmax(),
            "kept": expr.where(i["a"].isnan(), -1.0, i["a"]),
        }

    names = list("abcd")
    expected = expr.evaluate(function, names, x)
    session = ort.InferenceSession(expr.export(function, names, "t").SerializeToString())
    for name, got in zip(expected, session.run(list(expected), {"features": x}), strict=True):
        assert np.abs(got.reshape(-1).astype(float) - expected[name].astype(float)).max() < 1e-5, name


def test_a_monotone_forest_is_monotone() -> None:
    from training.recipe import boost

    x = np.abs(data(2000))
    y = np.nan_to_num(np.sin(3 * x[:, 0]) + x[:, 0])
    booster = boost(x, y, 40, 4, monotone=(1, 0, 0, 0), leaf=2.0)
    sweep = np.zeros((200, 4), np.float32)
    sweep[:, 0] = np.linspace(0, 4, 200)
    assert (np.diff(expr.forest(booster, expr.Expr(sweep)).a[:, 0]) >= -1e-6).all()


@pytest.mark.parametrize("quick", [True, False])
def test_the_test_feeder_and_the_test_weeks_are_never_learned_from(quick: bool) -> None:
    splits = [made.split(quick) for made in sets.SETS]
    learned = [w for split in splits for w in (*split.learn, *split.calibrate)]
    judged = [w for split in splits for w in (*split.test_time, *split.test_feeder)]
    assert plans.TEST_FEEDER not in {w.feeder for w in learned}
    assert plans.TEST_FEEDER in {w.feeder for w in judged}
    assert not {w.seed for w in learned} & {w.seed for w in judged}
    day = 86_400_000_000
    for feeder in plans.LEARN_FEEDERS:
        ends = [w.start_us + w.days * day for w in learned if w.feeder == feeder and isinstance(w, world.WorldPlan)]
        starts = [w.start_us for w in judged if w.feeder == feeder and isinstance(w, world.WorldPlan)]
        assert not ends or min(starts) >= max(ends) + 7 * day


def test_a_world_is_a_function_of_its_plan() -> None:
    plan = world.WorldPlan("village", 5, 1_760_000_000_000_000, 0.3, bursts=1, burst_s=20, faults=2, steps=3)
    with np.errstate(all="ignore"):
        a, b = world.build(plan), world.build(plan)
    assert np.array_equal(a.values, b.values, equal_nan=True)
    assert np.array_equal(a.vuf, b.vuf, equal_nan=True)
    assert a.events == b.events


def test_the_day_to_come_of_a_row_is_the_day_gone_by_of_the_row_a_day_later() -> None:
    plan = world.WorldPlan("village", 5, 1_760_054_400_000_000, 3.0, skew=(2.5, 2.5, 1.5), lift=-0.04, wander=0.01)
    with np.errstate(all="ignore"):
        rows = days.quality_rows(world.build(plan), 1.0, 1)
    points = int(rows.y["point"].max()) + 1
    first, last = rows.take(np.arange(points)), rows.take(np.arange(len(rows) - points, len(rows)))
    assert len(rows) > 90 * points
    assert np.ptp(first.y["next"]) > 5
    assert np.allclose(first.y["next"], last.y["now"])
    # Without faults a meter's own index is the true one but for its errors.
    metered = last.x[:, INDEX["quality_index"]]
    assert np.abs(metered - last.y["now"]).max() < 8
    assert np.abs(metered - last.y["now"]).mean() < 1.5
    assert np.abs(metered - last.y["next"]).mean() > 1.5


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_cards_are_what_the_stored_figures_say(name: str) -> None:
    stored = json.loads((ROOT / "docs" / "models" / "evaluation.json").read_text())
    row = read_manifest_rows(ROOT / "models")[name]
    assert stored["models"][name]["sha256"] == row["sha256"]
    family = json.loads((ROOT / "docs" / "models" / "named_family.json").read_text()).get(name)
    text = cards.card(row, stored["models"][name], stored["speed"][name], RECIPES[name], family)
    assert (ROOT / "docs" / "models" / f"{name}.md").read_text() == text


def test_a_card_says_of_a_gain_whether_its_interval_lies_above_around_or_below_zero() -> None:
    stored = json.loads((ROOT / "docs" / "models" / "evaluation.json").read_text())["models"]["voltage_sag"]
    row, speed = read_manifest_rows(ROOT / "models")["voltage_sag"], {"us_per_row": 1.0, "kilobytes": 1}
    said = []
    for low, high in ((0.1, 0.3), (-0.1, 0.3), (-0.3, -0.1)):
        metric = {**stored["metrics"][0], "gain": (low + high) / 2, "gain_low": low, "gain_high": high}
        text = cards.card(row, {**stored, "metrics": [metric]}, speed, RECIPES["voltage_sag"], None)
        said.append(next(line for line in text.splitlines() if f"[{100 * low:+.3g}, " in line).rpartition("]")[2])
    assert said == [" |", " (not clear of zero) |", " (worse) |"]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_pictures_are_what_the_stored_figures_say(name: str) -> None:
    stored = json.loads((ROOT / "docs" / "models" / "evaluation.json").read_text())["models"][name]
    row, folder = read_manifest_rows(ROOT / "models")[name], ROOT / "docs" / "models"
    unit = next(o.get("unit", "") for o in row["outputs"] if o["name"] == RECIPES[name].headline)
    assert (folder / f"{name}.svg").read_text() == plots.svg(stored["curves"], RECIPES[name].headline, unit)
    if week := stored.get("measured", {}).get("week"):
        assert (folder / f"{name}_week.svg").read_text() == plots.week_svg(week)


def test_the_week_beside_a_forecast_is_the_series_own() -> None:
    stored = json.loads((ROOT / "docs" / "models" / "evaluation.json").read_text())
    week = stored["models"]["load_forecast"]["measured"]["week"]
    with (ROOT / "tests" / "scoring" / "data" / "taylor_30_min.csv").open(newline="") as stream:
        came = {datetime.fromisoformat(row["date"][:19]): float(row["value"]) / 1e3 for row in csv.DictReader(stream)}
    # British summer time: an hour ahead of the file's UTC.
    monday = datetime.fromisoformat(week["from"]) - timedelta(hours=1)
    assert monday.weekday() == 6 and len(week["hour"]) == 7 * 48  # noqa: PT018
    found = [came[monday + timedelta(hours=hour)] for hour in week["hour"]]
    assert np.allclose(found, week["truth"], atol=1e-3)
    inside = (np.array(week["low"]) <= found) & (found <= np.array(week["high"]))
    assert 0.5 < inside.mean() < 1


class Taken(Exception):
    """The worlds that would have been made."""


def test_later_feeders_have_worlds_of_their_own_and_no_part_in_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Any] = []
    monkeypatch.setattr(gather, "_run", lambda given, *_: jobs.extend(given) or take(given, 1, ""))
    with pytest.raises(Taken):
        gather.later_sets(1, {kind for made in sets.SETS for kind in made.kinds}, plans.LATER_FEEDERS)
    used = [plan for made in sets.SETS for quick in (True, False) for plan in made.split(quick).every]
    assert not {plan.feeder for plan in used} & set(plans.LATER_FEEDERS)
    for feeder in plans.LATER_FEEDERS:
        mine = [(made.name, plan.seed) for made, plan in jobs if plan.feeder == feeder]
        asked = [(made.name, plan.seed) for made in sets.SETS for plan in made.split(False).test_feeder]
        assert len(set(mine)) == len(mine) == len(asked)
        assert not {seed for _, seed in mine} & {plan.seed for plan in used}
    assert len({plan.seed for _, plan in jobs}) > len({seed for _, seed in mine})


def take(jobs: list[tuple[sets.WorldSet, Any]], _workers: int, _what: str) -> list[dict[str, Any]]:
    raise Taken([(made.name, plan.seed) for made, plan in jobs])


def test_the_named_family_is_judged_on_the_worlds_that_the_shipped_models_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "learning_data", lambda *_: None)
    monkeypatch.setattr(gather, "_run", take)
    with pytest.raises(Taken) as found:
        train._both(1, {"points"})
    (split,) = (made.split(False) for made in sets.SETS if "points" in made.kinds)
    assert {seed for _, seed in found.value.args[0]} == {w.seed for w in (*split.test_time, *split.test_feeder)}


def test_another_life_of_the_test_worlds_shares_no_seed_with_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "_run", take)
    kinds = {kind for made in sets.SETS for kind in made.kinds}
    lives = []
    for life in range(4):
        with pytest.raises(Taken) as found:
            gather.test_sets(False, 1, kinds, [life])
        lives.append(set(found.value.args[0]))
    assert len(lives[0]) > 200
    known = {(made.name, plan.seed) for made in sets.SETS for plan in made.split(False).every}
    assert lives[0] < known
    for life in range(1, 4):
        assert len(lives[life]) == len(lives[0])
        assert not lives[life] & set.union(known, *lives[:life])
