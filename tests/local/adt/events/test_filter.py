"""The filter language: every documented example, missing fields, types, and faults with their places."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from remhart_adt.local.adt.events import Event, FilterError, parse_filter

EITHER = (
    "(type != 'Microsoft.DigitalTwins.Twin.Create') OR (type = 'microsoft.iot.telemetry' AND $body.Temperature > 10)"
)
LEGACY = "$eventType = 'DigitalTwinTelemetryMessages' or $eventType = 'DigitalTwinLifecycleNotification'"
HOST = "hostname.api.wus2.digitaltwins.azure.net"


def event(kind: str = "Microsoft.DigitalTwins.Twin.Create", body: Any = None, **attributes: str) -> Event:
    head = {
        "specversion": "1.0",
        "type": kind,
        "source": HOST,
        "id": "1",
        "subject": "thermostat.vav-123",
        "datacontenttype": "application/json",
        **attributes,
    }
    return Event("t", head, orjson.dumps(body))


CREATE = event(body={"$metadata": {"$model": "dtmi:example:com:floor4;2"}, "properties": {"version": "v1"}})
TELEMETRY = event("microsoft.iot.telemetry", {"Temperature": 12}, dataschema="dtmi:example:com:floor4;2")
UPDATE = event("Microsoft.DigitalTwins.Twin.Update", {"modelId": "dtmi:m;1", "patch": [{"path": "/a", "value": 1}]})
READING = event(body={"errorCode": 201, "temperature": 5.5, "poweredOn": True, "prop": None, "name": "it's", "zero": 0})


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("true", CREATE, True),
        ("false", CREATE, False),
        ("type = 'Microsoft.DigitalTwins.Twin.Create'", CREATE, True),
        ("type = 'Microsoft.DigitalTwins.Twin.Create'", TELEMETRY, False),
        ("type = 'microsoft.iot.telemetry'", TELEMETRY, True),
        (f"source = '{HOST}'", CREATE, True),
        ("source = 'another.api.wus2.digitaltwins.azure.net'", CREATE, False),
        ("subject = 'thermostat.vav-123'", CREATE, True),
        ("CONTAINS(subject, '/contains/')", CREATE, False),
        ("CONTAINS(subject, '/contains/')", event(subject="a/relationships/contained"), False),
        ("CONTAINS(subject, '/contains/')", event(subject="a/contains/1"), True),
        ("dataschema = 'dtmi:example:com:floor4;2'", TELEMETRY, True),
        ("dataschema = 'dtmi:example:com:floor4;2'", CREATE, False),
        ("datacontenttype = 'application/json'", CREATE, True),
        ("specversion = '1.0'", CREATE, True),
        ("id = '1'", CREATE, True),
        ("$body.properties.version = 'v1'", CREATE, True),
        ("$body.$metadata.$model = 'dtmi:example:com:floor4;2'", CREATE, True),
        ("STARTS_WITH($body.$metadata.$model, 'dtmi:example:com:floor')", CREATE, True),
        ("STARTS_WITH($body.$metadata.$model, 'dtmi:other')", CREATE, False),
        ("ENDS_WITH(subject, '-123')", CREATE, True),
        ("ENDS_WITH(subject, 'vav')", CREATE, False),
        ("$body.errorCode > 200", READING, True),
        ("$body.errorCode > 201", READING, False),
        ("$body.temperature <= 5.5", READING, True),
        ("$body.poweredOn = true", READING, True),
        ("$body.poweredOn = 1", READING, False),
        ("$body.prop != null", READING, False),
        ("$body.prop = null", READING, True),
        ("$body.zero = false", READING, False),
        ("$body.zero = 0.0", READING, True),
        ("$body.errorCode != 'x'", READING, True),
        ("$body.errorCode < 'x'", READING, False),
        ("$body.name = 'it\\'s'", READING, True),
        ("$body.name = 'it''s'", READING, True),
        ("$body.modelId = 'dtmi:m;1'", UPDATE, True),
        ("$body.patch.path = '/a'", UPDATE, False),
        ("$body != null", CREATE, True),
        ("$body.Temperature > 10", event("microsoft.iot.telemetry", [12]), False),
        (
            EITHER,
            TELEMETRY,
            True,
        ),
        (
            EITHER,
            CREATE,
            False,
        ),
        (
            LEGACY,
            CREATE,
            True,
        ),
        (
            LEGACY,
            UPDATE,
            False,
        ),
        ("$eventType = 'DigitalTwinChangeNotification'", UPDATE, True),
        ("true or false and false", CREATE, True),
        ("(true or false) and false", CREATE, False),
        ("NOT type = 'microsoft.iot.telemetry'", CREATE, True),
        ("$body.errorCode < " + "9" * 7000, READING, True),
        ("$body.temperature > -1.5e3 AND $body.errorCode > +.5", READING, True),
        ("  \n\ttrue\n", CREATE, True),
    ],
)
def test_a_filter_says_whether_an_event_passes(text: str, asked: Event, expected: bool) -> None:
    assert parse_filter(text)(asked) is expected


@pytest.mark.parametrize("sign", ["=", "!=", "<>", "<", "<=", ">", ">="])
@pytest.mark.parametrize("value", ["1", "'a'", "null", "true", "$body.other"])
def test_a_test_of_a_field_that_is_not_there_is_false(sign: str, value: str) -> None:
    assert parse_filter(f"$body.absent.too {sign} {value}")(READING) is False
    assert parse_filter(f"{value} {sign} dataschema")(READING) is False


@pytest.mark.parametrize(
    ("text", "line", "position", "message"),
    [
        ("this is not a valid filter string", 1, 6, "Unexpected input 'is'"),
        ("", 1, 1, "Unexpected end of input"),
        ("   ", 1, 4, "Unexpected end of input"),
        ("type =", 1, 7, "Unexpected end of input"),
        ("type = 'a", 1, 8, "Unterminated text"),
        ("type =\n  AND", 2, 3, "Unexpected input 'AND'"),
        ("(true", 1, 6, "Unexpected end of input"),
        ("true)", 1, 5, "Unexpected input ')'"),
        ("$body.patch[0].path = '/a'", 1, 12, "Unexpected input '['"),
        ("$body.x = 10abc", 1, 11, "Unexpected input '10abc'"),
        ("type", 1, 5, "Unexpected end of input"),
        ("type = 'a' type = 'b'", 1, 12, "Unexpected input 'type'"),
        ("CONTAINS(subject)", 1, 17, "Unexpected input ')'"),
        ("colour = 'red'", 1, 1, "Unknown field 'colour'"),
        ("type.x = 'red'", 1, 1, "Unknown field 'type.x'"),
        ("true; DROP TABLE twins", 1, 5, "Unexpected input ';'"),
        ("(" * 1000 + "true" + ")" * 1000, 1, 51, "The filter is nested deeper than 50 levels"),
        ("NOT " * 1000 + "true", 1, 201, "The filter is nested deeper than 50 levels"),
        ("type = '" + "x" * 8000 + "'", 1, 8001, "The filter is longer than 8000 characters"),
    ],
)
def test_a_fault_names_its_line_and_position(text: str, line: int, position: int, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert str(caught.value) == f"Line={line}, Position={position}, Message={message}"
