"""optimal_dispatch: the cheapest set points for the demand of the next 15 minutes, solved exactly in the graph.

The demand is forecast (trees on its change); the dispatch is the equal incremental cost rule: every unit runs where its
marginal cost is lambda, within its limits and its ramp, such that supply meets demand (Wood, Wollenberg, Sheble, Power
Generation, Operation and Control, 3rd ed., 3.1). Supply is a polyline in lambda, bent where a unit meets a limit; the
answer lies between two bends, with no search.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from remhart_adt.scoring.feeder import DEMAND_LAGS
from remhart_adt.scoring.types import UNITS
from training.expr import Expr, Inputs, ModelFunction, concat, forest, where
from training.recipe import Data, Judged, Runner, boost, inputs_of, mae_metric, output
from training.samples import Samples

__all__ = ["OptimalDispatch", "dispatch"]

_FACTS = ("power", "low", "high", "ramp", "cost_b", "cost_c")
_UNITS = tuple(f"unit{k}_{name}" for name in _FACTS for k in range(1, UNITS + 1))
_STATE = ("demand", *(f"demand_lag{k}" for k in DEMAND_LAGS), "hour_sin", "hour_cos")
_INPUTS = ("rated_va", *_STATE, *_UNITS)
_AT = {name: k for k, name in enumerate(_INPUTS)}
_MINUTES = 15.0
# A unit's marginal cost rises by at least so much from nothing to full power (share), so that a price says a power.
_FLAT = 1e-3
_RESERVE = 0.95
# Less than this share of the cost is not worth a command.
_WORTH = 0.002
_ADVICE = ("hold", "import more", "import less", "shift between units")


def dispatch(low: Expr, high: Expr, linear: Expr, slope: Expr, demand: Expr) -> Expr:
    """The cheapest powers [N, units] within limits for a demand [N, 1]; marginal cost of a unit is linear + slope P.

    Where the limits leave no room for the demand, the nearest they allow. Monotone in the demand.
    """
    # Supply as a function of the price is bent where a unit meets a limit, and straight between.
    bends = concat([linear + slope * low, linear + slope * high])
    unit = list(range(UNITS)) * 2 * UNITS
    each = np.repeat(np.arange(2 * UNITS), UNITS)
    low_at, high_at, linear_at, slope_at = (value.take(unit) for value in (low, high, linear, slope))
    supply = ((bends.take(each) - linear_at) / slope_at).most(low_at).least(high_at).sums(UNITS)
    less = supply < demand
    # The last bend below the demand and the first one that meets it.
    under = where(less, bends, bends.low() - 1.0).high()
    over = where(less, bends.high() + 1.0, bends).low()
    least, most = (((price - linear) / slope).most(low).least(high) for price in (under, over))
    short, more = demand - least.sum(), most.sum() - least.sum()
    return least + (most - least) * (short / more.most(1e-6)).clip(0.0, 1.0)


class OptimalDispatch:
    id = "optimal_dispatch"
    algorithm = "gradient-boosted trees for the demand, exact economic dispatch (equal incremental cost) in the graph"
    scope, rate = "feeder", "minute"
    sources, headline = ("dispatch",), "setpoint1"
    title = "Optimal dispatch"
    definition = (
        "Set points of the infeed and of the units under one source that together meet the mean demand of the next 15 "
        "minutes at the least cost. A unit's cost per hour is costB P + costC P^2 (P in kW, constant parts cannot be "
        "dispatched away); limits are minPower, maxPower and what the ramp allows within 15 minutes. Truth is what the "
        "set points cost against the demand that then comes, the infeed taking up the difference; the optimum is the "
        "dispatch of one who knew the demand."
    )
    simulated = (
        "The demand of this project's feeders' customers, simulated; units, limits, ramps and costs drawn at random"
    )
    baseline = "merit order by full-load average cost, for the demand of now"
    inputs = _INPUTS
    outputs = (
        output("dispatchRecommendation", "enum", "the dispatch in short", values=_ADVICE),
        *(
            output(f"setpoint{k}", "double", f"set point of unit {k}; unit 1 is the infeed", unit="W", optional=True,
                   unit_number=k)
            for k in range(1, UNITS + 1)
        ),
        output("costSavings", "double", "cost saved against leaving the units as they are", unit="1/h",
               range=(0, None)),
        output("reserveShortfall", "double", "power missing if the largest unit fails and demand is high", unit="W",
               range=(0, None)),
    )  # fmt: skip
    needs: ClassVar[dict[str, Any]] = {"units": 2}
    limits = (
        "Units are not started or stopped: one with minPower above zero is taken to run.",
        "The demand forecast knows now, the last hour and yesterday; a step in the demand is not foreseen.",
        "Losses, voltages and line limits play no part; power_flow_optimization and overload_risk look at those.",
        "The reserve counts what the other units can reach within 15 minutes, for a demand exceeded in 5 % of cases.",
        "The unit with the greatest set point is the one that fails; the infeed counts as a unit.",
        "Of more than five units beside the infeed only the five largest are dispatched.",
        "Simulated units and customers; a store that has to be filled again is no unit of this kind.",
        "The published design names a support vector machine; the solution is exact instead, only demand is learned.",
    )

    def choose(self, samples: Samples) -> NDArray[np.bool_]:
        return np.isfinite(samples.y["demand_next"])

    def learn(self, data: Data) -> tuple[ModelFunction, dict[str, Any]]:
        learn, check = data.rows(self)
        rounds = 60 if data.quick else 150
        x, y = self._change(learn)
        state = self._state(Inputs(self.inputs, x)).a
        # More demand now never means less to come.
        rises = [0] * state.shape[1]
        for column in (0, len(_STATE), state.shape[1] - 1):
            rises[column] = 1
        middle = boost(state, y, rounds, 4, rate=0.08, leaf=60.0, monotone=rises)
        upper = boost(
            state, y, rounds, 3, rate=0.1, objective="reg:quantileerror", alpha=_RESERVE, leaf=60.0, monotone=rises
        )
        x_check, y_check = self._change(check)
        missed = y_check - forest(upper, Expr(self._state(Inputs(self.inputs, x_check)).a)).a[:, 0]
        wider = float(np.quantile(missed, _RESERVE))

        def function(i: Inputs) -> Mapping[str, Expr]:
            return self._answer(i, middle, upper, wider)

        return function, {"rows": len(learn), "trees": 2 * rounds, "widened_by": wider}

    def _change(self, samples: Samples) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        x = inputs_of(self, samples)
        return x, samples.y["demand_next"] / x[:, _AT["rated_va"]] - x[:, _AT["demand"]]

    def _state(self, i: Inputs) -> Expr:
        """The demand, how it came here, and how it went on yesterday."""
        now, last = i["demand"], i["demand_lag1"]
        return concat(
            [i[_STATE], now - last, last - i["demand_lag2"], last - i["demand_lag4"],
             i["demand_lag95"] - i["demand_lag96"], now - i["demand_lag96"]]
        )  # fmt: skip

    def _answer(self, i: Inputs, middle: xgb.Booster, upper: xgb.Booster, wider: float) -> Mapping[str, Expr]:
        state, rated = self._state(i), i["rated_va"] * 1e-3
        demand = ((i["demand"] + forest(middle, state)) * rated).most(0.0)
        tight = ((i["demand"] + forest(upper, state) + wider) * rated).most(demand)
        there = ~_facts(i, "high").isnan()
        power = _facts(i, "power").nan_to(0.0) * 1e-3
        low, high = _limits(i)
        linear, slope = _costs(i)
        best = dispatch(low, high, linear, slope, demand)
        # Left as they are, the infeed takes up the change.
        first = np.zeros((1, UNITS), np.float32)
        first[0, 0] = 1.0
        own = power * (1.0 - first)
        held = own + (demand - own.sum()) * first
        quadratic = _facts(i, "cost_c").nan_to(0.0)
        saved = (linear * held + quadratic * held * held).sum() - (linear * best + quadratic * best * best).sum()
        cost = (linear * best + quadratic * best * best).sum()
        worth = saved > cost.abs() * _WORTH
        more = ((best - held) * first).sum()
        code = where(more > demand * 0.01, 1.0, where(more < demand * -0.01, 2.0, 3.0))
        points = where(there, best * 1e3, np.nan)
        largest = best.high()
        # The first of the largest is the one that fails.
        rest = (high - where(best >= largest, high, 0.0)).sum()
        return {
            "dispatchRecommendation": where(worth, code, 0.0).integer(),
            **{f"setpoint{k + 1}": points.take([k]) for k in range(UNITS)},
            "costSavings": saved.most(0.0),
            "reserveShortfall": (tight - rest).most(0.0) * 1e3,
        }

    def mini(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        units = _Units(inputs_of(self, samples))
        now = inputs_of(self, samples)[:, _AT["demand"]] * units.rated
        truth = units.cheapest(samples.y["demand_next"] * 1e-3)[:, 0]
        return truth * 1e3, units.merit_order(now)[:, 0] * 1e3

    def judge(self, samples: Samples, x: NDArray[np.float32], run: Runner, on: str) -> Judged:
        answer, units = run(x), _Units(x)
        demand, now = samples.y["demand_next"] * 1e-3, x[:, _AT["demand"]] * units.rated
        points = np.nan_to_num(np.column_stack([answer[f"setpoint{k}"] for k in range(1, UNITS + 1)])) * 1e-3
        best = units.cost(units.cheapest(demand), demand)
        judged = Judged()
        ways = {
            "model": points,
            self.baseline: units.merit_order(now),
            "the exact dispatch for the demand of now": units.cheapest(now),
            "the units left as they are": units.power,
        }
        extra = {name: units.cost(way, demand) / best - 1 for name, way in ways.items()}
        for rule in list(extra)[1:]:
            name = "cost above the optimum" if rule == self.baseline else f"cost above the optimum, against {rule}"
            judged.metrics.append(mae_metric(name, "share of cost", on, samples, extra["model"], extra[rule], rule))
        outside = (points < units.low - 1e-3 * units.high) | (points > units.high * 1.001)
        short = answer["reserveShortfall"]
        tight = demand - (units.high - np.where(points >= points.max(1, keepdims=True), units.high, 0.0)).sum(1)
        judged.facts |= {
            f"set points outside limits or ramp, {on}": int(outside.sum()),
            f"mean difference of the sum of the set points to the demand, share, {on}": round(
                float(np.mean(np.abs(points.sum(1) / demand - 1))), 5
            ),
            f"reserve missing when the largest unit fails and the answer said none is, share of rows, {on}": round(
                float(((tight > 1e-3) & (short <= 0)).mean()), 5
            ),
            f"rows in which reserve is missing, {on}": round(float((tight > 1e-3).mean()), 4),
            f"advice hold / more / less / shift, {on}": [
                round(float((answer["dispatchRecommendation"] == k).mean()), 4) for k in range(len(_ADVICE))
            ],
        }  # fmt: skip
        return judged


class _Units:
    """The same units outside the graph, in double precision (kW), for baselines and for what an answer costs."""

    def __init__(self, x: NDArray[np.float32]) -> None:
        def of(name: str) -> NDArray[np.float64]:
            columns = [_AT[f"unit{k}_{name}"] for k in range(1, UNITS + 1)]
            return np.asarray(x[:, columns], np.float64)

        self.rated = np.asarray(x[:, _AT["rated_va"]], np.float64) * 1e-3
        self.there = np.isfinite(of("high"))
        self.power = np.nan_to_num(of("power")) * 1e-3
        low, high, reach = of("low") * 1e-3, of("high") * 1e-3, of("ramp") * _MINUTES * 1e-3
        inside = np.clip(self.power, low, high)
        self.low = np.nan_to_num(np.maximum(low, inside - reach))
        self.high = np.nan_to_num(np.minimum(high, inside + reach))
        self.linear, self.quadratic = np.nan_to_num(of("cost_b")), np.nan_to_num(of("cost_c"))
        self.average = np.where(self.there, self.linear + self.quadratic * np.nan_to_num(high), np.inf)

    def cost(self, points: NDArray[np.float64], demand: NDArray[np.float64]) -> NDArray[np.float64]:
        """What set points cost against this demand; the infeed takes up what is left."""
        p = points.copy()
        p[:, 0] = demand - p[:, 1:].sum(1)
        return np.asarray((self.linear * p + self.quadratic * p * p).sum(1))

    def cheapest(self, demand: NDArray[np.float64]) -> NDArray[np.float64]:
        """The optimum: units in the order of their marginal costs, a small piece at a time; no lambda is looked for."""
        points, pieces = self.low.copy(), 400
        room = np.maximum(0.0, demand - points.sum(1))
        rows = np.arange(len(points))
        for _ in range(pieces):
            margin = np.where(points < self.high - 1e-9, self.linear + 2 * self.quadratic * points, np.inf)
            unit = margin.argmin(1)
            step = np.minimum(room / pieces, self.high[rows, unit] - points[rows, unit])
            points[rows, unit] += np.where(np.isfinite(margin[rows, unit]), step, 0.0)
        points[:, 0] += np.clip(demand - points.sum(1), 0.0, self.high[:, 0] - points[:, 0])
        return points

    def merit_order(self, demand: NDArray[np.float64]) -> NDArray[np.float64]:
        """All at their least, then the cheapest on average at full load up to its greatest, and so on."""
        points = self.low.copy()
        rows = np.arange(len(points))
        for unit in np.argsort(self.average, axis=1, kind="stable").T:
            left = np.maximum(0.0, demand - points.sum(1))
            points[rows, unit] += np.minimum(left, self.high[rows, unit] - points[rows, unit])
        return points


def _facts(i: Inputs, name: str) -> Expr:
    return i[[f"unit{k}_{name}" for k in range(1, UNITS + 1)]]


def _limits(i: Inputs) -> tuple[Expr, Expr]:
    """Least and greatest power within 15 minutes, kW [N, units]; 0 for no unit."""
    power, reach = _facts(i, "power") * 1e-3, _facts(i, "ramp") * (_MINUTES * 1e-3)
    low, high = _facts(i, "low") * 1e-3, _facts(i, "high") * 1e-3
    inside = power.most(low).least(high)
    return (inside - reach).most(low).nan_to(0.0), (inside + reach).least(high).nan_to(0.0)


def _costs(i: Inputs) -> tuple[Expr, Expr]:
    """Linear cost per kWh, and the slope of the marginal cost per kW, [N, units]."""
    linear = _facts(i, "cost_b").nan_to(0.0)
    flat = (linear.abs() + 0.01) * _FLAT / (_facts(i, "high").nan_to(1000.0) * 1e-3)
    return linear, (_facts(i, "cost_c").nan_to(0.0) * 2.0).most(flat)
