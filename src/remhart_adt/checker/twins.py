"""I2: the graph equals what an oracle's replay of the hub's log says it must be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from remhart_adt.checker.types import Verdict
from remhart_adt.sync.oracle import Expected, comparable

__all__ = ["check_twins", "differences"]


def differences(expected: Any, actual: Any, path: str = "") -> Iterator[str]:
    """The places, in words, where two JSON values differ; numbers are compared by value."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key in sorted(set(expected) | set(actual), key=str):
            if key not in actual:
                yield f"{path}/{key} is missing, expected {expected[key]!r:.80}"
            elif key not in expected:
                yield f"{path}/{key} is {actual[key]!r:.80}, expected none"
            else:
                yield from differences(expected[key], actual[key], f"{path}/{key}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for i, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(one, other, f"{path}/{i}")
    elif isinstance(expected, bool) is not isinstance(actual, bool) or expected != actual:
        yield f"{path} is {actual!r:.80}, expected {expected!r:.80}"


def check_twins(
    expected: Expected,
    twins: Mapping[str, Mapping[str, Any]],
    relationships: Mapping[tuple[str, str], Mapping[str, Any]],
) -> Verdict:
    """Compare every twin and relationship, both ways: what is missing, what is too much, what differs."""
    verdict = Verdict("I2")
    pairs: list[tuple[str, Mapping[str, Any] | None, Mapping[str, Any] | None]] = [
        (name, expected.twins.get(name), twins.get(name)) for name in sorted(set(expected.twins) | set(twins))
    ]
    both = sorted(set(expected.relationships) | set(relationships))
    pairs += [
        (f"{s}/relationships/{r}", expected.relationships.get((s, r)), relationships.get((s, r))) for s, r in both
    ]
    for name, wish, found in pairs:
        verdict.looked_at += 1
        if wish is None or found is None:
            verdict.fail(f"{name} is {'not expected' if wish is None else 'missing'}")
            continue
        for text in differences(comparable(wish), comparable(found)):
            verdict.fail(f"{name}: {text}")
    return verdict
