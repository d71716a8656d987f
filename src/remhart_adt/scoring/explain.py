"""Why a model answered what it did: each input put back to its usual value in turn, and what the answer becomes then.

This is occlusion one at a time: effects do not add up where inputs act together, and an input that another one stands
in for shows no effect. It asks the model itself, so it holds for any model in the folder.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from remhart_adt.scoring.drift import Reference
from remhart_adt.scoring.manifest import Entry, Output
from remhart_adt.scoring.sessions import Model

__all__ = ["Effect", "effects", "headline"]


class Effect(NamedTuple):
    """`value` and `usual` are the input's (NaN: missing), `effect` is what its not being usual adds to the answer."""

    feature: str
    value: float
    usual: float
    effect: float


def headline(entry: Entry, name: str | None = None) -> Output | None:
    """The output to explain: the named one, else the first number; None when there is none of that kind."""
    return next((o for o in entry.outputs if o.kind == "double" and name in (None, o.name)), None)


def effects(model: Model, row: NDArray[np.float32], output: Output, reference: Reference) -> tuple[float, list[Effect]]:
    """The answer for one row of the model's inputs (inputs,), and every input's effect on it, largest first.

    An input without a usual value (declared by the twin, or the calendar) has no effect to tell of and is left out.
    Raises ModelError when the model fails on one of the rows.
    """
    names = model.entry.inputs
    usual = [reference.median(name) for name in names]
    known = [k for k, value in enumerate(usual) if value is not None]
    rows = np.repeat(row[None, :], len(known) + 1, axis=0)
    for place, k in enumerate(known, 1):
        rows[place, k] = usual[k]
    answers = model.run(rows)[output.name]
    found = [
        Effect(names[k], float(row[k]), float(rows[place, k]), float(answers[0] - answers[place]))
        for place, k in enumerate(known, 1)
    ]
    # A missing answer (NaN) comes last.
    found.sort(key=lambda one: -abs(one.effect) if one.effect == one.effect else 1.0)
    return float(answers[0]), found
