"""A mapping file turns foreign rows into readings, purely; its faults are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remhart_adt.errors import ConfigError, ReadingError
from remhart_adt.resources import examples_dir
from remhart_adt.sync.mapping import Mapping

TEXT = """
version: 1
pointId: {column: meter, names: {M-17: mp-1}}
timestamp: {column: ts, zone: Asia/Kolkata}
channels:
  v_a: Va
  p_a: {column: PkW, factor: 1000}
  oil_temp: {column: F, factor: 0.5, offset: -10}
quality: {column: q, words: {ok: good, dead: bad}}
missingWhen:
  - {channels: [oil_temp], outside: [-40, 180]}
"""


def mapping(tmp_path: Path, text: str = TEXT) -> Mapping:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    return Mapping.load(path)


def row(**more: Any) -> dict[str, Any]:
    return {"meter": "M-17", "ts": "2019-07-16 06:20:00", "Va": "154.4", "PkW": "1.5", "F": "100", "q": "ok", **more}


def test_names_units_zone_and_quality(tmp_path: Path) -> None:
    assert mapping(tmp_path).translate(row()) == {
        "pointId": "mp-1",
        "timestamp": "2019-07-16T00:50:00Z",
        "v_a": 154.4,
        "p_a": 1500.0,
        "oil_temp": 40.0,
        "quality": "good",
    }


def test_empty_and_out_of_scale_values_are_null(tmp_path: Path) -> None:
    body = mapping(tmp_path).translate(row(Va="", PkW="NaN", F="500"))
    assert (body["v_a"], body["p_a"], body["oil_temp"]) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"meter": ""}, "missing_field"),
        ({"ts": None}, "missing_field"),
        ({"ts": "yesterday"}, "bad_timestamp"),
        ({"Va": "12,5"}, "wrong_type"),
        ({"Va": True}, "wrong_type"),
        ({"Va": "inf"}, "not_finite"),
        ({"q": "strange"}, "wrong_type"),
    ],
)
def test_what_cannot_be_understood_has_a_cause(tmp_path: Path, change: dict[str, Any], cause: str) -> None:
    with pytest.raises(ReadingError) as caught:
        mapping(tmp_path).translate(row(**change))
    assert caught.value.cause == cause


def test_zero_line_voltages_beside_live_phases_were_not_recorded() -> None:
    shipped = Mapping.load(examples_dir() / "transformer-monitor" / "mapping.yaml")
    base = {"ts": "2019-07-01 00:00:00", "quality": "ok", "v_a": "240", "v_b": "241", "v_c": "239"}
    none = shipped.translate({**base, "v_ab": "0", "v_bc": "0", "v_ca": "0"})
    assert [none[k] for k in ("v_ab", "v_bc", "v_ca")] == [None, None, None]
    collinear = shipped.translate({**base, "v_ab": "0", "v_bc": "352.6", "v_ca": "363.4"})
    assert collinear["v_ab"] == 0.0
    assert shipped.translate({**base, "oil_temp_c": "243"})["oil_temp"] is None
    assert shipped.points["mp-transformer"].nominal_voltage == 240
    labels = {"ok": "good", "phase_out_of_range": "good", "no_electrical": "good", "dead_or_offline": "bad"}
    for label, quality in labels.items():
        assert shipped.translate({**base, "quality": label})["quality"] == quality


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("version: 1", "version: 2", "version"),
        ("v_a: Va", "volts: Va", "volts"),
        ("Asia/Kolkata", "India", "India"),
        ("outside: [-40, 180]", "outside: [-40, 180], allZero: true", "exactly one"),
        ("quality:", "qualities:", "qualities"),
    ],
)
def test_faults_of_the_file_are_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        mapping(tmp_path, TEXT.replace(old, new))
