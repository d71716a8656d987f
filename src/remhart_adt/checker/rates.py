"""I6: no window of one second holds more requests than the service allows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from remhart_adt.checker.journal import Request
from remhart_adt.checker.types import Verdict
from remhart_adt.limits import (
    ADT_CREATE_DELETE_PER_SECOND,
    ADT_MODELS_PER_SECOND,
    ADT_PATCH_PER_SECOND,
    ADT_PER_TWIN_PER_SECOND,
    ADT_QUERY_PER_SECOND,
    ADT_READ_PER_SECOND,
)

__all__ = ["check_rates", "most_in_a_second"]


def most_in_a_second(times_us: Sequence[int]) -> int:
    """The largest number of the given instants (any order) that fall into one window of a second, [t, t + 1 s)."""
    ordered = sorted(times_us)
    best, start = 0, 0
    for end, instant in enumerate(ordered):
        while instant - ordered[start] >= 1_000_000:
            start += 1
        best = max(best, end - start + 1)
    return best


def check_rates(requests: Iterable[Request]) -> Verdict:
    """Compare each class of requests, and each twin's writes (its relationships included), with its limit."""
    verdict = Verdict("I6")
    classes: dict[str, list[int]] = defaultdict(list)
    per_twin: dict[str, list[int]] = defaultdict(list)
    limits = {
        "patches": ADT_PATCH_PER_SECOND,
        "reads": ADT_READ_PER_SECOND,
        "creates and deletes": ADT_CREATE_DELETE_PER_SECOND,
        "queries": ADT_QUERY_PER_SECOND,
        "model calls": ADT_MODELS_PER_SECOND,
    }
    for request in requests:
        verdict.looked_at += 1
        if request.kind == "query":
            classes["queries"].append(request.time_us)
        elif request.kind == "models":
            classes["model calls"].append(request.time_us)
        elif request.twin and request.kind != "telemetry":
            name = {"PATCH": "patches", "GET": "reads"}.get(request.method, "creates and deletes")
            classes[name].append(request.time_us)
            if request.method != "GET":
                per_twin[request.twin].append(request.time_us)
    for name, times in classes.items():
        most = most_in_a_second(times)
        if most > limits[name]:
            verdict.fail(f"{most} {name} in one second; the service allows {limits[name]}")
    for twin, times in per_twin.items():
        most = most_in_a_second(times)
        if most > ADT_PER_TWIN_PER_SECOND:
            verdict.fail(f"{most} writes to twin {twin} in one second; the service allows {ADT_PER_TWIN_PER_SECOND}")
    return verdict
