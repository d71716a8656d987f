"""AMQP 1.0 types on the wire (OASIS AMQP 1.0 part 1, section 1.6): decode, encode, and step over without decoding.

Decoding keeps what the protocol needs to tell apart: symbols are `Symbol`, described values `Described`, timestamps
`Timestamp`; the width of integers is not kept. Encoding chooses the wire type from the Python type, or from `Typed`
where a peer insists on one. Whatever arrives is hostile: lengths are checked before use and nesting is bounded.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

__all__ = [
    "CodecError",
    "Described",
    "Symbol",
    "Timestamp",
    "Typed",
    "decode",
    "encode",
    "list_slices",
    "skip",
    "timestamp",
    "ubyte",
    "uint",
    "ulong",
    "ushort",
]

_MAX_DEPTH: Final = 24
_U32: Final = struct.Struct(">I")


class CodecError(ValueError):
    """Bytes that are not valid AMQP 1.0; the connection that sent them is closed with amqp:decode-error."""


class Symbol(str):
    """An AMQP symbol: ASCII text from a constrained domain."""

    __slots__ = ()


class Timestamp(int):
    """Milliseconds since the epoch, UTC."""


class Described(NamedTuple):
    """A described value: the descriptor (a ulong code or a symbol) and the value it describes."""

    descriptor: Any
    value: Any


class Typed(NamedTuple):
    """A value together with the wire type it must be encoded as."""

    kind: str
    value: Any


def ubyte(value: int) -> Typed:
    """The value as an 8-bit unsigned integer."""
    return Typed("ubyte", value)


def ushort(value: int) -> Typed:
    """The value as a 16-bit unsigned integer."""
    return Typed("ushort", value)


def uint(value: int) -> Typed:
    """The value as a 32-bit unsigned integer."""
    return Typed("uint", value & 0xFFFFFFFF)


def ulong(value: int) -> Typed:
    """The value as a 64-bit unsigned integer."""
    return Typed("ulong", value)


def timestamp(ms: int) -> Timestamp:
    """Milliseconds since the epoch as a timestamp."""
    return Timestamp(ms)


_FIXED: Final = {
    code: struct.Struct(layout)
    for code, layout in {
        0x50: "B", 0x51: "b", 0x52: "B", 0x53: "B", 0x54: "b", 0x55: "b", 0x60: ">H", 0x61: ">h", 0x70: ">I",
        0x71: ">i", 0x72: ">f", 0x80: ">Q", 0x81: ">q", 0x82: ">d",
    }.items()
}  # fmt: skip
_CONSTANT: Final[dict[int, Any]] = {0x40: None, 0x41: True, 0x42: False, 0x43: 0, 0x44: 0}
# The upper half of a constructor byte says how long the value is: a fixed width, or a size field of 1 or 4 bytes.
_WIDTH: Final = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
_SIZE8: Final = frozenset((0xA, 0xC, 0xE))
_SIZE32: Final = frozenset((0xB, 0xD, 0xF))


def _need(data: bytes | memoryview, end: int) -> int:
    if end > len(data):
        raise CodecError(f"value runs {end - len(data)} bytes past the end")
    return end


def skip(data: bytes, pos: int = 0, depth: int = 0) -> int:
    """The position after the value that starts at `pos`."""
    _need(data, pos + 1)
    code = data[pos]
    pos += 1
    if code == 0:
        if depth >= _MAX_DEPTH:
            raise CodecError("nested too deeply")
        return skip(data, skip(data, pos, depth + 1), depth + 1)
    kind = code >> 4
    if kind in _WIDTH:
        return _need(data, pos + _WIDTH[kind])
    if kind in _SIZE8:
        _need(data, pos + 1)
        return _need(data, pos + 1 + data[pos])
    if kind in _SIZE32:
        _need(data, pos + 4)
        return _need(data, pos + 4 + int(_U32.unpack_from(data, pos)[0]))
    raise CodecError(f"unknown type {code:#04x}")


def _head(data: bytes, pos: int, wide: bool) -> tuple[int, int, int]:
    """(count, first element, end) of a compound value whose size field stands at `pos`."""
    if wide:
        _need(data, pos + 8)
        size, count = _U32.unpack_from(data, pos)[0], _U32.unpack_from(data, pos + 4)[0]
        first, end = pos + 8, pos + 4 + size
    else:
        _need(data, pos + 2)
        size, count = data[pos], data[pos + 1]
        first, end = pos + 2, pos + 1 + size
    _need(data, end)
    if count > size or first > end:  # an element takes at least one byte, so a greater count is a lie
        raise CodecError("a compound value claims more elements than it has bytes")
    return count, first, end


def list_slices(data: bytes, pos: int = 0) -> tuple[list[bytes], int]:
    """The elements of the list at `pos`, each still encoded, and the position after the list."""
    _need(data, pos + 1)
    code = data[pos]
    if code == 0x45:
        return [], pos + 1
    if code not in (0xC0, 0xD0):
        raise CodecError(f"expected a list, found type {code:#04x}")
    count, at, end = _head(data, pos + 1, code == 0xD0)
    parts = []
    for _ in range(count):
        after = skip(data, at)
        parts.append(bytes(data[at:after]))
        at = after
    if at > end:
        raise CodecError("a list's elements run past its size")
    return parts, end


def decode(data: bytes, pos: int = 0, depth: int = 0) -> tuple[Any, int]:
    """(value, position after it). Raises CodecError for anything malformed."""
    _need(data, pos + 1)
    return _decode_as(data[pos], data, pos + 1, depth)


def _decode_as(code: int, data: bytes, pos: int, depth: int) -> tuple[Any, int]:
    if depth > _MAX_DEPTH:
        raise CodecError("nested too deeply")
    layout = _FIXED.get(code)
    if layout is not None:
        _need(data, pos + layout.size)
        return layout.unpack_from(data, pos)[0], pos + layout.size
    if code in _CONSTANT:
        return _CONSTANT[code], pos
    kind = code >> 4
    if code == 0x00:
        descriptor, pos = decode(data, pos, depth + 1)
        value, pos = decode(data, pos, depth + 1)
        return Described(descriptor, value), pos
    if kind in (0xA, 0xB):
        return _variable(code, data, pos)
    if code in (0xC0, 0xD0):
        count, at, end = _head(data, pos, code == 0xD0)
        items = []
        for _ in range(count):
            item, at = decode(data, at, depth + 1)
            items.append(item)
        return _closed(items, at, end)
    if code in (0xC1, 0xD1):
        count, at, end = _head(data, pos, code == 0xD1)
        if count % 2:
            raise CodecError("a map with an odd number of elements")
        mapping = {}
        for _ in range(count // 2):
            key, at = decode(data, at, depth + 1)
            value, at = decode(data, at, depth + 1)
            if isinstance(key, (list, dict, Described)):
                raise CodecError("a map key of a compound type")
            mapping[key] = value
        return _closed(mapping, at, end)
    if code in (0xE0, 0xF0):
        return _array(code, data, pos, depth)
    return _special(code, data, pos)


def _closed(value: Any, at: int, end: int) -> tuple[Any, int]:
    if at > end:
        raise CodecError("a compound value's elements run past its size")
    return value, end


def _array(code: int, data: bytes, pos: int, depth: int) -> tuple[list[Any], int]:
    count, at, end = _head(data, pos, code == 0xF0)
    _need(data, at + 1)
    constructor = data[at]
    if constructor == 0x00:
        raise CodecError("arrays of described values are not supported")
    at += 1
    items = []
    for _ in range(count):
        item, at = _decode_as(constructor, data, at, depth + 1)
        items.append(item)
    return _closed(items, at, end)


def _variable(code: int, data: bytes, pos: int) -> tuple[Any, int]:
    if code & 0x10:
        _need(data, pos + 4)
        size, pos = _U32.unpack_from(data, pos)[0], pos + 4
    else:
        _need(data, pos + 1)
        size, pos = data[pos], pos + 1
    end = _need(data, pos + size)
    raw = bytes(data[pos:end])
    try:
        match code & 0x0F:
            case 0x0:
                return raw, end
            case 0x1:
                return raw.decode("utf-8"), end
            case 0x3:
                return Symbol(raw.decode("ascii")), end
    except UnicodeDecodeError as error:
        raise CodecError(f"text that is not in its encoding: {error.reason}") from None
    raise CodecError(f"unknown type {code:#04x}")


def _special(code: int, data: bytes, pos: int) -> tuple[Any, int]:
    match code:
        case 0x45:
            return [], pos
        case 0x56:
            _need(data, pos + 1)
            return data[pos] != 0, pos + 1
        case 0x83:
            _need(data, pos + 8)
            return Timestamp(struct.unpack_from(">q", data, pos)[0]), pos + 8
        case 0x98:
            _need(data, pos + 16)
            return uuid.UUID(bytes=bytes(data[pos : pos + 16])), pos + 16
        case 0x73:
            _need(data, pos + 4)
            point = _U32.unpack_from(data, pos)[0]
            if point > 0x10FFFF:
                raise CodecError("a char beyond Unicode")
            return chr(point), pos + 4
        case 0x74 | 0x84 | 0x94:  # decimals: nobody here reads them, so their bytes stand for them
            end = _need(data, pos + {0x74: 4, 0x84: 8, 0x94: 16}[code])
            return bytes(data[pos:end]), end
        case _:
            raise CodecError(f"unknown type {code:#04x}")


def _sized(short: int, long: int, raw: bytes) -> bytes:
    return bytes((short, len(raw))) + raw if len(raw) < 256 else bytes((long,)) + _U32.pack(len(raw)) + raw


def _compound(code: int, count: int, body: bytes) -> bytes:
    # Always the 32-bit form: the official client takes it, and rejects the empty list 0x45 in performatives.
    return bytes((code,)) + _U32.pack(len(body) + 4) + _U32.pack(count) + body


def _array_of(constructor: int, items: Iterable[str]) -> bytes:
    texts = [item.encode() for item in items]
    body = b"".join(_U32.pack(len(text)) + text for text in texts)
    return b"\xf0" + _U32.pack(len(body) + 5) + _U32.pack(len(texts)) + bytes((constructor,)) + body


def _small(small: int, wide: int, layout: str, value: int) -> bytes:
    fits = -128 <= value < 128 if layout.islower() else 0 <= value < 256
    return bytes((small, value & 0xFF)) if fits else bytes((wide,)) + struct.pack(">" + layout, value)


_TYPED: Final[dict[str, Callable[[Any], bytes]]] = {
    "ubyte": lambda v: bytes((0x50, v)),
    "ushort": lambda v: b"\x60" + struct.pack(">H", v),
    "uint": lambda v: b"\x43" if v == 0 else _small(0x52, 0x70, "I", v),
    "ulong": lambda v: b"\x44" if v == 0 else _small(0x53, 0x80, "Q", v),
    "int": lambda v: _small(0x54, 0x71, "i", v),
    "long": lambda v: _small(0x55, 0x81, "q", v),
    "symbols": lambda v: _array_of(0xB3, v),
    "strings": lambda v: _array_of(0xB1, v),
}


def encode(value: Any) -> bytes:
    """The value on the wire: int as long, str as string, Symbol as symbol, float as double, dict as map."""
    if value is None or value is True or value is False:
        return {None: b"\x40", True: b"\x41", False: b"\x42"}[value]
    if isinstance(value, Typed):
        return _TYPED[value.kind](value.value)
    if isinstance(value, Described):
        code = value.descriptor
        return b"\x00" + encode(ulong(code) if isinstance(code, int) else code) + encode(value.value)
    if isinstance(value, Symbol):
        return _sized(0xA3, 0xB3, value.encode("ascii"))
    if isinstance(value, str):
        return _sized(0xA1, 0xB1, value.encode())
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _sized(0xA0, 0xB0, bytes(value))
    if isinstance(value, Timestamp):
        return b"\x83" + struct.pack(">q", value)
    if isinstance(value, int):
        return _TYPED["long"](value)
    if isinstance(value, float):
        return b"\x82" + struct.pack(">d", value)
    if isinstance(value, uuid.UUID):
        return b"\x98" + value.bytes
    if isinstance(value, (list, tuple)):
        return _compound(0xD0, len(value), b"".join(map(encode, value)))
    if isinstance(value, dict):
        return _compound(0xD1, 2 * len(value), b"".join(encode(k) + encode(v) for k, v in value.items()))
    raise TypeError(f"no AMQP type for {type(value).__name__}")
