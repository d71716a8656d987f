"""Windows, features and ONNX models: readings in, predictions or reasons out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remhart_adt.scoring.types import (
    FeederInfo,
    FeederScore,
    ModelScores,
    OutputSpec,
    PointInfo,
    Scores,
    Slot,
    SlotState,
    Status,
    Thermal,
    UnitInfo,
)

if TYPE_CHECKING:
    from remhart_adt.scoring.engine import Engine
    from remhart_adt.scoring.windows import Windows

__all__ = [
    "Engine",
    "FeederInfo",
    "FeederScore",
    "ModelScores",
    "OutputSpec",
    "PointInfo",
    "Scores",
    "Slot",
    "SlotState",
    "Status",
    "Thermal",
    "UnitInfo",
    "Windows",
]


def __getattr__(name: str) -> Any:
    """`Engine` and `Windows` need numpy; they are imported when first asked for."""
    if name == "Engine":
        from remhart_adt.scoring.engine import Engine

        return Engine
    if name == "Windows":
        from remhart_adt.scoring.windows import Windows

        return Windows
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
