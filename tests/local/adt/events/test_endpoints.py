"""Endpoints: what a document must hold, how many there may be, and that no secret is ever shown."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.local.adt import Options
from remhart_adt.local.adt.assembly import build_instance
from remhart_adt.local.adt.types import AdtError

KEY = "c2VjcmV0LWtleQ=="
CONNECTION = f"Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=n;SharedAccessKey={KEY};UseDevelopmentEmulator=true"


@pytest.fixture
def events() -> Any:
    instance = build_instance("local", ":memory:", Options())
    yield instance.events
    instance.store.close()


def problems(events: Any, name: str, document: Any) -> list[str]:
    with pytest.raises(AdtError) as caught:
        events.put_endpoint(name, document)
    assert (caught.value.status, caught.value.code) == (400, "EndpointInvalid")
    assert name not in events.endpoints
    return [detail.message for detail in caught.value.details]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([], "An endpoint is an object with a kind: one of file, webhook, eventhub."),
        ({"kind": "queue"}, "An endpoint is an object with a kind: one of file, webhook, eventhub."),
        ({"kind": "file"}, "An endpoint of kind file needs 'path'."),
        ({"kind": "file", "path": "a.txt"}, "'path' is the name of a file that ends in .ndjson or .jsonl."),
        ({"kind": "file", "path": "a\0.ndjson"}, "'path' is a text of 1 to 4096 characters."),
        ({"kind": "file", "path": "a.ndjson", "url": "x"}, "An endpoint of kind file has no 'url'."),
        ({"kind": "file", "path": "a.ndjson", "deadLetter": 1}, "'deadLetter' is a text of 1 to 4096 characters."),
        ({"kind": "file", "path": "a.ndjson", "maxAttempts": 0}, "'maxAttempts' is a whole number from 1 to 1000."),
        ({"kind": "file", "path": "a.ndjson", "maxAttempts": True}, "'maxAttempts' is a whole number from 1 to 1000."),
        ({"kind": "webhook", "url": "ftp://h/x"}, "'url' is an http or https URL."),
        ({"kind": "webhook", "url": "http:///x"}, "'url' is an http or https URL."),
        ({"kind": "webhook", "url": "http://h:99999/x"}, "'url' is an http or https URL."),
        (
            {"kind": "webhook", "url": "http://u:p@h/x"},
            "'url' has no user and password; put a token into its query, which is never shown.",
        ),
        (
            {"kind": "eventhub", "connectionString": CONNECTION},
            "Neither 'connectionString' (EntityPath) nor 'eventHub' names the event hub.",
        ),
        (
            {"kind": "eventhub", "connectionString": "Endpoint=sb://h;SharedAccessKeyName=n;EntityPath=e"},
            "'connectionString' has neither SharedAccessKeyName and SharedAccessKey nor SharedAccessSignature.",
        ),
        (
            {"kind": "eventhub", "connectionString": "SharedAccessSignature=s;EntityPath=e"},
            "'connectionString' has no Endpoint=sb://...",
        ),
    ],
)
def test_a_wrong_document_is_refused_with_its_faults(events: Any, document: Any, expected: str) -> None:
    assert problems(events, "hub", document) == [expected]


@pytest.mark.parametrize("name", ["", "a", "12", "-ab", "ab-", "a b", "é1", "x" * 50])
def test_a_name_is_one_that_azure_would_take(events: Any, name: str) -> None:
    assert problems(events, name, {"kind": "file", "path": "a.ndjson"})[0].startswith("An endpoint's name has 2 to 49")


def test_all_faults_are_told_at_once(events: Any) -> None:
    assert len(problems(events, "a", {"kind": "webhook", "maxAttempts": "x", "path": "y"})) == 4


def test_a_seventh_endpoint_is_one_too_many(events: Any) -> None:
    for number in range(6):
        events.put_endpoint(f"e{number}", {"kind": "file", "path": "a.ndjson"})
    with pytest.raises(AdtError, match="at most 6") as caught:
        events.put_endpoint("e6", {"kind": "file", "path": "a.ndjson"})
    assert caught.value.code == "LimitExceeded"
    events.put_endpoint("e0", {"kind": "file", "path": "b.ndjson"})
    assert [endpoint.name for endpoint in events.endpoints.all()] == [f"e{number}" for number in range(6)]


def test_what_is_not_there_cannot_be_shown_or_deleted(events: Any) -> None:
    for action in (events.endpoints.get, events.delete_endpoint):
        with pytest.raises(AdtError) as caught:
            action("none")
        assert (caught.value.status, caught.value.code) == (404, "EndpointNotFound")


def test_secrets_are_never_shown(events: Any) -> None:
    hub = events.put_endpoint("hub", {"kind": "eventhub", "connectionString": CONNECTION, "eventHub": "telemetry"})
    hook = events.put_endpoint("hook", {"kind": "webhook", "url": "https://h/x?code=geheim&a=b"})
    assert hub.public() == {
        "name": "hub",
        "kind": "eventhub",
        "connectionString": CONNECTION.replace(KEY, "***"),
        "eventHub": "telemetry",
        "maxAttempts": 30,
        "maxAgeSeconds": 86400,
    }
    assert hook.public()["url"] == "https://h/x?code=***&a=***"
    assert KEY not in f"{hub!r} {hub} {events.health()}"
    assert "geheim" not in f"{hook!r} {hook} {events.health()}"


def test_a_failing_endpoint_logs_no_secret(stage: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.DEBUG)
    stage.endpoint("hub", kind="eventhub", connectionString=CONNECTION, eventHub="telemetry", maxAttempts=1)
    stage.endpoint("hook", kind="webhook", url="http://127.0.0.1:1/x?code=geheim", maxAttempts=1)
    stage.route("hub", name="a")
    stage.route("hook", name="b")
    stage.wire.twin("r", "dtmi:test:Room;1")
    from_health = stage.until(lambda: (found := stage.health())["dropped"] == 2 and found)
    text = caplog.text + str(from_health)
    assert "gave up 1 events" in caplog.text
    assert KEY not in text
    assert "geheim" not in text
