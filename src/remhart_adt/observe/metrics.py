"""Numbers about a running process: a delay histogram, a rate, and the text a Prometheus server reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from remhart_adt.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Latency", "Metric", "Rate", "exposition", "percentile_between"]

# 40 bins for each factor of ten between 0.1 ms and 1000 s: a percentile is within 3 % of the true one.
_PER_DECADE: Final = 40
_DECADES: Final = 7
_LEAST_US: Final = 100.0


class Latency:
    """A histogram of delays; memory does not grow. Times go in in microseconds and come out in milliseconds."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] | None = None

    def add(self, delays_us: NDArray[np.int64]) -> None:
        """Count delays; a negative one (clocks that differ) is counted as the shortest."""
        import numpy as np

        if self._counts is None:
            self._counts = np.zeros(_PER_DECADE * _DECADES + 1, np.int64)
        clipped = np.maximum(delays_us, _LEAST_US)
        bins = np.minimum((np.log10(clipped / _LEAST_US) * _PER_DECADE).astype(np.int64), len(self._counts) - 1)
        self._counts += np.bincount(bins, minlength=len(self._counts))

    @property
    def count(self) -> int:
        """How many delays there are."""
        return 0 if self._counts is None else int(self._counts.sum())

    def percentile(self, share: float) -> float | None:
        """The delay in ms that `share` (0..1) of all do not exceed (upper edge of its bin); None without any."""
        import numpy as np

        if self._counts is None or not self.count:
            return None
        at = int(np.searchsorted(np.cumsum(self._counts), share * self.count))
        return round(_edge_ms(min(at, len(self._counts) - 1)), 3)

    def histogram(self) -> dict[str, int]:
        """Upper edge of each bin that holds something (ms, as text) -> how many; two of them can be subtracted."""
        counts = [] if self._counts is None else self._counts.tolist()
        return {f"{_edge_ms(at):.3f}": n for at, n in enumerate(counts) if n}

    def reset(self) -> None:
        """Forget everything."""
        self._counts = None


def _edge_ms(at: int) -> float:
    return float(_LEAST_US * 10.0 ** ((at + 1) / _PER_DECADE)) / 1000.0


def percentile_between(before: Mapping[str, int], after: Mapping[str, int], share: float) -> float | None:
    """The delay in ms that `share` of those counted between two histograms do not exceed; None without any."""
    grown = sorted((float(edge), n - before.get(edge, 0)) for edge, n in after.items())
    left = share * sum(n for _, n in grown)
    if not left:
        return None
    for edge, n in grown:
        left -= n
        if left <= 0:
            return edge
    return grown[-1][0]


class Rate:
    """Events per second over the last `seconds`, and over all the time in which there were any."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._recent: deque[tuple[float, int]] = deque()
        self._first: float | None = None
        self._last = 0.0
        self._n = 0

    def add(self, now: float, n: int) -> None:
        """Note n events at `now` (monotonic seconds)."""
        if n <= 0:
            return
        self._first = now if self._first is None else self._first
        self._last = now
        self._n += n
        self._recent.append((now, n))
        self._forget(now)

    def recent(self, now: float) -> float:
        """Events per second of the last few seconds."""
        self._forget(now)
        return round(sum(n for _, n in self._recent) / self._seconds, 1)

    @property
    def overall(self) -> float:
        """Events per second between the first and the last one."""
        if self._first is None or self._last <= self._first:
            return 0.0
        return round(self._n / (self._last - self._first), 1)

    def reset(self) -> None:
        """Forget everything."""
        self._recent.clear()
        self._first = None
        self._n = 0

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] < now - self._seconds:
            self._recent.popleft()


class Metric(NamedTuple):
    """One family: `kind` is counter or gauge, `label` the name of the label of `values`' keys ("" = no label)."""

    name: str
    kind: str
    help: str
    values: Mapping[str, float]
    label: str = ""


def exposition(metrics: Iterable[Metric]) -> tuple[bytes, str]:
    """The metrics in Prometheus' text format, and its content type. Raises MissingExtraError without the client."""
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    except ModuleNotFoundError:
        raise MissingExtraError("observe", needed_for="/metrics") from None
    families: list[Any] = []
    for metric in metrics:
        family = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        made = family(metric.name, metric.help, labels=[metric.label] if metric.label else [])
        for key, value in metric.values.items():
            made.add_metric([key] if metric.label else [], value)
        families.append(made)

    class _Collected:
        def collect(self) -> list[Any]:
            return families

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected())
    return generate_latest(registry), CONTENT_TYPE_LATEST
