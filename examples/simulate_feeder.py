"""A minute on a simulated feeder: what happens, what the meters read, and which alarms that must raise.

    python examples/simulate_feeder.py [feeder] [seed]

Runs offline; needs the extra `simulate`.
"""

from __future__ import annotations

import sys

import numpy as np

from remhart_adt.clock import format_us, parse_us
from remhart_adt.readings import CHANNEL_INDEX
from remhart_adt.simulate import DEMO_FEEDER, Feeder, Scenario, Scenery, feeder_spec


def main(name: str = DEMO_FEEDER, seed: int = 1) -> None:
    """Play one scenario, then use the bare engine for a question of one's own."""
    scenario = Scenario(name, seed, start_us=parse_us("2026-01-14T18:00:00Z"), period_s=1.0, seconds=60)
    print(f"{scenario.spec.title}: {len(scenario.point_ids)} points, {scenario.spec.transformer.kva:g} kVA")

    history = scenario.history(hours=24)
    volts = history.values[:, :, CHANNEL_INDEX["v_a"] : CHANNEL_INDEX["v_c"] + 1]
    print(f"last day: {volts.min():.1f} V to {volts.max():.1f} V")

    for tick in scenario.live():
        worst = tick.values[:, CHANNEL_INDEX["v_a"] : CHANNEL_INDEX["v_c"] + 1].min()
        switched = [f"{s.component_id} {s.switch_state}" for s in tick.statuses if s.switch_state == "open"]
        if worst < 0.9 * scenario.spec.nominal_v or switched:
            print(f"{format_us(tick.time_us)} lowest phase {worst:6.1f} V {' '.join(switched)}")

    for event in scenario.events:
        raised = [a for a in scenario.expected_alarms() if event.start_us <= a["raisedAfter_us"] < event.end_us]
        kinds = sorted({a["kind"] for a in raised})
        print(f"{event.kind} at {event.component}: {len(raised)} points raise {', '.join(kinds)}")

    # The engine by itself: a year's coldest evening with twice the charging points.
    feeder = Feeder(feeder_spec(name))
    evening = Scenery(feeder, seed, parse_us("2026-01-14T16:00:00Z")).advance(240)
    kw = evening.kw * np.where([kind == "ev" for kind in feeder.load_kinds], 2.0, 1.0)
    for label, load in (("as it is", evening.kw), ("with twice the EV load", kw)):
        state = feeder.run(load, evening.kvar, evening.source_pu, steps=evening.steps)
        lost = state.losses_w.sum() / state.source_w.sum() * 100
        print(f"{label}: lowest {np.abs(state.v).min():.1f} V, losses {lost:.2f} %")


if __name__ == "__main__":
    main(*sys.argv[1:2], *(int(seed) for seed in sys.argv[2:3]))
