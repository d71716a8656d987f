"""A partition's stream: when everything that was taken is committed."""

from __future__ import annotations

from streams import event

from remhart_adt.sync.ledger import Batch, PartitionLedger
from remhart_adt.sync.streams import Stream


async def test_a_stream_is_not_finished_while_a_batch_is_computed() -> None:
    # Between the queue and the ledger a batch is in neither; a source that ends then must be waited for.
    stream = Stream("0", None, PartitionLedger({}, 4, "4"), -1, -1)  # type: ignore[arg-type]  # nothing is processed
    assert stream.finished
    stream.queue.append(event(5, {}))
    assert not stream.finished
    async with stream.feeding:
        stream.queue.clear()
        assert not stream.finished
        batch = Batch("0", [event(5, {})], {"received": 1})
        stream.ledger.open(batch)
    assert not stream.finished
    batch.release()
    stream.ledger.advance()
    assert not stream.finished
    stream.ledger.committed = stream.ledger.sequence
    assert stream.finished
