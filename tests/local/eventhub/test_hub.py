"""The hub without sockets: names, keys, positions, epochs, tokens, management."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import string
import urllib.parse
from pathlib import Path

import pytest

from remhart_adt.clock import FakeClock
from remhart_adt.errors import LocalServerError
from remhart_adt.local.eventhub import Hub
from remhart_adt.local.eventhub.codec import encode
from remhart_adt.local.eventhub.hashing import hash_code, partition_for
from remhart_adt.local.eventhub.hub import Address, Refusal


class Reader:
    """A receiving link without a socket."""

    def __init__(self, epoch: int | None = None) -> None:
        self.epoch = epoch
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1

    def rewind(self) -> None:
        raise AssertionError

    def detach(self, condition: str, description: str) -> None:
        raise AssertionError


def put(hub: Hub, body: bytes, partition: int = 0) -> None:
    hub.ingest(b"\x00\x53\x75" + encode(body), batch=False, partition=hub.partitions[partition])


def sas(key: str, policy: str, expiry: int, uri: str = "sb://127.0.0.1:5672/telemetry") -> str:
    quoted = urllib.parse.quote_plus(uri)
    sig = base64.b64encode(hmac.new(key.encode(), f"{quoted}\n{expiry}".encode(), hashlib.sha256).digest()).decode()
    return f"SharedAccessSignature sr={quoted}&sig={urllib.parse.quote_plus(sig)}&se={expiry}&skn={policy}"


def test_the_key_hash_is_the_official_clients() -> None:
    from azure.eventhub._buffered_producer._partition_resolver import generate_hash_code

    rng = random.Random(1)
    for length in range(1, 40):
        key = "".join(rng.choice(string.printable) for _ in range(length))
        assert hash_code(key) == generate_hash_code(key)
    assert {partition_for(f"point-{i}", 4) for i in range(50)} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("amqps://127.0.0.1:5672/telemetry", ("telemetry", None, None)),
        ("telemetry/Partitions/1", ("telemetry", None, "1")),
        ("amqp://h/telemetry/ConsumerGroups/$Default/Partitions/0", ("telemetry", "$Default", "0")),
        ("sb://h/hub/consumergroups/g", ("hub", "g", None)),
        ("amqps://h/a/b", None),
        ("", None),
    ],
)
def test_addresses(text: str, parts: tuple[str, str | None, str | None] | None) -> None:
    assert Address.parse(text) == parts


def test_names_that_do_not_exist_are_refused() -> None:
    hub = Hub(partitions=2, groups=["$Default"])
    assert hub.resolve("amqps://h/TELEMETRY/Partitions/1") == (hub.partitions[1], None)
    for address, condition in (
        ("amqps://h/other", "amqp:not-found"),
        ("telemetry/Partitions/2", "com.microsoft:argument-out-of-range"),
        ("telemetry/ConsumerGroups/mine/Partitions/0", "amqp:not-found"),
        ("a/b/c", "amqp:not-found"),
    ):
        with pytest.raises(Refusal) as refusal:
            hub.resolve(address)
        assert refusal.value.condition == condition


def test_every_selector_starts_where_it_says() -> None:
    clock = FakeClock(wall_us=1_000_000)
    hub = Hub(partitions=1, clock=clock)
    for _ in range(5):
        put(hub, b"x")
        clock.advance(1)
    partition = hub.partitions[0]
    offsets = [int(event.offset) for event in hub.events()]
    select = "amqp.annotation.x-opt-"
    for selector, start in (
        (None, 0),
        (f"{select}offset > '-1'", 0),
        (f"{select}offset > '@latest'", 5),
        (f"{select}offset > '{offsets[2]}'", 3),
        (f"{select}offset >= '{offsets[2]}'", 2),
        (f"{select}sequence-number > '2'", 3),
        (f"{select}sequence-number >= '2'", 2),
        (f"{select}sequence-number > '-1'", 0),
        (f"{select}sequence-number > '99'", 5),
        (f"{select}enqueued-time > '3000'", 3),
        (f"{select}enqueued-time >= '3000'", 2),
    ):
        assert partition.start(selector) == start, selector
    for selector in ("1=1", f"{select}offset > 'x'", f"{select}offset < '1'"):
        with pytest.raises(Refusal):
            partition.start(selector)


def test_enqueued_times_never_go_back() -> None:
    clock = FakeClock()
    hub = Hub(partitions=1, clock=clock)
    put(hub, b"a")
    clock.advance(-3600)
    put(hub, b"b")
    first, second = hub.events()
    assert second.enqueued_us == first.enqueued_us


def test_a_higher_or_equal_epoch_displaces_and_a_lower_one_is_refused() -> None:
    partition = Hub(partitions=1).partitions[0]
    plain, low, same, high = Reader(), Reader(1), Reader(1), Reader(2)
    assert partition.admit("g", plain) == []
    assert partition.admit("g", low) == [plain]
    assert partition.admit("g", same) == [low]
    assert partition.admit("g", high) == [same]
    for late in (Reader(1), Reader()):
        with pytest.raises(Refusal) as refusal:
            partition.admit("g", late)
        assert refusal.value.condition == "amqp:link:stolen"
    assert partition.admit("other", Reader()) == []  # groups do not disturb each other
    partition.leave("g", high)
    assert partition.admit("g", Reader()) == []


def test_at_most_five_receivers_without_an_epoch() -> None:
    partition = Hub(partitions=1).partitions[0]
    for _ in range(5):
        partition.admit("g", Reader())
    with pytest.raises(Refusal) as refusal:
        partition.admit("g", Reader())
    assert refusal.value.condition == "amqp:resource-limit-exceeded"


def test_tokens() -> None:
    clock = FakeClock(wall_us=1_000_000_000_000)
    hub = Hub(clock=clock, policy="p", key="k")
    kind = "servicebus.windows.net:sastoken"
    good = sas("k", "p", 1_000_001)
    assert hub.check_token(good, kind)[0] == 202
    assert hub.check_token("any.bearer.token", "jwt")[0] == 202
    for token in (sas("wrong", "p", 1_000_001), sas("k", "other", 1_000_001), good.replace("sr=", "sr=x"), "", None, 7):
        status, text = hub.check_token(token, kind)
        assert status == 401
        assert "InvalidSignature" in text
    assert hub.check_token(sas("k", "p", 999_999), kind) == (401, "ExpiredToken: The token is expired.")


def test_management_knows_the_hub_and_its_partitions() -> None:
    hub = Hub(partitions=2)
    read = {"operation": "READ", "name": "telemetry", "type": "com.microsoft:partition"}
    assert hub.manage({**read, "partition": "0"})[2]["is_partition_empty"] is True
    put(hub, b"a")
    put(hub, b"b")
    status, _, about = hub.manage({**read, "partition": "0"})
    assert status == 200
    assert (about["begin_sequence_number"], about["last_enqueued_sequence_number"]) == (0, 1)
    assert about["is_partition_empty"] is False
    assert hub.manage({**read, "partition": "2"})[0] == 404
    assert hub.manage({**read, "name": "other"})[0] == 404
    assert hub.manage({**read, "type": "com.microsoft:else"})[0] == 400
    assert hub.manage({**read, "operation": "DELETE"})[0] == 400


def test_readers_are_woken_by_new_events() -> None:
    hub = Hub(partitions=2)
    readers = [Reader(), Reader()]
    for partition, reader in zip(hub.partitions, readers, strict=True):
        partition.admit("g", reader)
    put(hub, b"a", partition=1)
    assert [reader.woken for reader in readers] == [0, 1]


def test_a_folder_belongs_to_one_hub_at_a_time_and_to_its_shape(tmp_path: Path) -> None:
    hub = Hub(partitions=2, data=tmp_path)
    with pytest.raises(LocalServerError, match="another event hub"):
        Hub(partitions=2, data=tmp_path)
    hub.close()
    with pytest.raises(LocalServerError, match="with 2 partitions"):
        Hub(partitions=3, data=tmp_path)
    again = Hub(partitions=2, data=tmp_path)
    assert again.created_ms == hub.created_ms
    again.close()


@pytest.mark.parametrize(("name", "partitions"), [("a b", 1), ("", 1), ("ok", 0), ("ok", 2000)])
def test_impossible_hubs_are_refused(name: str, partitions: int) -> None:
    with pytest.raises(LocalServerError):
        Hub(name, partitions)
