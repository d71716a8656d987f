"""Feeder scope: the minute spoken of, members that are missing, and independence of arrival order and partition."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from scoring_streams import MINUTE_US, START_US, C, minutes, stream, take

from remhart_adt.scoring import Engine, FeederInfo, PointInfo, Status, Windows
from remhart_adt.scoring import feeder as feeder_module
from remhart_adt.scoring import moves as moves_module
from remhart_adt.scoring.feeder import FEEDER_FEATURES, FeederView, feeder_features

HEAD = PointInfo("t1", 230.0, 50.0, 400.0, kind="transformer")
LEAVES = [PointInfo(f"m{k}", 230.0, 50.0, 63.0, kind="meter") for k in range(4)]
LINE = PointInfo("l1", 230.0, 50.0, 200.0, kind="transmission_line")
INFOS = [HEAD, LINE, *LEAVES]
MEMBERS = [i.point_id for i in INFOS]
FEEDER = FeederInfo("substation", "t1", 250_000.0, 400.0, 3000.0)


def readings(count: int, start_us: int = START_US, every_us: int = MINUTE_US):  # type: ignore[no-untyped-def]
    """The head carries what the leaves draw, and 2 % more; leaves stand 1 % lower."""
    b = stream(INFOS, minutes(count, start_us, every_us))
    cells = b.values.reshape(count, len(INFOS), 25)
    p, q = slice(C["p_a"], C["p_c"] + 1), slice(C["q_a"], C["q_c"] + 1)
    cells[:, 2:, C["v_a"] : C["v_c"] + 1] *= 0.99
    cells[:, 0, p] = cells[:, 2:, p].sum(1) * 1.02
    cells[:, 0, q] = cells[:, 2:, q].sum(1) * 1.02
    return b


def test_losses_of_a_known_feeder() -> None:
    engine, windows = Engine.load(), Windows(INFOS)
    windows.push(readings(10))
    score = engine.feeder([windows], FEEDER, MEMBERS)["energy_loss"]
    assert score.status is Status.OK
    assert score.time_us == (START_US + 9 * MINUTE_US) // MINUTE_US * MINUTE_US
    document = score.document()
    assert 1.0 < document["estimatedLoss"] < 5.0
    assert document["lossLow"] <= document["lossInWatts"] <= document["lossHigh"]


def test_partitions_and_arrival_order_do_not_matter() -> None:
    engine, whole = Engine.load(), readings(10)
    one = Windows(INFOS)
    one.push(whole)
    left, right = Windows(INFOS), Windows(INFOS)
    right.push(take(whole, np.flatnonzero(whole.point >= 3)))
    for k in range(0, 30, 7):
        left.push(take(whole, np.flatnonzero(whole.point < 3)[k : k + 7]))
    left.push(take(whole, np.flatnonzero(whole.point < 3)))
    assert engine.feeder([one], FEEDER, MEMBERS) == engine.feeder([right, left], FEEDER, MEMBERS)


def test_a_member_more_than_five_minutes_behind_is_named() -> None:
    engine, windows, whole = Engine.load(), Windows(INFOS), readings(12)
    late = (whole.point == 3) & (whole.time_us > START_US + 4 * MINUTE_US)
    windows.push(take(whole, np.flatnonzero(~late)))
    score = engine.feeder([windows], FEEDER, MEMBERS)["energy_loss"]
    assert (score.status, score.reason, score.missing) == (Status.ABSTAINED, "missing members: m1", ("m1",))
    just = take(whole, np.flatnonzero(whole.point == 3)[5:7])
    windows.push(just)
    assert engine.feeder([windows], FEEDER, MEMBERS)["energy_loss"].status is Status.OK


def test_members_never_heard_of_are_listed() -> None:
    engine, windows = Engine.load(), Windows(INFOS)
    score = engine.feeder([windows], FEEDER, MEMBERS)["energy_loss"]
    assert score.reason == "no complete minute of any member yet"
    assert score.time_us is None
    windows.push(readings(3))
    missing = engine.feeder([windows], FEEDER, [*MEMBERS, "ghost"])["energy_loss"]
    assert missing.missing == ("ghost",)


def test_members_sampled_every_quarter_hour_count() -> None:
    engine, windows = Engine.load(), Windows(INFOS)
    windows.push(readings(4, every_us=15 * MINUTE_US))
    assert engine.feeder([windows], FEEDER, MEMBERS)["energy_loss"].status is Status.OK


@pytest.mark.parametrize("every", [2, 5, 8, 16, 24])
def test_no_interval_between_readings_is_worse_than_another(every: int) -> None:
    """Readings every eight minutes once shared one place, so that no minute was ever complete."""
    engine, windows = Engine.load(), Windows(INFOS)
    windows.push(readings(4, every_us=every * MINUTE_US))
    assert engine.feeder([windows], FEEDER, MEMBERS)["energy_loss"].status is Status.OK


def test_reverse_power_dead_feeder_and_missing_power_abstain() -> None:
    engine = Engine.load()
    p = slice(C["p_a"], C["p_c"] + 1)
    for change, word in (
        (lambda c: c.__setitem__((slice(None), 0, p), -50_000.0), "reversed"),
        (lambda c: c.__setitem__((slice(None), slice(None), slice(0, 12)), 0.0), "infeed below"),
        (lambda c: c.__setitem__((slice(None), 4, p), np.nan), "missing channel: p of m2"),
        (lambda c: c.__setitem__((slice(None), 0, slice(0, 12)), np.nan), "of the head"),
    ):
        b, windows = readings(3), Windows(INFOS)
        change(b.values.reshape(3, len(INFOS), 25))
        windows.push(b)
        score = engine.feeder([windows], FEEDER, MEMBERS)["energy_loss"]
        assert score.status is Status.ABSTAINED
        assert word in score.reason


def test_undeclared_nameplate_is_no_obstacle() -> None:
    engine, windows = Engine.load(), Windows(INFOS)
    windows.push(readings(4))
    assert engine.feeder([windows], FeederInfo("s", "t1"), MEMBERS)["energy_loss"].status is Status.OK


def test_what_is_kept_from_minute_to_minute_is_what_a_fresh_look_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three hours over two partitions, in which a member is declared anew and one partition is restored."""
    whole, made = readings(180), []
    chosen = moves_module.chosen_moves
    monkeypatch.setattr(moves_module, "chosen_moves", lambda *a: made.append(a) or chosen(*a))
    left, right = Windows([HEAD, LINE, LEAVES[0]]), Windows(LEAVES[1:])
    for window in (left, right):
        window.push(take(whole, np.flatnonzero(whole.time_us < START_US + 16 * MINUTE_US)))
    view, kept = FeederView([left, right], "t1", MEMBERS), 0
    for minute in range(16, 180):
        now = take(whole, np.flatnonzero(whole.time_us == START_US + minute * MINUTE_US))
        if minute == 60:
            right.add([PointInfo("m2", 230.0, 50.0, 40.0, kind="renewable_source")])
        if minute == 90:
            left.restore(left.snapshot())
        for window in (left, right):
            window.push(now)
        if not view.holds([left, right], "t1", MEMBERS):
            view = FeederView([left, right], "t1", MEMBERS)
        begun = len(made)
        end_us, row = view.features(FEEDER, day=True)
        kept += len(made) == begun
        fresh_us, fresh = feeder_features([left, right], FEEDER, MEMBERS, day=True)
        assert (end_us, row.tobytes()) == (fresh_us, fresh.tobytes())
        assert not np.isnan(row[0, list(FEEDER_FEATURES).index("day_infeed_w")])
    assert kept > 100


def test_a_view_is_of_these_members_and_windows_only() -> None:
    windows = Windows(INFOS)
    windows.push(readings(3))
    view = FeederView([windows], "t1", MEMBERS)
    assert view.holds([windows], "t1", list(MEMBERS))
    assert not view.holds([windows], "t1", MEMBERS[:-1])
    assert not view.holds([windows], "m0", MEMBERS)
    assert not view.holds([Windows(INFOS)], "t1", MEMBERS)
    windows.add([PointInfo("new", 230.0, 50.0)])
    assert not view.holds([windows], "t1", MEMBERS)


def test_an_engine_looks_members_up_once_and_lets_go_of_windows_that_left(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    of = feeder_module.Members.of
    monkeypatch.setattr(feeder_module.Members, "of", lambda *a: made.append(a) or of(*a))
    engine, first, second = Engine.load(), Windows(INFOS), Windows(INFOS)
    for window in (first, second):
        window.push(readings(3))
    for windows in ([first], [first], [second], [second]):
        assert engine.feeder(windows, FEEDER, MEMBERS)["energy_loss"].status is Status.OK
    assert [a[0] for a in made] == [[first], [second]]
    held = weakref.ref(first)
    del first, windows, window, made[:]
    assert held() is None
