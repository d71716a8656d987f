"""The alarm table: every limit the daemon watches, with its hysteresis, confirmation, severity and source.

Voltages are per unit of the point's own nominal line-to-neutral voltage, currents per unit of its rated current.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["RULES", "SAG_SECONDS", "AlarmRule", "rule_table"]


class AlarmRule(NamedTuple):
    """One alarm kind.

    `group`: of one group at most one alarm is active; within it the lower `precedence` wins. `limit` raises, `clear`
    ends, `confirm`/`clear_confirm` are how many consecutive readings (scorings, for models) it takes. `source` is what
    stands on the twin: `rule`, or the id of the model whose answer is the condition.
    """

    name: str
    group: str
    precedence: int
    limit: float
    clear: float
    confirm: int
    clear_confirm: int
    severity: str
    source: str
    standard: str
    condition: str


# A sag or swell that outlasts a minute is an under- or overvoltage (IEEE 1159, 4.4.2 and 4.4.3: short-duration
# variations last up to 1 minute). A meter that reports less often than that cannot tell a sag from an undervoltage.
SAG_SECONDS: Final = 60

RULES: Final = {
    rule.name: rule
    for rule in (
        AlarmRule(
            "openPhase", "voltage", 0, 0.7, 0.92, 2, 1, "critical", "rule",
            "IEEE C37.2, device 47 (phase balance of the voltage)",
            "a phase below 0.1 beside one of at least 0.5, or the highest phase equal to the sum of the other two"
            " within 0.06 (single-phasing: the phasors are collinear)",
        ),
        AlarmRule(
            "interruption", "voltage", 1, 0.1, 0.1, 1, 1, "critical", "rule",
            "IEEE 1159, 4.4.2; EN 50160, 4.3.1", "all measured phases below 0.1",
        ),
        AlarmRule(
            "voltageSag", "voltage", 2, 0.9, 0.92, 1, 1, "major", "rule",
            "IEEE 1159, 4.4.2; EN 50160, 4.3.2", "a phase below 0.9 for at most 1 minute",
        ),
        AlarmRule(
            "undervoltage", "voltage", 3, 0.9, 0.92, 1, 1, "major", "rule",
            "IEEE 1159, 4.4.3; EN 50160, 4.2.2",
            "a phase below 0.9 for more than 1 minute, or between sparse readings",
        ),
        AlarmRule(
            "voltageSwell", "voltage", 4, 1.1, 1.08, 1, 1, "major", "rule",
            "IEEE 1159, 4.4.2; EN 50160, 4.3.3", "a phase above 1.1 for at most 1 minute",
        ),
        AlarmRule(
            "overvoltage", "voltage", 5, 1.1, 1.08, 1, 1, "major", "rule",
            "IEEE 1159, 4.4.3; EN 50160, 4.2.2",
            "a phase above 1.1 for more than 1 minute, or between sparse readings",
        ),
        AlarmRule(
            "overload", "current", 0, 1.0, 0.95, 2, 1, "major", "rule",
            "the rating as declared (transformers: IEC 60076-7)", "the highest phase current above the rated current",
        ),
        AlarmRule(
            "overloadForecast", "forecast", 0, 1.0, 1.0, 3, 1, "warning", "overload_risk",
            "model", "risk level critical while no overload is active",
        ),
        AlarmRule(
            "frequencyDeviation", "frequency", 0, 0.01, 0.008, 1, 1, "major", "rule",
            "EN 50160, 4.2.1", "frequency more than 1 % off nominal",
        ),
        AlarmRule(
            "overTemperature", "temperature", 0, 105.0, 100.0, 1, 1, "critical", "rule",
            "IEEE C57.91 (limit of the top-oil temperature)", "oil temperature above 105 degC",
        ),
        AlarmRule(
            "voltageImbalance", "imbalance", 0, 10.0, 10.0, 10, 10, "minor", "phase_imbalance",
            "model; EN 50160, 4.2.4", "imbalance class severe while no voltage alarm is active",
        ),
        AlarmRule(
            "voltageAnomaly", "anomaly", 0, 1.0, 1.0, 10, 10, "warning", "voltage_anomaly",
            "model", "voltage anomaly detected while no voltage alarm is active",
        ),
    )
}  # fmt: skip


def rule_table() -> list[dict[str, object]]:
    """The table as rows, for documents and reports."""
    return [rule._asdict() for rule in RULES.values()]
