"""The AMQP type codec: the published encodings, round trips, and hostile bytes."""

from __future__ import annotations

import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remhart_adt.local.eventhub.codec import (
    CodecError,
    Described,
    Symbol,
    Timestamp,
    Typed,
    decode,
    encode,
    list_slices,
    skip,
    ubyte,
    uint,
    ulong,
    ushort,
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.binary(max_size=300),
    st.uuids(),
    st.integers(-(2**60), 2**60).map(Timestamp),
    st.text(st.characters(codec="ascii"), max_size=300).map(Symbol),
)
keys = st.one_of(st.text(st.characters(codec="ascii"), max_size=20), st.integers(0, 1000))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(keys, inner, max_size=5),
        st.builds(Described, st.integers(1, 255), inner),
    ),
    max_leaves=20,
)


@given(values)
def test_what_is_encoded_decodes_to_the_same_value(value: object) -> None:
    wire = encode(value)
    decoded, end = decode(wire)
    assert decoded == value
    assert type(decoded) is type(value)
    assert end == len(wire) == skip(wire)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_raise_only_codec_error(data: bytes) -> None:
    for read in (decode, skip, list_slices):
        with contextlib.suppress(CodecError):
            read(data)


@given(values, st.data())
def test_a_damaged_value_raises_only_codec_error(value: object, data: st.DataObject) -> None:
    wire = bytearray(encode(value))
    wire[data.draw(st.integers(0, len(wire) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(CodecError):
        decode(bytes(wire))


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (None, "40"),
        (True, "41"),
        (False, "42"),
        (uint(0), "43"),
        (ulong(0), "44"),
        (uint(255), "52ff"),
        (uint(256), "7000000100"),
        (ulong(16), "5310"),
        (ulong(256), "800000000000000100"),
        (ubyte(7), "5007"),
        (ushort(4999), "601387"),
        (Typed("int", 202), "71000000ca"),
        (Typed("int", -1), "54ff"),
        (127, "557f"),
        (128, "810000000000000080"),
        (1.5, "823ff8000000000000"),
        (Timestamp(1), "830000000000000001"),
        ("é", "a102c3a9"),
        (Symbol("abc"), "a303616263"),
        (b"\x01", "a00101"),
        (uuid.UUID(int=1), "98" + "00" * 15 + "01"),
        ([], "d00000000400000000"),
        ({}, "d10000000400000000"),
        (Typed("strings", ["0", "1"]), "f00000000f00000002b100000001300000000131"),
        (Described(0x24, []), "005324d00000000400000000"),
    ],
)
def test_encodings_are_those_of_the_standard(value: object, wire: str) -> None:
    assert encode(value).hex() == wire


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ("45", []),
        ("c0030201" + "40", None),  # a list8 that claims two elements and holds one
        ("c002015003", None),  # its element runs past the list's size
        ("5601", True),
        ("733000", None),
        ("7300000041", "A"),
        ("c10502a10161" + "41", {"a": True}),
        ("c1020140", None),  # a map with an odd count
        ("e00602a30161" + "0162", ["a", "b"]),
        ("f0ffffffffffffffffff40", None),  # runs past the end
        ("f00000000500ffffff40", None),  # an array of 16 million nulls in ten bytes
        ("d000000008ffffffff40404040", None),  # more elements than bytes
        ("a103ffffff", None),  # not UTF-8
        ("a301ff", None),  # not ASCII
        ("72" + "3fc00000", 1.5),
        ("1f", None),
        ("", None),
    ],
)
def test_decoding(wire: str, value: object) -> None:
    if value is None:
        with pytest.raises(CodecError):
            decode(bytes.fromhex(wire))
    else:
        assert decode(bytes.fromhex(wire))[0] == value


def test_nesting_is_bounded() -> None:
    deep = b"\x40"
    for _ in range(40):
        deep = b"\x00\x53\x01" + deep
    for read in (decode, skip):
        with pytest.raises(CodecError):
            read(deep)


def test_elements_of_a_list_can_be_taken_unread() -> None:
    wire = encode([None, "x", [1, 2], {"a": 1}])
    parts, end = list_slices(wire)
    assert parts == [encode(None), encode("x"), encode([1, 2]), encode({"a": 1})]
    assert end == len(wire)


def test_a_value_without_an_amqp_type_is_refused() -> None:
    with pytest.raises(TypeError):
        encode(object())
