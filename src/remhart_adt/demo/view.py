"""What a person sees: a live table on a terminal, one plain line a second elsewhere.

The table shows the twins as Azure Digital Twins answers them, not what the daemon believes it wrote.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

__all__ = ["Moment", "PlainView", "RichView", "View", "make_view"]

_HEADLINES: Final = (
    ("anomaly", "voltageAnomalyDetected"),
    ("balance", "phaseImbalanceClass"),
    ("overload", "overloadRiskLevel"),
    ("+1 h kW", "loadForecast"),
    ("Q comp. kvar", "reactivePowerCompensation"),
)
_ROWS: Final = 32


@dataclass(slots=True)
class Moment:
    """One second of the run: the points as ADT answers them, the daemon's report, and what the simulation does."""

    title: str
    points: Sequence[Mapping[str, Any]] = ()
    dead_components: Sequence[str] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    sent: int = 0
    now_playing: Sequence[str] = ()

    def active_alarms(self) -> list[str]:
        """`kind @ point` of every alarm that is raised and not cleared."""
        return sorted(
            f"{kind} @ {point['$dtId']}"
            for point in self.points
            for kind, entry in (point.get("alarms") or {}).items()
            if isinstance(entry, Mapping) and "clearedAt" not in entry
        )


class View(Protocol):
    """Where the moments go. `show` is called about once a second, `say` for single remarks."""

    def show(self, moment: Moment) -> None: ...

    def say(self, text: str) -> None: ...

    def close(self) -> None: ...


def _latency(report: Mapping[str, Any]) -> str:
    p50, p99 = report.get("latency_p50_ms"), report.get("latency_p99_ms")
    return "-" if p50 is None or p99 is None else f"{p50:.0f}/{p99:.0f} ms"


class PlainView:
    """One line a second; for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, moment: Moment) -> None:
        """A line with the numbers that matter and the active alarms."""
        report = moment.report
        alarms = moment.active_alarms()
        volts = [v for point in moment.points for v in _volts(point)]
        span = f"{min(volts):.1f}..{max(volts):.1f} V" if volts else "no voltages yet"
        self.say(
            f"{moment.title} sent={moment.sent} applied={report.get('applied', 0)} merged={report.get('merged', 0)} "
            f"dead={report.get('dead_lettered', 0)} latency={_latency(report)} {span} "
            f"alarms={len(alarms)}{' ' + ', '.join(alarms[:3]) if alarms else ''}"
            f"{' …' if len(alarms) > 3 else ''}"
        )

    def say(self, text: str) -> None:
        """One line."""
        self._stream.write(text + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to put back."""


class RichView:
    """A table that breathes."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._live: Live = Live(console=self._console, refresh_per_second=4, transient=False)
        self._started = False

    def show(self, moment: Moment) -> None:
        """Redraw."""
        if not self._started:
            self._live.start()
            self._started = True
        self._live.update(_screen(moment))

    def say(self, text: str) -> None:
        """A line above the table."""
        self._console.print(text, highlight=False)

    def close(self) -> None:
        """Leave the last table standing and give the terminal back."""
        if self._started:
            self._live.stop()


def make_view(*, force_plain: bool = False) -> View:
    """The table on a terminal, plain lines otherwise; both on standard error, data stays on standard output."""
    return PlainView(sys.stderr) if force_plain or not sys.stderr.isatty() else RichView()


def _volts(point: Mapping[str, Any]) -> list[float]:
    voltage = point.get("voltage") or {}
    return [voltage[key] for key in ("phaseA", "phaseB", "phaseC") if isinstance(voltage.get(key), int | float)]


def _screen(moment: Moment) -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=moment.title, expand=False, pad_edge=False)
    for name in ("point", "V a", "V b", "V c", *(label for label, _ in _HEADLINES), "alarms"):
        table.add_column(name, justify="left" if name in ("point", "alarms") else "right", no_wrap=True)
    for point in moment.points[:_ROWS]:
        predictions = point.get("mlPredictions") or {}
        alarms = [k for k, e in (point.get("alarms") or {}).items() if "clearedAt" not in e]
        dead = all(v < 1 for v in _volts(point)) and bool(_volts(point))
        table.add_row(
            str(point["$dtId"]),
            *(f"{v:.1f}" for v in _volts(point)),
            *[""] * (3 - len(_volts(point))),
            *(_cell(predictions.get(name)) for _, name in _HEADLINES),
            ", ".join(alarms),
            style="bold red" if alarms else "dim" if dead else "",
        )
    report = moment.report
    line = Text(
        f"sent {moment.sent}  applied {report.get('applied', 0)}  merged {report.get('merged', 0)}  "
        f"skipped {report.get('skipped', 0)}  dead {report.get('dead_lettered', 0)}  "
        f"in flight {report.get('in_flight', 0)}  {report.get('readings_per_s') or 0:.0f} readings/s  "
        f"latency p50/p99 {_latency(report)}"
    )
    playing = Text("events: " + (", ".join(moment.now_playing) or "none"), style="yellow")
    gone = Text("not energized: " + (", ".join(moment.dead_components) or "nothing"), style="magenta")
    return Group(table, line, playing, gone)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "YES" if value else "no"
    if isinstance(value, int | float):
        return f"{value / 1000:.2f}"
    return str(value)
