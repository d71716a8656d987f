"""Which partition a partition key belongs to.

The hash is Bob Jenkins' lookup3 (`hashlittle2`, public domain), folded to 16 bits as the Event Hubs client libraries
fold it. The index is the remainder with the sign of the hash, made positive: what the .NET, Java and JavaScript
libraries compute. (The Python library's buffered producer takes Python's remainder, which differs for negative hashes.)
"""

from __future__ import annotations

from typing import Final

__all__ = ["hash_code", "partition_for"]

_MASK: Final = 0xFFFFFFFF


def _rot(x: int, k: int) -> int:
    return ((x << k) | (x >> (32 - k))) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for shift in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & _MASK) ^ _rot(c, shift)
        c = (c + b) & _MASK
        a, b, c = b, c, a  # the six steps of the published macro are one step with the names rotated
    return a, b, c


def _final(a: int, b: int, c: int) -> tuple[int, int, int]:
    for shift in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rot(b, shift)) & _MASK
        a, b, c = b, c, a
    # after seven rotations the names stand one place off; turn them back
    return c, a, b


def hash_code(key: str) -> int:
    """The signed 16-bit hash of a key."""
    data = key.encode("utf-8")
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    while len(data) > 12:
        a = (a + int.from_bytes(data[0:4], "little")) & _MASK
        b = (b + int.from_bytes(data[4:8], "little")) & _MASK
        c = (c + int.from_bytes(data[8:12], "little")) & _MASK
        a, b, c = _mix(a, b, c)
        data = data[12:]
    if data:
        a = (a + int.from_bytes(data[0:4], "little")) & _MASK
        b = (b + int.from_bytes(data[4:8], "little")) & _MASK
        c = (c + int.from_bytes(data[8:12], "little")) & _MASK
        a, b, c = _final(a, b, c)
    folded = (b ^ c) & 0xFFFF
    return folded - 0x10000 if folded & 0x8000 else folded


def partition_for(key: str, count: int) -> int:
    """The index of the partition that holds the key's events."""
    return abs(hash_code(key)) % count  # |h| mod n = |h rem n|
