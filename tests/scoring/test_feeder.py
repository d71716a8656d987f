"""Feeder scope: the minute spoken of, members that are missing, and independence of arrival order and partition."""

from __future__ import annotations

import numpy as np
from scoring_streams import MINUTE_US, START_US, C, minutes, stream, take

from remhart_adt.scoring import Engine, FeederInfo, PointInfo, Status, Windows

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
