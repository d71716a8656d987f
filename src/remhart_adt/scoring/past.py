"""The readings before some readings: where they stand in the raw rings, and how long ago they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.windows import RAW, SLACK, Step, Windows

__all__ = ["Past"]

_RING: Final = RAW + SLACK
_BACK: Final = np.arange(RAW - 1, -1, -1)


@dataclass(frozen=True, slots=True)
class Past:
    """The last `RAW` readings of each of a step's readings, oldest first, the reading itself last.

    `at` (m, RAW) in the rings taken flat, which is several times faster than a pair of index arrays; `seconds` (m, RAW)
    since the reading itself, negative, NaN where the point has no reading so far back.
    """

    at: NDArray[np.int64]
    seconds: NDArray[np.float64]

    @classmethod
    def of(cls, windows: Windows, step: Step) -> Past:
        """Of every reading of the step."""
        at = step.pos[:, None] - _BACK
        at += (at < 0) * _RING
        at += (step.row * _RING)[:, None]
        seconds = (windows.raw_us.reshape(-1).take(at, mode="clip") - step.time_us[:, None]) / 1e6
        if (step.seen < RAW).any():
            seconds[step.seen[:, None] <= _BACK] = np.nan
        return cls(at, seconds)

    def cells(self, windows: Windows, near: int, channels: slice) -> NDArray[np.float64]:
        """These channels of the last `near` readings, (m, channels, near), in SI units; of a reading that there is not
        whatever the ring holds."""
        width = windows.raw.shape[2]
        at = self.at[:, None, -near:] * width + np.arange(width)[channels, None]
        # Every place lies in the rings; the mode spares the pass that would make sure of it.
        cells: NDArray[np.float64] = windows.raw.reshape(-1).take(at, mode="clip").astype(np.float64)
        return cells
