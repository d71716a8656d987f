"""All invariants over the evidence of one run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final

from remhart_adt.checker.conservation import check_conservation, read_dead_letters
from remhart_adt.checker.journal import read_journal, writes
from remhart_adt.checker.order import check_checkpoints, check_order
from remhart_adt.checker.progress import Demand, check_progress, demands
from remhart_adt.checker.rates import check_rates
from remhart_adt.checker.secrets import check_secrets
from remhart_adt.checker.twins import check_twins
from remhart_adt.checker.types import Case
from remhart_adt.client import connect
from remhart_adt.graph.snapshot import fetch
from remhart_adt.ids import DTMI_COMPONENT, DTMI_POINT
from remhart_adt.local.eventhub.log import read
from remhart_adt.scoring import Engine
from remhart_adt.sync.decode import Decoded, Decoder
from remhart_adt.sync.oracle import replay
from remhart_adt.sync.stores.sqlite import SqliteStore
from remhart_adt.sync.types import CommitRecord, RawEvent

__all__ = ["check"]

_CHUNK: Final = 2000


def check(case: Case) -> dict[str, Any]:
    """The verdicts by name, and what the checker counted itself.

    Raises OSError or a RemhartError when the evidence cannot be read: no verdict is given then.
    """
    events = _events(case)
    before = json.loads(case.graph_before.read_text(encoding="utf-8"))
    engine = Engine.load()
    expected = replay(events, before["twins"], before["relationships"], engine)
    with connect(case.endpoint) as client:
        live = fetch(client)
    requests = list(read_journal(case.journal))
    written = list(writes(requests))
    history = asyncio.run(_history(case))
    dead = read_dead_letters(case.dead_letter)
    verdicts = [
        check_conservation(
            sent=case.sent,
            hub_retained=expected.received,
            ledger=case.ledger,
            committed=_committed(history),
            dead=dead,
            must_die={key: item.cause.value for key, item in expected.dead.items()},
        ),
        check_twins(expected, live.twins, live.relationships),
        check_order(written),
        check_progress(history, _demanded(events, before, dead), written),
        check_checkpoints(history),
        check_rates(requests),
        check_secrets(case.scan, case.secrets),
    ]
    return {
        "invariants": {verdict.name: verdict.to_json() for verdict in verdicts},
        "hub_retained": expected.received,
        "events": sum(len(rows) for rows in events.values()),
    }


def _events(case: Case) -> dict[str, list[RawEvent]]:
    found: dict[str, list[RawEvent]] = {}
    for event in read(case.hub_log):
        row = RawEvent(event.sequence, event.offset, event.enqueued_us, event.body)
        found.setdefault(event.partition, []).append(row)
    return found


def _demanded(
    events: dict[str, list[RawEvent]], before: dict[str, Any], dead: dict[tuple[str, int, int], str]
) -> dict[str, list[Demand]]:
    def ids(model: str) -> list[str]:
        return [t["$dtId"] for t in before["twins"] if t["$metadata"]["$model"] == model]

    decoder = Decoder({name: i for i, name in enumerate(ids(DTMI_POINT))}, frozenset(ids(DTMI_COMPONENT)))

    def decoded(rows: list[RawEvent]) -> Iterator[Decoded]:
        for start in range(0, len(rows), _CHUNK):
            yield decoder.decode(rows[start : start + _CHUNK])

    return {
        partition: list(demands(decoded(rows), frozenset((s, i) for p, s, i in dead if p == partition)))
        for partition, rows in events.items()
    }


async def _history(case: Case) -> list[CommitRecord]:
    store = SqliteStore(case.checkpoints)
    try:
        await store.bind(case.scope)
        return await store.history()
    finally:
        await store.close()


def _committed(history: list[CommitRecord]) -> dict[str, int]:
    last = {record.partition: record.ledger for record in history}
    total: dict[str, int] = {}
    for ledger in last.values():
        for name, value in ledger.items():
            total[name] = total.get(name, 0) + value
    return total
