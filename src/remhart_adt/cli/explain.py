"""`remhart-adt scoring explain`: what a model looks at, and what moved an answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from remhart_adt.errors import ConfigError, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from remhart_adt.scoring.engine import Engine
    from remhart_adt.scoring.manifest import Entry
    from remhart_adt.scoring.offline import FlatFile
    from remhart_adt.scoring.types import PointInfo

__all__ = ["about", "last_answer"]

_SHOWN: Final = 15


def _entry(name: str, models: Path | None) -> tuple[Entry, Path]:
    from remhart_adt.ids import MODEL_BY_ID
    from remhart_adt.resources import models_dir
    from remhart_adt.scoring.manifest import read_manifest

    folder = models or models_dir()
    if name not in MODEL_BY_ID:
        raise ConfigError(f"there is no model {name!r}", remedy=f"One of: {', '.join(MODEL_BY_ID)}")
    manifest = read_manifest(folder)
    if name not in manifest.entries:
        raise ModelError(name, manifest.problems.get(name, "not installed"), remedy="See remhart-adt scoring list")
    return manifest.entries[name], folder


def about(name: str, models: Path | None) -> tuple[list[dict[str, Any]], list[str]]:
    """Inputs and outputs of a model as rows, and what is to be said before them."""
    from remhart_adt.scoring.features import FEATURES
    from remhart_adt.scoring.feeder import FEEDER_FEATURES

    entry, _ = _entry(name, models)
    point = {f.name: (f.formula, f.unit) for f in FEATURES}
    table: Mapping[str, tuple[str, str]] = FEEDER_FEATURES if entry.scope == "feeder" else point
    rows = [
        {"kind": "output", "name": o.name, "unit": o.unit or "-", "what": o.description}
        | ({"what": f"{o.description}: {' | '.join(o.values)}"} if o.values else {})
        for o in entry.outputs
    ]
    rows += [{"kind": "input", "name": n, "unit": table[n][1], "what": table[n][0]} for n in entry.inputs]
    notes = [f"{entry.id} {entry.version}: {entry.algorithm}; asked once per {entry.rate.replace('_', ' ')}"]
    needs = {key: value for key, value in entry.needs.model_dump(exclude_defaults=True).items() if value}
    if needs:
        notes.append("needs " + "; ".join(f"{key.replace('_', ' ')}: {_text(value)}" for key, value in needs.items()))
    for figure in entry.metrics.get("figures", ()):
        value, baseline = (f"{figure[key]:.4g}" for key in ("value", "baseline"))
        what = f"{figure['name']} ({figure['unit']}), {figure['on']}"
        notes.append(f"{what}: {value} against {baseline} of {figure['baseline_name']}")
    return rows, [*notes, *(f"limit: {limit}" for limit in entry.limits)]


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple | list) else "yes" if value is True else str(value)


def last_answer(
    name: str, models: Path | None, file: Path, infos: Mapping[str, PointInfo], point: str | None, of: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """What moved the last answer of a model to a file of readings, as rows, and what is to be said before them."""
    from remhart_adt.scoring.drift import FILE, Reference
    from remhart_adt.scoring.engine import Engine
    from remhart_adt.scoring.explain import effects, headline
    from remhart_adt.scoring.offline import FlatFile
    from remhart_adt.scoring.sessions import Model

    entry, folder = _entry(name, models)
    if entry.scope != "point":
        raise ModelError(name, f"it looks at a whole {entry.scope}; only answers to single points can be explained")
    output = headline(entry, of)
    if output is None:
        numbers = ", ".join(o.name for o in entry.outputs if o.kind == "double")
        raise ConfigError(f"{name} has no number named {of!r}", remedy=f"One of: {numbers or 'none'}")
    reference = Reference.load(folder)
    if reference is None:
        raise ModelError(name, f"there is no {FILE} beside the manifest", remedy="It comes with scripts/train")
    if point is not None and point not in infos:
        raise ConfigError(f"the point {point!r} is not declared", remedy="See --points or --graph")
    model = Model(entry, folder)
    found = _last_row(Engine([model]), FlatFile(file, infos), infos, name, point)
    if found is None:
        raise ModelError(
            name, "it answered to no reading of the file", remedy="remhart-adt scoring run gives the reasons"
        )
    where, stamp, features = found
    answer, every = effects(model, features[entry.columns], output, reference)
    rows = [
        {"feature": e.feature, "value": _number(e.value), "usual": _number(e.usual), "effect": _number(e.effect)}
        for e in every[:_SHOWN]
    ]
    unit = f" {output.unit}" if output.unit else ""
    return rows, [f"{where} at {stamp}: {output.name} is {_number(answer)}{unit}"]


def _last_row(
    engine: Engine, source: FlatFile, infos: Mapping[str, PointInfo], name: str, point: str | None
) -> tuple[str, str, NDArray[np.float32]] | None:
    """Point, time and features of the newest reading that the model answered."""
    from remhart_adt.scoring.types import Status
    from remhart_adt.scoring.windows import Windows

    windows, shadow = Windows(tuple(infos.values())), Windows(tuple(infos.values()))
    found = None
    for chunk in source.chunks():
        answer = engine.process(windows, chunk.batch).models.get(name)
        prepared = engine.prepare(shadow, chunk.batch)
        place = {int(row): k for k, row in enumerate(prepared.index)}
        for k, row in enumerate(answer.rows.tolist() if answer is not None else ()):
            where = chunk.batch.points[chunk.batch.point[row]]
            if answer is not None and answer.status[k] == Status.OK and point in (None, where):
                found = (where, chunk.stamps[row], prepared.features[place[row]])
    return found


def _number(value: float) -> str:
    return "missing" if value != value else f"{value:.5g}"
