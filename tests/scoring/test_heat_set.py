"""Worlds for overload: groups of many services move less than one, idle points carry nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xgboost", reason="the train extra is not installed")
pytest.importorskip("dss", reason="the simulate extra is not installed")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

from remhart_adt.scoring.features import INDEX  # noqa: E402
from training import heat_set, world  # noqa: E402
from training.recipes import RECIPES, overload_risk  # noqa: E402
from training.samples import Samples  # noqa: E402

PLAN = world.WorldPlan("suburb", 5, 1_760_000_400_000_000, 1.5, steps=10)


def rows(monkeypatch: pytest.MonkeyPatch, **shares: float) -> Samples:
    for name in ("_GROUPS", "_LIGHT", "_IDLE"):
        monkeypatch.setattr(heat_set, name, shares.get(name, 0.0))
    with np.errstate(all="ignore"):
        return heat_set.overload_rows(world.build(PLAN), 1)


def test_a_group_of_services_rises_less_within_an_hour_than_one_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat_set, "_SERVICES", (100, 100))
    alone, grouped = rows(monkeypatch), rows(monkeypatch, _GROUPS=1.0)

    def rise(samples: Samples) -> float:
        top = samples.x[:, INDEX["load_day_max"]]
        return float(np.median((samples.y["load"] - samples.x[:, INDEX["load_5min"]]) / top))

    assert len(alone) == len(grouped) > 1000
    assert 0 < rise(grouped) < 0.5 * rise(alone)
    roughness = [float(np.nanmedian(s.x[:, INDEX["p_ramp"]] / s.x[:, INDEX["p_day_mean"]])) for s in (alone, grouped)]
    assert roughness[1] < 0.5 * roughness[0]
    # What is read is what is true, but for the meter's noise and the minutes between.
    gap = grouped.x[:, INDEX["i_max"]] - grouped.x[:, INDEX["load_5min"]]
    assert np.nanmedian(np.abs(gap)) < 0.02


def test_an_idle_point_reads_nothing_and_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = rows(monkeypatch, _IDLE=1.0)
    assert (idle.y["load"] == 0).all()
    assert np.nanmax(np.abs(idle.x[:, [INDEX["i_max"], INDEX["p_total"]]])) == 0


def test_what_is_learned_from_forgets_some_of_its_past() -> None:
    whole = Samples(np.ones((5000, len(INDEX)), np.float32), {}, np.zeros(5000, np.int64))
    found = overload_risk._forgetful(whole)
    for share, names in overload_risk._FORGOTTEN.items():
        for name in names:
            assert np.isnan(found.x[:, INDEX[name]]).mean() == pytest.approx(share, abs=0.03)
    forgotten = [name for names in overload_risk._FORGOTTEN.values() for name in names]
    others = [INDEX[name] for name in RECIPES["overload_risk"].inputs if name not in forgotten]
    assert (found.x[:, others] == 1).all()
    assert (whole.x == 1).all()


def test_making_worlds_needs_nothing_that_learns() -> None:
    """Each process that makes worlds would load it: seconds of every run."""
    code = "import sys, training.sets; print([m for m in ('xgboost', 'sklearn', 'spox', 'onnx') if m in sys.modules])"
    path = f"{ROOT / 'src'}:{ROOT / 'scripts' / 'lib'}"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
