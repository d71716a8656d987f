"""What meters make of the truth: class errors, noise and the last digit.

Every meter has gain errors of its own, drawn once within its class, and some noise per reading. Classes: voltage 0.2 %,
current and active power 0.5 %, reactive power 1 % (both powers of the apparent power), frequency 1 mHz.
Voltage and current are true RMS values, reactive power is that of the fundamental. Harmonics come from
`simulate.harmonics` or not at all; the THD channels stay empty unless the meter is one that sends them (IEC 61000-4-7
class I: 5 % of the value, and of a value below 1 % of the fundamental 0.05 points). A dead phase reads zero, and a
meter without any voltage measures no frequency.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt.readings import CHANNEL_INDEX, CHANNELS
from remhart_adt.simulate.feeder import Solution
from remhart_adt.simulate.harmonics import Distortion

__all__ = ["Meters"]

Floats = NDArray[np.float64]

_CLASS_V: Final = 0.002
_CLASS_I: Final = 0.005
_CLASS_P: Final = 0.005
_CLASS_Q: Final = 0.010
_CLASS_THD: Final = 0.05
_LEAST_THD: Final = 0.05  # points
# A gain error lies anywhere in 0.6 of the class, noise has a standard deviation of 0.12 of it: a reading outside its
# class is then a three-sigma event.
_GAIN: Final = 0.6
_NOISE: Final = 0.12
_DIGITS: Final = {"V": 2, "A": 3, "W": 1, "var": 1, "Hz": 3, "degC": 1}
_DEAD_V: Final = 0.02


class Meters:
    """The meters of P points. `dropout` is the share of readings that never arrive."""

    def __init__(
        self,
        n_points: int,
        nominal_v: float,
        gains: np.random.Generator,
        noise: np.random.Generator,
        *,
        dropout: float = 0.0,
    ) -> None:
        """`gains` makes the meters, `noise` their readings: the same gains make the same meters again."""
        self._rng, self._nominal, self._dropout = noise, nominal_v, dropout
        self._losses = noise.spawn(1)[0]

        def gain(error: float, *shape: int) -> Floats:
            return 1 + gains.uniform(-_GAIN, _GAIN, (n_points, *shape)) * error

        self._gain_v, self._gain_i = gain(_CLASS_V, 3), gain(_CLASS_I, 3)
        self._gain_p, self._gain_q = gain(_CLASS_P, 3), gain(_CLASS_Q, 3)
        self._gain_line, self._gain_n = gain(_CLASS_V, 3), gain(_CLASS_I)

    def read(
        self, truth: Solution, hz: Floats, oil: Floats, ambient: Floats, oil_point: int,
        harmonics: Distortion | None = None, sends_thd: NDArray[np.bool_] | None = None,
    ) -> Floats:  # fmt: skip
        """Readings (T, P, 25) in the order of `readings.CHANNELS`; a lost reading is all NaN.

        `hz`, `oil`, `ambient` (T,) are the truth of the feeder; only the point `oil_point` measures temperatures.
        `sends_thd` (P,): which meters send the THD of `harmonics`.
        """
        t, p = truth.v.shape[:2]
        values = np.full((t, p, len(CHANNELS)), np.nan)
        s = truth.s
        size = np.abs(s)
        line, neutral = np.abs(truth.v - np.roll(truth.v, -1, axis=2)), np.abs(truth.neutral)
        v, i, p_all = np.abs(truth.v), np.abs(truth.i), s.real
        if harmonics is not None:
            v, i, line = (
                np.sqrt(first**2 + rest) for first, rest in ((v, harmonics.v), (i, harmonics.i), (line, harmonics.line))
            )
            neutral, p_all = np.sqrt(neutral**2 + harmonics.neutral), p_all + harmonics.p
        self._put(values, "v_a", v * self._gain_v, v * _CLASS_V, 3)
        self._put(values, "i_a", i * self._gain_i, i * _CLASS_I, 3)
        self._put(values, "p_a", p_all * self._gain_p, size * _CLASS_P, 3)
        self._put(values, "q_a", s.imag * self._gain_q, size * _CLASS_Q, 3)
        self._put(values, "v_ab", line * self._gain_line, line * _CLASS_V, 3)
        self._put(values, "i_n", (neutral * self._gain_n)[..., None], (neutral * _CLASS_I)[..., None], 1)
        hertz = np.broadcast_to(hz[:, None, None], (t, p, 1))
        self._put(values, "freq", hertz, np.full((t, p, 1), 0.001 / _NOISE / 2), 1)
        dead = np.abs(truth.v).max(axis=2) < _DEAD_V * self._nominal
        values[..., CHANNEL_INDEX["freq"]][dead] = np.nan
        for name, series in (("oil_temp", oil), ("ambient_temp", ambient)):
            noisy = series + self._rng.normal(0, 0.15, t)
            values[:, oil_point, CHANNEL_INDEX[name]] = np.round(noisy, _DIGITS["degC"])
        if harmonics is not None and sends_thd is not None:
            self._put_thd(values, harmonics, sends_thd)
        if self._dropout > 0:
            values[self._losses.random((t, p)) < self._dropout] = np.nan
        return values

    def _put_thd(self, values: Floats, harmonics: Distortion, sends: NDArray[np.bool_]) -> None:
        """Both THDs of the meters that measure them."""
        for first, truth in (("thdv_a", harmonics.thd_v), ("thdi_a", harmonics.thd_i)):
            gain = 1 + self._rng.uniform(-_GAIN, _GAIN, (len(sends), 3)) * _CLASS_THD
            error = np.maximum(truth * _CLASS_THD, _LEAST_THD)
            noisy = truth * gain + self._rng.standard_normal(truth.shape) * error * _NOISE
            at = CHANNEL_INDEX[first]
            # A dead or unloaded phase has no fundamental to compare with.
            noisy = np.where(np.isfinite(noisy), np.maximum(noisy, 0.0), np.nan)
            values[:, sends, at : at + 3] = np.round(noisy, 2)[:, sends]

    def _put(self, values: Floats, first: str, mean: Floats, error: Floats, width: int) -> None:
        at = CHANNEL_INDEX[first]
        noisy = mean + self._rng.standard_normal(mean.shape) * (error * _NOISE)
        values[..., at : at + width] = np.round(noisy, _DIGITS[CHANNELS[at].unit]) + 0.0  # + 0.0 turns -0.0 into 0.0
