"""The demo's feeder under a nemesis: daemon killed twice, ADT server away 30 s, Event Hub away 20 s; then the checker.

The plan is in seconds of live play. Everything is a SIGKILL; nothing is told beforehand.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from remhart_adt.demo import Demo, Options, make_view
from remhart_adt.demo.play import play_live
from remhart_adt.demo.report import Outcome
from remhart_adt.simulate import Tick
from remhart_adt.sync.sources import EventHubSender

__all__ = ["nemesis", "run"]

PLAN = (
    (12.0, "daemon", 0.0),
    (40.0, "adt", 30.0),
    (90.0, "eventhub", 20.0),
    (130.0, "daemon", 5.0),
)
SECONDS = 180.0


async def nemesis(demo: Demo, started: asyncio.Event) -> None:
    """Kill by the plan and bring back after the given seconds."""
    await started.wait()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for at, name, away in PLAN:
        await asyncio.sleep(max(0.0, begun + at - loop.time()))
        demo.stage.children[name].kill()
        demo.view.say(f"[{loop.time() - begun:5.1f} s] {name} is killed, back in {away:g} s")
        await asyncio.sleep(away)
        again = {"daemon": demo.start_daemon, "adt": demo.stage.start_adt, "eventhub": demo.stage.start_hub}[name]
        await asyncio.to_thread(again)
        demo.view.say(f"[{loop.time() - begun:5.1f} s] {name} is back")


async def run(folder: Path, seed: int) -> Outcome:
    """History, then the live part with the nemesis, then the judgement."""
    demo = Demo(Options(folder, SECONDS, seed), make_view(force_plain=True))
    scenario = demo.scenario()
    async with demo.on_stage(scenario.graph()):
        await demo.play_history(scenario)
        started = asyncio.Event()
        killer = asyncio.create_task(nemesis(demo, started))

        async def each(tick: Tick) -> None:
            del tick
            started.set()

        async with EventHubSender(demo.stage.connection_string, per_event=1) as sender:
            await play_live(sender, scenario.point_ids, scenario.live(), demo.sent, stop=lambda: False, each=each)
            repeated = sender.counters.retries
        await killer
        return await demo.finish(scenario.expected_alarms(), repeated=repeated)
