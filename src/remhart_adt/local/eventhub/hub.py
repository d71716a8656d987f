"""One event hub: partitions, who reads them, tokens, and the answers of `$cbs` and `$management`. No sockets here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from remhart_adt import limits
from remhart_adt.clock import SYSTEM, Clock
from remhart_adt.errors import LocalServerError
from remhart_adt.local.eventhub.codec import Typed, timestamp
from remhart_adt.local.eventhub.hashing import partition_for
from remhart_adt.local.eventhub.log import LoggedEvent, PartitionLog
from remhart_adt.local.eventhub.message import Incoming, Request, body_of, properties_of, response, stamp

__all__ = ["DEFAULT_KEY", "DEFAULT_POLICY", "Address", "Hub", "Partition", "Receiver", "Refusal"]

DEFAULT_POLICY: Final = "RootManageSharedAccessKey"
DEFAULT_KEY: Final = "SAS_KEY_VALUE"
# The service's own bound on concurrent receivers without an epoch, per consumer group and partition.
_PLAIN_RECEIVERS: Final = 5
_MAX_PARTITIONS: Final = 1024


class Refusal(Exception):  # noqa: N818 - it is an answer to a peer, not a fault of ours
    """An attach that the hub turns down: the AMQP condition and its description."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(description)
        self.condition = condition
        self.description = description


class Receiver(Protocol):
    """What the hub knows of a receiving link."""

    epoch: int | None

    def wake(self) -> None:
        """There may be new events."""

    def rewind(self) -> None:
        """Start over at the oldest event held (a fault that the service has shown in the field)."""

    def detach(self, condition: str, description: str) -> None:
        """End the link with an error."""


class Address(NamedTuple):
    """A link address taken apart: `.../<hub>[/ConsumerGroups/<group>][/Partitions/<partition>]`."""

    eventhub: str
    group: str | None
    partition: str | None

    @classmethod
    def parse(cls, text: str) -> Address | None:
        """The parts of an address, with or without a scheme and host; None when it has another shape."""
        match = _ADDRESS.fullmatch(text)
        return cls(match["hub"], match["group"], match["partition"]) if match else None


_ADDRESS: Final = re.compile(
    r"(?:[a-z]+://[^/]+)?/?(?P<hub>[^/]+)(?:/ConsumerGroups/(?P<group>[^/]+))?(?:/Partitions/(?P<partition>[^/]+))?/?",
    re.IGNORECASE,
)
_SELECTOR: Final = re.compile(
    r"amqp\.annotation\.(x-opt-offset|x-opt-sequence-number|x-opt-enqueued-time)\s*(>=?)\s*'([^']*)'"
)


class Partition:
    """One partition's log, the receivers that wait for its end, and whether delivery is paused."""

    def __init__(self, name: str, log: PartitionLog, clock: Clock) -> None:
        self.name = name
        self.log = log
        self.receivers: dict[str, list[Receiver]] = {}
        self.paused = False
        self._clock = clock

    def append(self, events: Sequence[bytes], key: str | None) -> None:
        """Stamp, store and announce events; OSError when the disk refuses them (nothing is stored then)."""
        now = max(self._clock.now_us() // 1000, self.log.last[1])  # enqueued times never decrease
        offset = self.log.next_offset
        rows = []
        for sequence, event in enumerate(events, self.log.end):
            payload = stamp(event, sequence=sequence, offset=offset, enqueued_ms=now, key=key)
            rows.append((sequence, offset, now, payload))
            offset += len(payload)
        self.log.append(rows)
        self.wake()

    def wake(self) -> None:
        """Let every receiver send what it may."""
        for receiver in [r for group in self.receivers.values() for r in group]:
            receiver.wake()

    def start(self, selector: str | None) -> int:
        """The sequence a selector starts at; None = the oldest. Refusal for a selector of another form."""
        if selector is None:
            return self.log.begin
        match = _SELECTOR.fullmatch(selector.strip())
        if match is None:
            raise Refusal("amqp:invalid-field", f"The filter '{selector}' is not a position in a partition.")
        column, inclusive, value = match[1], match[2] == ">=", match[3]
        if column == "x-opt-offset" and value in ("@latest", "-1"):
            return self.log.end if value == "@latest" else self.log.begin
        try:
            number = int(value)
        except ValueError:
            raise Refusal("amqp:invalid-field", f"'{value}' is not a number.") from None
        if column == "x-opt-offset":
            return self.log.seek_offset(number, inclusive=inclusive)
        if column == "x-opt-enqueued-time":
            return self.log.seek_time(number, inclusive=inclusive)
        return max(self.log.begin, min(self.log.end, number if inclusive else number + 1))

    def admit(self, group: str, receiver: Receiver) -> list[Receiver]:
        """Register a receiver; answers those it displaces. Refusal when it may not read.

        A receiver with an epoch displaces those with a lower or equal epoch and those without; one with a lower epoch
        than the present one, or without any beside one, is refused.
        """
        present = self.receivers.setdefault(group, [])
        highest = max((r.epoch for r in present if r.epoch is not None), default=None)
        if receiver.epoch is None:
            if highest is not None:
                raise Refusal(
                    "amqp:link:stolen", f"A receiver with epoch {highest} reads this partition; one without is refused."
                )
            if len(present) >= _PLAIN_RECEIVERS:
                raise Refusal(
                    "amqp:resource-limit-exceeded",
                    f"At most {_PLAIN_RECEIVERS} receivers without an epoch may read a partition in a consumer group.",
                )
            present.append(receiver)
            return []
        if highest is not None and highest > receiver.epoch:
            raise Refusal("amqp:link:stolen", f"Epoch {receiver.epoch} is lower than the present receiver's {highest}.")
        self.receivers[group] = [receiver]
        return present

    def leave(self, group: str, receiver: Receiver) -> None:
        """Forget a receiver."""
        present = self.receivers.get(group, [])
        if receiver in present:
            present.remove(receiver)


class Hub:
    """One event hub named `name`. `data` None keeps everything in memory; a folder keeps it across restarts.

    Raises LocalServerError when the folder is in use, damaged, or holds a hub with another number of partitions.
    """

    def __init__(
        self,
        name: str = "telemetry",
        partitions: int = 4,
        *,
        data: Path | None = None,
        policy: str = DEFAULT_POLICY,
        key: str = DEFAULT_KEY,
        groups: Sequence[str] | None = None,
        retention_bytes: int | None = None,
        segment_bytes: int | None = None,
        fsync: bool = False,
        clock: Clock = SYSTEM,
    ) -> None:
        if not 1 <= partitions <= _MAX_PARTITIONS:
            raise LocalServerError(f"{partitions} partitions", remedy=f"Choose 1 to {_MAX_PARTITIONS}")
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,255}", name) is None:
            raise LocalServerError(f"{name!r} cannot name an event hub", remedy="Use letters, digits, '.', '_' and '-'")
        self.name = name
        self.policy = policy
        self.groups = None if groups is None else {group.lower() for group in groups}
        self._key = key
        self._clock = clock
        self._turn = 0
        self._lock_fd = -1
        self.created_ms = clock.now_us() // 1000
        self.partitions: list[Partition] = []
        options: dict[str, Any] = {"retention_bytes": retention_bytes, "fsync": fsync}
        if segment_bytes is not None:
            options["segment_bytes"] = segment_bytes
        try:
            if data is not None:
                self._open_folder(data, partitions)
            for i in range(partitions):
                log = PartitionLog(None if data is None else data / str(i), **options)
                self.partitions.append(Partition(str(i), log, clock))
        except BaseException:
            self.close()
            raise

    def _open_folder(self, data: Path, partitions: int) -> None:
        import fcntl

        data.mkdir(parents=True, exist_ok=True)
        self._lock_fd = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LocalServerError(
                "another event hub is using this folder",
                where=str(data),
                remedy="Stop it, or name another --data folder",
            ) from None
        about = data / "hub.json"
        if about.is_file():
            known = json.loads(about.read_text())
            if known["name"] != self.name or known["partitions"] != partitions:
                raise LocalServerError(
                    f"the folder holds hub {known['name']!r} with {known['partitions']} partitions",
                    where=str(data),
                    remedy="Start it with the same name and number of partitions, or name another --data folder",
                )
            self.created_ms = known["created_ms"]
            return
        draft = about.with_suffix(".tmp")
        draft.write_text(json.dumps({"name": self.name, "partitions": partitions, "created_ms": self.created_ms}))
        draft.replace(about)

    def find(self, partition: str) -> Partition | None:
        """The partition with this id."""
        return next((p for p in self.partitions if p.name == partition), None)

    def resolve(self, address: str) -> tuple[Partition | None, str | None]:
        """(partition or None for "any", consumer group or None) of a link address; Refusal when there is none such."""
        parts = Address.parse(address)
        missing = Refusal("amqp:not-found", f"The messaging entity '{address}' could not be found.")
        if parts is None or parts.eventhub.lower() != self.name.lower():
            raise missing
        if parts.group is not None and self.groups is not None and parts.group.lower() not in self.groups:
            raise missing
        if parts.partition is None:
            return None, parts.group
        partition = self.find(parts.partition)
        if partition is None:
            raise Refusal(
                "com.microsoft:argument-out-of-range",
                f"Partition '{parts.partition}' does not exist: '{self.name}' has 0 to {len(self.partitions) - 1}.",
            )
        return partition, parts.group

    def ingest(self, message: bytes, *, batch: bool, partition: Partition | None = None) -> None:
        """Store a sender's message: to its partition, by its key, or to the next in turn.

        Raises CodecError for bytes that are no message, OSError when the disk refuses.
        """
        key, events = Incoming.unpack(message, batch=batch)
        if partition is None and key:
            partition = self.partitions[partition_for(key, len(self.partitions))]
        elif partition is None:
            partition = self.partitions[self._turn % len(self.partitions)]
            self._turn += 1
        partition.append(events, key)

    def events(self) -> Iterator[LoggedEvent]:
        """Every event held, partition by partition: the live counterpart of `log.read`."""
        for partition in self.partitions:
            sequence = partition.log.begin
            while payloads := partition.log.payloads(sequence, 1000, limits.EVENT_BYTES):
                for payload in payloads:
                    properties = properties_of(payload)
                    notes = properties["annotations"]
                    yield LoggedEvent(
                        partition.name,
                        notes["x-opt-sequence-number"],
                        notes["x-opt-offset"],
                        notes["x-opt-enqueued-time"] * 1000,
                        body_of(payload),
                        properties,
                    )
                sequence += len(payloads)

    def check_token(self, token: Any, kind: Any) -> tuple[int, str]:
        """(status, text) for a token put to `$cbs`. Shared access signatures are verified; a bearer token is taken
        unread, since nobody here could verify it."""
        if kind in ("jwt", "amqp:jwt"):
            return 202, "Accepted"
        if not isinstance(token, str) or not token.startswith("SharedAccessSignature "):
            return 401, "InvalidSignature: The token is not a shared access signature."
        fields = dict(part.partition("=")[::2] for part in token.removeprefix("SharedAccessSignature ").split("&"))
        signed = f"{fields.get('sr', '')}\n{fields.get('se', '')}".encode()
        wanted = base64.b64encode(hmac.new(self._key.encode(), signed, hashlib.sha256).digest()).decode()
        given = urllib.parse.unquote(fields.get("sig", ""))
        if not hmac.compare_digest(given.encode(), wanted.encode()) or fields.get("skn") != self.policy:
            return 401, "InvalidSignature: The token has an invalid signature."
        expiry = fields.get("se", "")
        if not expiry.isascii() or not expiry.isdigit() or int(expiry) * 1_000_000 < self._clock.now_us():
            return 401, "ExpiredToken: The token is expired."
        return 202, "Accepted"

    def manage(self, properties: dict[str, Any]) -> tuple[int, str, dict[str, Any] | None]:
        """(status, text, body) for a READ of the hub or of a partition."""
        if properties.get("operation") != "READ":
            return 400, "Only the operation READ is supported.", None
        name, kind = properties.get("name"), properties.get("type")
        if not isinstance(name, str) or name.lower() != self.name.lower():
            return 404, f"The messaging entity '{name}' could not be found.", None
        about: dict[str, Any] = {"name": self.name, "type": kind}
        if kind == "com.microsoft:eventhub":
            about["created_at"] = timestamp(self.created_ms)
            about["partition_count"] = Typed("int", len(self.partitions))
            about["partition_ids"] = Typed("strings", [p.name for p in self.partitions])
            return 200, "OK", about
        if kind != "com.microsoft:partition":
            return 400, f"There is nothing of the type '{kind}' to read.", None
        partition = self.find(str(properties.get("partition")))
        if partition is None:
            return 404, f"Partition '{properties.get('partition')}' could not be found.", None
        log = partition.log
        offset, enqueued_ms = log.last
        about["partition"] = partition.name
        about["begin_sequence_number"] = log.begin
        about["last_enqueued_sequence_number"] = log.end - 1
        about["last_enqueued_offset"] = offset
        about["last_enqueued_time_utc"] = timestamp(enqueued_ms)
        about["is_partition_empty"] = log.begin == log.end
        return 200, "OK", about

    def answer(self, node: str, message: bytes) -> tuple[bytes, str | None]:
        """(encoded answer, audience of an accepted token or None) to a request at `$cbs` or `$management`."""
        request = Request.unpack(message)
        if node == "$management":
            status, text, body = self.manage(request.properties)
            return response(request.message_id, status, text, body), None
        if request.properties.get("operation") != "put-token":
            return response(request.message_id, 400, "Only the operation put-token is supported."), None
        status, text = self.check_token(request.body, request.properties.get("type"))
        audience = str(request.properties.get("name", "")) if status == 202 else None
        return response(request.message_id, status, text), audience

    def close(self) -> None:
        """Release files and the folder."""
        for partition in self.partitions:
            partition.log.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1
