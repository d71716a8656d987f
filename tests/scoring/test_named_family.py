"""The family that the published design names: what it is asked, the stored figures, and what the cards make of them.

What trains is skipped, and says so, without the extra train-lstm.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xgboost", reason="the train extra is not installed")
pytest.importorskip("spox", reason="the train extra is not installed")
pytest.importorskip("dss", reason="the simulate extra is not installed")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

from remhart_adt.scoring.features import INDEX, LAGS_F, LAGS_P  # noqa: E402
from training.named.section import FIGURES, family_section, verdict  # noqa: E402
from training.named.sequences import QUESTIONS, Question, table  # noqa: E402
from training.publish import read_manifest_rows  # noqa: E402
from training.samples import Samples  # noqa: E402

STORED = json.loads((ROOT / "docs" / "models" / FIGURES).read_text())
METRIC = ("value", "low", "high", "baseline", "gain", "gain_low", "gain_high")
LAGS = {"load_forecast": LAGS_P, "frequency_stability": LAGS_F}


def samples(question: Question, rows: int = 400, seed: int = 2) -> Samples:
    """Rows out of the golden vectors, each a little different, some lags gone, with a truth that lags tell, but no
    straight line."""
    name = question.recipe.id
    golden = np.load(ROOT / "tests" / "scoring" / "data" / f"golden_{name}.npz")["features"]
    rng = np.random.default_rng(seed)
    x = np.full((rows, len(INDEX)), np.nan, np.float32)
    own = golden[rng.integers(0, len(golden), rows)] * rng.normal(1, 0.02, (rows, golden.shape[1]))
    x[:, [INDEX[n] for n in question.recipe.inputs]] = own
    x[rng.random(rows) < 0.3, INDEX[question.steps.names[0]]] = np.nan
    now = x[:, INDEX["f_deviation" if name == "frequency_stability" else "p_lag1"]].astype(float)
    before = x[:, INDEX["f_lag2" if name == "frequency_stability" else "p_lag4"]].astype(float)
    y = {
        **dict.fromkeys(("p_15min", "p_1h", "p_24h"), now + 0.5 * np.abs(now - before)),
        "ahead": now + 0.5 * np.abs(before), "farthest": np.abs(now) + np.abs(before),
        "hz": x[:, INDEX["nominal_hz"]].astype(float),
    }  # fmt: skip
    return Samples(x, y, np.arange(rows) // 20)


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_the_sequence_is_every_lag_oldest_first(name: str) -> None:
    steps = QUESTIONS[name].steps
    lags = [int(column.rpartition("lag")[2]) for column in steps.names]
    assert lags == sorted(LAGS[name], reverse=True)
    assert len(steps.place) == len(lags)
    # The first fact of a step's place is how long ago it was.
    assert (np.diff(steps.place[:, 0]) < 0).all()


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_a_step_holds_the_lag_that_its_name_says_in_the_recipes_unit(name: str) -> None:
    question = QUESTIONS[name]
    rows = samples(question)
    columns = question.derive(table(question, rows)).a
    assert columns.shape == (len(rows), len(question.columns))
    unit = question.unit(rows)
    for column in question.steps.names:
        lag = rows.x[:, INDEX[column]].astype(float)
        level = rows.x[:, INDEX["p_day_mean"]] if name == "load_forecast" else 0.0
        expected = (lag - level) / unit
        assert np.allclose(columns[:, question.columns.index(column)], expected, rtol=1e-3, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_who_says_the_truth_has_no_error(name: str) -> None:
    from training.expr import Expr

    question = QUESTIONS[name]
    rows = samples(question)
    said = [Expr(column[:, None].astype(np.float32)) for column in question.truth(rows).T]
    answer = {k: v.a[:, 0].astype(float) for k, v in question.answers(table(question, rows), said).items()}
    errors = question.errors(rows, answer)
    assert {key for key, _ in errors} <= {m["name"] for m in STORED[name]["against_baseline"]["shipped"]}
    for (metric, unit), error in errors.items():
        assert np.abs(error).max() < (0.02 if unit == "mHz" else 1e-3), metric


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_the_stored_comparison_is_whole_and_with_the_model_that_is_shipped(name: str) -> None:
    found, row = STORED[name], read_manifest_rows(ROOT / "models")[name]
    evaluation = json.loads((ROOT / "docs" / "models" / "evaluation.json").read_text())["models"][name]
    assert found["shipped_sha256"] == row["sha256"]
    known = {(m["name"], m["on"]): m for m in evaluation["metrics"]}
    assert {m["on"] for m in found["against_shipped"]} == {"unseen weeks", "unseen feeder"}
    assert found["against_shipped"][0]["name"] == evaluation["metrics"][0]["name"]
    for metric in found["against_shipped"]:
        assert all(math.isfinite(metric[key]) for key in METRIC)
        # The same rows, and the shipped model's own figure on them.
        same = known[metric["name"], metric["on"]]
        assert metric["n"] == same["n"]
        assert metric["baseline"] == pytest.approx(same["value"], rel=1e-4)
    for metric in found["against_baseline"]["shipped"]:
        assert metric["gain"] == pytest.approx(known[metric["name"], metric["on"]]["gain"], abs=1e-4)
    assert found["parity"] < 1e-4
    series = {m["on"] for m in found["measured"]}
    assert series == ({"England and Wales 2000", "measured transformer"} if name == "load_forecast" else set())
    assert all(value > 0 for of in found["speed"].values() for value in of.values())


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_a_shipped_model_that_is_not_the_better_one_says_so_in_its_limits(name: str) -> None:
    row = read_manifest_rows(ROOT / "models")[name]
    [limit] = [limit for limit in row["limits"] if "LSTM" in limit]
    assert limit in QUESTIONS[name].recipe.limits
    better = set(verdict(STORED[name]).values()) == {"better"}
    assert better == ("measurably better on both test sets" in limit)


def test_torch_is_in_one_extra_that_nothing_else_installs() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name for name, of in extras.items() if any("torch" in one for one in of)] == ["train-lstm"]
    assert not any("train-lstm" in one for of in extras.values() for one in of)
    for file in ("Makefile", "constraints.txt", ".ci/run"):
        assert "torch" not in (ROOT / file).read_text()
        assert "lstm" not in (ROOT / file).read_text()


def test_without_torch_the_trainer_names_the_extra() -> None:
    if importlib.util.find_spec("torch"):
        pytest.skip("torch is installed: its lack cannot be shown in this run")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'scripts' / 'lib'}"}
    asked = [sys.executable, "-m", "training.train", "--lstm"]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install -e '.[train-lstm]'" in done.stderr


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_the_card_shows_the_comparison(name: str) -> None:
    card = (ROOT / "docs" / "models" / f"{name}.md").read_text()
    section = card.split("## The named family")[1].split("## Limits")[0]
    for metric in STORED[name]["against_shipped"] + STORED[name]["measured"]:
        assert f"{metric['value']:.4g} [{metric['low']:.4g}, {metric['high']:.4g}]" in section
        assert f"{100 * metric['gain']:+.2f} %" in section
    assert "has changed since" not in section


def test_a_card_says_when_the_shipped_model_is_no_longer_the_one_compared() -> None:
    assert "has changed since" in "\n".join(family_section(STORED["load_forecast"], "0" * 64))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_an_lstm_learns_the_same_again_and_its_file_says_the_same(name: str) -> None:
    pytest.importorskip("torch", reason="the extra train-lstm is not installed: no LSTM is trained in this run")
    from training.named import compare, graph, lstm

    question = QUESTIONS[name]
    learn, check = samples(question, 3000), samples(question, 1000, seed=3)
    one, two = (lstm.fit(question, learn, check, [lstm.Candidate(4e-3, 1.0)]) for _ in range(2))
    x = table(question, check).x.a
    assert one.facts["share_of_the_lines_error"] < 1
    first, second = (graph.whole_graph(question, f).SerializeToString(deterministic=True) for f in (one, two))
    assert first == second
    assert compare.parity(question, one, x) < 1e-4
    answer = compare.runner(first)(x)
    assert set(answer) <= {o["name"] for o in question.recipe.outputs}
    assert all(np.isfinite(column).all() for column in answer.values())
