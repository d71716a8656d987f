"""The daemon's numbers: as a report, and as metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from remhart_adt.observe.metrics import Metric
from remhart_adt.sync.ledger import OUTCOMES, summarise

if TYPE_CHECKING:
    from remhart_adt.sync.app import Daemon

__all__ = ["make_metrics", "make_report"]


def make_report(daemon: Daemon) -> dict[str, Any]:
    """Counters since the first commit of these partitions, and what this process sent."""
    streams, writer = daemon.streams, daemon.writer
    counters = writer.counters
    source = daemon._source.counters if daemon._source is not None else None
    return {
        **summarise(streams.ledgers()),
        "redelivered": streams.redelivered + (source.redelivered if source is not None else 0),
        "missed": getattr(source, "missed", 0),
        "patches_twin": counters.patches_twin,
        "patches_relationship": counters.patches_relationship,
        "reads": counters.reads,
        "telemetry": counters.telemetry,
        "conflicts": counters.conflicts,
        "retries": counters.retries,
        "failures": dict(counters.failures),
        "rejected_paths": counters.rejected_paths,
        "latency_n": writer.latency.count,
        "latency_p50_ms": writer.latency.percentile(0.50),
        "latency_p99_ms": writer.latency.percentile(0.99),
        "latency_histogram_ms": writer.latency.histogram(),
        "readings_per_s": streams.rate.overall,
        "readings_per_s_recent": streams.rate.recent(daemon.clock.monotonic()),
        "scoring_ms_per_reading": round(1000.0 * streams.busy_seconds / max(1, streams.readings), 4),
        "partitions": {
            name: {"received": stream.seen, "checkpoint": stream.ledger.committed}
            for name, stream in streams.streams.items()
        },
        "backlog_events": streams.backlog,
        "unfinished_batches": sum(stream.ledger.unfinished for stream in streams.streams.values()),
        "pending_targets": len(daemon.pending.dirty),
        "models": {
            name: {"state": slot.state.value, "version": slot.version, "reason": slot.reason}
            for name, slot in daemon.engine.slots.items()
        },
        "feature_psi": {} if daemon.engine.drift is None else daemon.engine.drift.psi(),
        "problems": daemon.problems(),
    }


def make_metrics(daemon: Daemon) -> Iterable[Metric]:
    """The same as Prometheus families."""
    report = make_report(daemon)
    outcomes = {name: float(report[name]) for name in OUTCOMES}
    yield Metric("remhart_items_received", "counter", "Items received.", {"": report["received"]})
    yield Metric("remhart_items", "counter", "Items by outcome.", outcomes, "outcome")
    yield Metric("remhart_items_in_flight", "gauge", "Items without an outcome yet.", {"": report["in_flight"]})
    yield Metric("remhart_dead_letters", "counter", "Dead letters by cause.", report["dead_by_cause"], "cause")
    yield Metric("remhart_model_ok", "counter", "Answers by model.", report["ok_by_model"], "model")
    yield Metric("remhart_model_abstained", "counter", "Abstentions by model.", report["abstained_by_model"], "model")
    yield Metric(
        "remhart_model_abstained_share", "gauge", "Abstentions and failures over all answers, by model.",
        _abstained(report), "model",
    )  # fmt: skip
    yield Metric(
        "remhart_feature_psi", "gauge", "Population stability of a feature against training; above 0.25: shifted.",
        report["feature_psi"], "feature",
    )  # fmt: skip
    patches = {"twin": float(report["patches_twin"]), "relationship": float(report["patches_relationship"])}
    yield Metric("remhart_patches", "counter", "Patches that succeeded.", patches, "target")
    yield Metric("remhart_write_retries", "counter", "Writes kept for later.", {"": report["retries"]})
    yield Metric(
        "remhart_pending_targets", "gauge", "Targets with something to write.", {"": report["pending_targets"]}
    )
    yield Metric("remhart_lag_events", "gauge", "Events the hub has and we do not.", {
        name: float(n) for name, n in daemon.watchdog.behind.items()
    }, "partition")  # fmt: skip
    for share, key in (("0.5", "latency_p50_ms"), ("0.99", "latency_p99_ms")):
        if report[key] is not None:
            name = f"remhart_delay_p{share.replace('0.', '').ljust(2, '0')}_ms"
            yield Metric(name, "gauge", f"Delay from hub to twin, quantile {share}, ms.", {"": report[key]})


def _abstained(report: dict[str, Any]) -> dict[str, float]:
    ok, out = report["ok_by_model"], {}
    for name in report["models"]:
        silent = report["abstained_by_model"].get(name, 0) + report["failed_by_model"].get(name, 0)
        if total := silent + ok.get(name, 0):
            out[name] = round(silent / total, 6)
    return out
