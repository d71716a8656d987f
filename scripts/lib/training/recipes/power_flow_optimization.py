"""power_flow_optimization: the tap position and capacitor steps with the least losses inside the voltage limits.

What a setting does to losses and voltages is a regression on physical terms, learned from settings that the engine has
solved one by one. The file evaluates that regression for every change of tap and steps within reach, leaves out what
might break a limit, and takes the one with the least losses; it stays where it is unless the saving is beyond doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from training.expr import Expr, Inputs, ModelFunction, concat, where
from training.flow_table import HIGHEST, LOWEST, Table, greedy
from training.recipe import Data, Judged, Metric, Runner, inputs_of, mae_metric, output
from training.samples import Samples

Floats = NDArray[np.float64]
_INPUTS = (
    "infeed_w", "rated_va", "head_load", "head_q", "head_unbalance", "drop_loss", "drop_mean", "drop_max", "balance",
    "no_load_share", "load_loss_share", "v_head", "v_lowest", "v_highest", "short_circuit_v", "tap_position",
    "tap_down", "tap_up", "tap_step", "steps_on", "steps_off", "bank_step",
)  # fmt: skip
_TEXTS = ("keep", "raise tap", "lower tap", "add steps", "remove steps", "tap and steps")
_NO_TAP = -100.0
_RULE = "steps that bring Q nearest to zero, and the lowest tap that leaves 0.01 p.u. to the limits"
_RIDGE = 1e-3
# How many of the errors near a limit, and of those of savings, the margins cover.
_SAFE, _SURE = 0.99, 0.95
# The part of the voltage margins that the present setting has to keep.
_STAY = 0.5
# All changes that the file knows, each (1, 117): taps -4..4 and steps -6..6.
_TAP, _STEP = (a.reshape(1, -1).astype(np.float32) for a in np.meshgrid(range(-4, 5), range(-6, 7), indexing="ij"))
# What a p.u. of voltage outside the limits costs, and what is not there at all, in p.u. of losses over the rating.
_OUTSIDE, _NOWHERE = 1e3, 1e6


@dataclass(frozen=True)
class _Law:
    """A quantity's change: the sum over its parts of (weights . terms of the row) x (shape of the change)."""

    weights: tuple[Floats, ...]

    def __call__(self, parts: Sequence[tuple[Expr, Any]]) -> Expr:
        total: Expr | None = None
        for w, (terms, shape) in zip(self.weights, parts, strict=True):
            part = (terms * w.astype(np.float32)[None, :]).sum() * shape
            total = part if total is None else total + part
        assert total is not None
        return total


class _Row:
    """A feeder's state per unit of its rating, as columns; and the effect of a change of taps and steps on it."""

    def __init__(self, i: Inputs) -> None:
        self.i, self.v = i, i["v_head"].clip(0.5, 1.5)
        p = i["infeed_w"] / i["rated_va"]
        self.q, self.load = i["head_q"].clip(-2.0, 2.0), i["head_load"].clip(0.01, 2.0)
        self.iron = i["no_load_share"].nan_to(0.008) * p * self.v * self.v
        # Load loss over the rating at rated current; the declared share holds it times load^2 / P.
        self.copper = (i["load_loss_share"] * p / (self.load * self.load)).nan_to(0.012).clip(0.0, 0.05)
        self.p2, self.q2 = p * p / (self.v * self.v), self.q * self.q / (self.v * self.v)
        self.line = i["drop_loss"].clip(-0.05, 0.2) * p
        self.square = (self.p2 + self.q2) * 0.01
        self.unbalance = i["head_unbalance"].clip(0.0, 1.0)
        self.drop, self.drop_max = i["drop_mean"].clip(-0.1, 0.2), i["drop_max"].clip(-0.1, 0.3)
        self.x = i["short_circuit_v"].nan_to(0.04).clip(0.01, 0.1)
        self.one = p * 0.0 + 1.0
        # Q / P of the loads alone, the bank's part put back.
        bank = (i["steps_on"] * i["bank_step"]).nan_to(0.0) * self.v * self.v
        self.tangent = ((self.q + bank) / p.most(0.01)).clip(0.0, 1.0)

    def change(self, tap: Any, step: Any) -> tuple[Expr, Expr, Expr]:
        """Rise of the head's voltage by the tap and by the bank (p.u.), and the reactive power taken over (p.u.)."""
        by_tap = self.i["tap_step"].nan_to(0.0) * tap
        taken = self.i["bank_step"].nan_to(0.0) * step * self.v * self.v
        return by_tap, taken * self.x, taken

    def known(self, tap: Any, step: Any) -> Expr:
        """Change of losses over the rating that needs no learning: no-load loss goes with U^2, load loss with the
        reactive part of the current that the bank takes over."""
        by_tap, by_bank, taken = self.change(tap, step)
        rise = by_tap + by_bank
        reactive = taken * taken - self.q * taken * 2.0
        return self.iron * (rise * 2.0 + rise * rise) + self.copper / (self.v * self.v) * reactive

    def loss(self, tap: Any, step: Any) -> list[tuple[Expr, Expr]]:
        """What is learned beside it: how the loads answer to voltage. Those with a poor power factor are motors, whose
        current falls as voltage rises; the current of the others hardly does."""
        by_tap, by_bank, _ = self.change(tap, step)
        rise = by_tap + by_bank
        series = self.copper * (self.p2 + self.q2) + self.line
        return [(concat([series, series * self.tangent]), rise), (concat([series]), rise * rise)]

    def doubt(self, tap: Any, step: Any) -> Expr:
        """Size of the parts of that change, whose sum may be near zero: what an error of it is measured by."""
        by_tap, by_bank, taken = self.change(tap, step)
        parts = self.iron + self.copper * (self.p2 + self.q2) + self.line.abs() + self.square
        return (by_tap + by_bank).abs() * parts + self.copper * taken.abs() * (self.q.abs() + taken.abs() * 0.5)

    def volts(self, tap: Any, step: Any, name: str) -> tuple[Expr, list[tuple[Expr, Any]]]:
        """Change of an extreme voltage from now to the next quarter hour (p.u.): what taps and bank do at no load, and
        what is learned beside it: the loads' answer, and how voltages move in a quarter of an hour."""
        by_tap, by_bank, _ = self.change(tap, step)
        rise = by_tap + by_bank
        away = (self.i[name] - self.v).clip(-0.4, 0.4)
        moves = [self.load, away, self.tangent * self.load]
        still = [self.one, away, self.load, self.q, self.drop, self.drop_max, self.tangent * self.load]
        return self.i[name] * rise, [(concat(moves), rise), (concat([self.one]), by_bank), (concat(still), 1.0)]

    def spread(self, tap: Any, step: Any) -> tuple[Expr, Expr]:
        """How far the lowest and the highest voltage of the next quarter hour may be off, up to a factor: more where
        much voltage drops, and after a large change."""
        by_tap, by_bank, _ = self.change(tap, step)
        rise = (by_tap + by_bank).abs()
        return (self.v - self.i["v_lowest"]).clip(0.0, 0.3) * 0.1 + rise * 0.01 + 0.004, rise * 0.02 + 0.001

    def level(self) -> list[tuple[Expr, Any]]:
        """Losses of the next quarter hour over the rating, the setting being kept."""
        terms = [self.iron, self.copper * (self.p2 + self.q2), self.line, self.square, self.square * self.unbalance,
                 self.load * 0.001]  # fmt: skip
        return [(concat(terms), 1.0)]


@dataclass(frozen=True)
class _Laws:
    """Everything that is learned, and the margins: of voltages in parts of `_Row.spread`, of savings in parts of
    `_Row.doubt`."""

    loss: _Law
    level: _Law
    lowest: _Law
    highest: _Law
    margin_low: float = 0.0
    margin_high: float = 0.0
    doubt: float = 0.0

    def volts(self, row: _Row, tap: Any, step: Any) -> tuple[Expr, Expr]:
        """Lowest and highest voltage of the next quarter hour after a change (p.u.)."""
        out = []
        for name, law in (("v_lowest", self.lowest), ("v_highest", self.highest)):
            plain, more = row.volts(tap, step, name)
            out.append(row.i[name] + plain + law(more))
        return out[0], out[1]

    def losses(self, row: _Row, tap: Any, step: Any) -> Expr:
        """Change of losses over the rating."""
        return row.known(tap, step) + self.loss(row.loss(tap, step))


class PowerFlowOptimization:
    id = "power_flow_optimization"
    algorithm = "search over all taps and steps on a ridge regression of engine solutions, with calibrated margins"
    scope, rate = "feeder", "minute"
    sources, headline = ("flow",), "lossReduction"
    title = "Power flow optimization"
    definition = (
        "The tap position of the supplying transformer and the number of capacitor steps with the least losses over "
        f"the next quarter hour, among those that keep every point and phase within {LOWEST} and {HIGHEST:.2f} p.u.; "
        "when there is none, the one that comes nearest. Truth: the engine has solved every setting."
    )
    baseline = "tap and steps stay as they are"
    inputs = _INPUTS
    outputs = (
        output("optimalConfiguration", "enum", "what to change, in short", values=_TEXTS),
        output("recommendedTapPosition", "integer", "tap position; absent when no tap changer is declared",
               range=(-99, 99), optional=True),
        output("recommendedSteps", "integer", "capacitor steps on; absent without a bank", range=(0, 99),
               optional=True),
        output("lossReduction", "double", "losses saved; below zero where voltage has to be put right", unit="W"),
        output("efficiencyGain", "double", "the same in percent of the losses now", unit="%", range=(-100, 100)),
    )  # fmt: skip
    needs: ClassVar[dict[str, Any]] = {"controls": True}
    limits = (
        "Saves by lower voltage where the limits leave room. Who wants voltage held high takes only the steps from it.",
        "The rule of thumb named above loses about as little; the model adds fewer broken limits, and the watts.",
        "Advice is for the next quarter hour; taps that move only when dead want the advice of a season.",
        "It sees the voltages that are metered: a customer without a meter may stand lower.",
        "Loads answer to voltage as the simulator's classes do, P as U^0.2 to U^1.0, motors the least.",
        "Taps are taken to sit on the medium-voltage winding, where the no-load loss follows them.",
        "Learned with taps of 2.5 % and banks at the head: what a bank further out saves in lines is not counted.",
        "Of several banks only the largest is advised on; four taps and six steps at a time are within reach.",
        "Abstains below 1 % of the rating and under reverse power.",
    )

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        return np.isfinite(samples.x[:, 0])

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, check = data.rows(self)
        laws = _fit(learn)
        margins = _margins(learn, check, laws)
        laws = replace(laws, **margins)

        def function(i: Inputs) -> Mapping[str, Expr]:
            return _advice(i, laws)

        facts = {"rows": len(learn), "settings": int(np.isfinite(Table.of(learn).loss).sum()), **margins}
        return function, facts

    def mini(self, samples: Samples) -> tuple[Floats, Floats]:
        table = Table.of(samples)
        saved = table.at(table.loss, table.now) - table.at(table.loss, table.best)
        return np.where(table.fine, saved, np.nan), np.zeros(len(samples))

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        table, answer = Table.of(samples), run(x)
        mine = table.place(answer["recommendedTapPosition"], answer["recommendedSteps"])
        rule = greedy(samples, table)
        fine, possible = table.fine, table.possible
        mean = {name: table.regret(column) for name, column in (("mine", mine), ("keep", table.now), ("rule", rule))}

        def metric(name: str, other: str, rows: NDArray[np.bool_], called: str) -> Metric:
            part = samples.take(rows)
            return mae_metric(name, "%", on, part, mean["mine"][rows], mean[other][rows], called)

        def outside(column: NDArray[np.int64], rows: NDArray[np.bool_]) -> int:
            return int((table.at(table.excess, column) > 0)[rows].sum())

        before = table.at(table.loss, table.now)
        saved, could = before - table.at(table.loss, mine), before - table.at(table.loss, table.best)
        moved = mine != table.now
        usual = fine & (samples.y["varied"] == 0)
        facts = {
            "rows, of them within the limits now, and with a setting within them": [
                len(samples),
                int(fine.sum()),
                int(possible.sum()),
            ],
            "advised settings that break a limit though the present one does not (rule of thumb)": [
                outside(mine, fine),
                outside(rule, fine),
            ],
            "limits broken now that some setting avoids, and that are left broken by the advice (rule of thumb)": [
                int((possible & ~fine).sum()),
                outside(mine, possible & ~fine),
                outside(rule, possible & ~fine),
            ],
            "mean excess beyond the limits where every setting breaks one: now, advice, least possible, p.u.": [
                round(float(table.at(table.excess, c)[~possible].mean()), 5) for c in (table.now, mine, table.best)
            ],
            "share of the possible saving achieved, within the limits now (rule of thumb)": [
                round(float(s[fine].sum() / could[fine].sum()), 4) for s in (saved, before - table.at(table.loss, rule))
            ],
            "the same in ordinary operation, and mean saving in % of the losses": [
                round(float(saved[usual].sum() / could[usual].sum()), 4),
                round(float((100 * saved / before)[usual].mean()), 3),
            ],
            "share of advice to keep the setting": round(float((~moved).mean()), 4),
            "share of changes that raise the losses, within the limits now": round(
                float((saved[moved & fine] < 0).mean()), 4
            ),
            "mean error of lossReduction where a change is advised within the limits, in % of the losses": round(
                float((100 * np.abs(answer["lossReduction"] - saved) / before)[moved & fine].mean()), 3
            ),
        }
        return Judged(
            [
                metric("regret in losses, within the limits now", "keep", fine, self.baseline),
                metric("regret in losses, all that can be within", "keep", possible, self.baseline),
                metric("regret in losses against the rule", "rule", possible, _RULE),
            ],
            {f"{name}, {on}": value for name, value in facts.items()},
        )


def _advice(i: Inputs, laws: _Laws) -> dict[str, Expr]:
    row = _Row(i)
    tap_known, bank_known = ~i["tap_step"].isnan(), ~i["bank_step"].isnan()
    down, up = i["tap_down"].nan_to(0.0), i["tap_up"].nan_to(0.0)
    on, off = i["steps_on"].nan_to(0.0), i["steps_off"].nan_to(0.0)
    tap, step = row.one * _TAP, row.one * _STEP
    there = (tap >= -down) & (tap - 0.5 < up) & (step >= -on) & (step - 0.5 < off)
    stays = (tap.abs() + step.abs()) < 0.5
    low, high = laws.volts(row, tap, step)
    spread_low, spread_high = row.spread(tap, step)
    # A change has to be safe beyond doubt; the present setting may stand until it is likely to break a limit.
    care = where(stays, _STAY, 1.0)
    below = LOWEST - low + care * spread_low * laws.margin_low
    above = high - HIGHEST + care * spread_high * laws.margin_high
    outside = below.most(above).most(0.0)
    saving = -laws.losses(row, tap, step)
    # A change has to save more than its own doubt, or to put a voltage right.
    wrong = where(stays, outside, 0.0).high() > 0.0
    clears = stays | (saving > row.doubt(tap, step) * laws.doubt) | wrong
    worth = where(there & clears, saving - outside * _OUTSIDE, -_NOWHERE)
    best = (worth.argmax().number() - np.arange(_TAP.size, dtype=np.float32)[None, :]).abs() < 0.5
    d_tap, d_step, saved = tap.chosen(best), step.chosen(best), saving.chosen(best)
    moves, switches = d_tap.abs() > 0.5, d_step.abs() > 0.5
    text = where(
        moves & switches, 5.0,
        where(moves, where(d_tap > 0.0, 1.0, 2.0), where(switches, where(d_step > 0.0, 3.0, 4.0), 0.0)),
    )  # fmt: skip
    level = laws.level(row.level()).most(1e-5)
    return {
        "optimalConfiguration": text.integer(),
        "recommendedTapPosition": where(tap_known, i["tap_position"] + d_tap, _NO_TAP).integer(),
        "recommendedSteps": where(bank_known, i["steps_on"] + d_step, -1.0).integer(),
        "lossReduction": saved * i["rated_va"],
        "efficiencyGain": (saved / level * 100.0).clip(-100.0, 100.0),
    }


# --- learning ---------------------------------------------------------------------------------------------------------


def _design(parts: Sequence[tuple[Expr, Any]], columns: int) -> Floats:
    """(N, columns, all terms) of a law's parts."""
    out = []
    for terms, shape in parts:
        form = shape.a if isinstance(shape, Expr) else np.ones((1, columns), np.float32)
        out.append(terms.a[:, None, :].astype(np.float64) * form[:, :, None])
    return np.concatenate(out, axis=2)


def _ridge(parts: Sequence[tuple[Expr, Any]], y: Floats, weight: Floats) -> _Law:
    """Weights of a law from what it should give, (N, K), NaN where nothing is known; `weight` (N, K)
    or (N, 1)."""
    a = _design(parts, y.shape[1]) * weight[:, :, None]
    good = np.isfinite(y)
    a, b = a[good], (y * weight)[good]
    scale = np.sqrt((a * a).mean(0)) + 1e-12
    gram = (a / scale).T @ (a / scale) + _RIDGE * len(a) * np.eye(a.shape[1])
    w = np.linalg.solve(gram, (a / scale).T @ b) / scale
    cuts = np.cumsum([terms.a.shape[1] for terms, _ in parts])[:-1]
    return _Law(tuple(np.split(w, cuts)))


def _changes(samples: Samples, table: Table) -> tuple[Any, Any]:
    """The table's settings as changes from the present one, each (N, K)."""
    tap = table.tap[None, :] - samples.y["tap"][:, None]
    return Expr(tap.astype(np.float32)), Expr((table.steps[None, :] - samples.y["steps"][:, None]).astype(np.float32))


def _inputs(samples: Samples) -> Inputs:
    return Inputs(_INPUTS, inputs_of(PowerFlowOptimization(), samples))


def _fit(samples: Samples) -> _Laws:
    table, i = Table.of(samples), _inputs(samples)
    row, (tap, step) = _Row(i), _changes(samples, table)
    rated = i["rated_va"].a.astype(np.float64)
    now = table.at(table.loss, table.now)[:, None]
    even = np.ones_like(now)
    # The error that matters is that against the size of the change: small savings are decided by it too.
    each = 1 / (row.doubt(tap, step).a + 1e-2 * now / rated)
    there = np.isfinite(table.loss)
    extremes = []
    for name, truth in (("v_lowest", table.low), ("v_highest", table.high)):
        plain, more = row.volts(tap, step, name)
        extremes.append(_ridge(more, np.where(there, truth, np.nan) - i[name].a - plain.a, even))
    return _Laws(
        _ridge(row.loss(tap, step), (table.loss - now) / rated - row.known(tap, step).a, each),
        _ridge(row.level(), now / rated, rated / now), *extremes,
    )  # fmt: skip


def _margins(learn: Samples, check: Samples, laws: _Laws) -> dict[str, float]:
    """Margins that hold on a feeder that was not learned from (each is left out in turn), and on other weeks."""
    parts = [_errors(check, laws)]
    for feeder in np.unique(learn.y["feeder"]):
        own = learn.y["feeder"] == feeder
        parts.append(_errors(learn.take(own), _fit(learn.take(~own))))
    low, high, doubt = (np.concatenate(column) for column in zip(*parts, strict=True))
    return {
        "margin_low": float(np.quantile(low, _SAFE)), "margin_high": float(np.quantile(high, _SAFE)),
        "doubt": float(np.quantile(doubt, _SURE)),
    }  # fmt: skip


def _errors(samples: Samples, laws: _Laws) -> tuple[Floats, Floats, Floats]:
    """Errors to the bad side, of voltages near a limit and of savings, in parts of their scales."""
    table, i = Table.of(samples), _inputs(samples)
    row, (tap, step) = _Row(i), _changes(samples, table)
    low, high = (v.a.astype(np.float64) for v in laws.volts(row, tap, step))
    now = table.at(table.loss, table.now)[:, None]
    true = (table.loss - now) / i["rated_va"].a
    doubt = row.doubt(tap, step).a
    there = np.isfinite(table.loss)
    spread_low, spread_high = (spread.a for spread in row.spread(tap, step))
    near_low, near_high = there & (np.abs(low - LOWEST - 0.01) < 0.02), there & (np.abs(high - HIGHEST + 0.01) < 0.02)
    moved = there & (doubt > 1e-9)
    return (
        ((low - table.low) / spread_low)[near_low], ((table.high - high) / spread_high)[near_high],
        ((true - laws.losses(row, tap, step).a) / doubt)[moved],
    )  # fmt: skip
