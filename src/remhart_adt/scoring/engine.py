"""The engine: readings in, windows advanced, features filled once, every due model asked, reasons given.

Rates go by source time: a model is due at every accepted reading, at the first accepted reading of a new minute of its
point, or of a new quarter hour; one that must abstain then answers at the first reading at which it can. Slots without
a usable model answer once per quarter hour, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from remhart_adt import log
from remhart_adt.errors import ModelError
from remhart_adt.ids import MODEL_BY_ID
from remhart_adt.readings import CHANNELS, PHASES, Quality, ReadingBatch
from remhart_adt.resources import models_dir as packaged_models
from remhart_adt.scoring.compute import compute, point_table
from remhart_adt.scoring.drift import FILE as REFERENCE
from remhart_adt.scoring.drift import Drift, Reference
from remhart_adt.scoring.eligibility import Prepared, due_readings
from remhart_adt.scoring.features import FEATURES
from remhart_adt.scoring.feeder import FEEDER_FEATURES, FeederView, Missing
from remhart_adt.scoring.manifest import Entry, read_manifest
from remhart_adt.scoring.sessions import Model
from remhart_adt.scoring.types import (
    FeederInfo,
    FeederScore,
    ModelScores,
    OutputSpec,
    Scores,
    Slot,
    SlotState,
    Status,
    output_value,
)
from remhart_adt.scoring.windows import Windows

__all__ = ["Engine", "Prepared", "map_key"]

_log = log.get(__name__)
_NOT_INSTALLED: Final = "not installed"


_NOTHING: Final = ModelScores("", np.zeros(0, np.int64), np.zeros(0, np.int8), np.zeros(0, np.int32), ("",), {})


class Engine:
    """The installed models. Holds no state of the stream: that is in `Windows`. One thread at a time."""

    def __init__(
        self, models: Sequence[Model], problems: dict[str, str] | None = None, drift: Drift | None = None
    ) -> None:
        """`problems` are slots that have an entry but no usable model, with the reason. `drift` counts what comes."""
        self._models = {model.entry.id: model for model in models}
        self._problems = dict(problems or {})
        self.drift = drift
        self._folder: Path | None = None
        self._seen: tuple[Any, ...] = ()
        self._views: dict[str, FeederView] = {}
        self._viewed: list[Windows] = []
        self._tables: dict[int, tuple[Windows, int, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]] = {}

    @classmethod
    def load(cls, models_dir: Path | None = None) -> Engine:
        """Every model of the manifest that is sound; the others are quarantined with the reason.

        Raises ModelError when there is no readable manifest at all.
        """
        folder = packaged_models() if models_dir is None else models_dir
        seen = _signature(folder)
        models, problems = _load(folder, {})
        for name, reason in problems.items():
            _log.warning("model %s is out: %s", name, reason)
        engine = cls(models, problems, _drift(folder))
        engine._folder, engine._seen = folder, seen
        return engine

    def refresh(self) -> bool:
        """Take up what has changed in the folder of the models since they were loaded; whether anything had.

        What has not changed is not loaded again. A model stays as long as its replacement is not sound, and all of
        them as long as the manifest cannot be read; both are logged.
        """
        if self._folder is None or (seen := _signature(self._folder)) == self._seen:
            return False
        self._seen = seen
        try:
            models, problems = _load(self._folder, self._models)
            self.drift = _drift(self._folder) or self.drift
        except ModelError as error:
            _log.error("the models stay as they are: %s", error)
            return False
        fresh = {model.entry.id: model for model in models}
        for name, reason in problems.items():
            if name in self._models and name not in self._problems:
                _log.error("model %s stays as it is, its replacement is out: %s", name, reason)
                fresh[name] = self._models[name]
            else:
                _log.warning("model %s is out: %s", name, reason)
        self._models, self._problems = fresh, {n: r for n, r in problems.items() if n not in fresh}
        _log.info("models taken up: %d", len(fresh))
        return True

    @property
    def slots(self) -> dict[str, Slot]:
        """All 16 slots in their fixed order."""
        return {name: self._slot(name) for name in MODEL_BY_ID}

    def _slot(self, name: str) -> Slot:
        if name in self._problems:
            return Slot(name, SlotState.QUARANTINED, self._problems[name])
        model = self._models.get(name)
        if model is None:
            return Slot(name, SlotState.ABSENT, _NOT_INSTALLED)
        entry = model.entry
        specs = entry.specs
        return Slot(name, SlotState.INSTALLED, "", entry.version, entry.scope, entry.rate, specs)

    def entry(self, name: str) -> Entry | None:
        """The manifest entry of an installed model."""
        model = self._models.get(name)
        return None if model is None or name in self._problems else model.entry

    def process(self, windows: Windows, batch: ReadingBatch) -> Scores:
        """Take a batch in and score it. The same readings give the same bits however they are cut into batches."""
        prepared = self.prepare(windows, batch)
        if self.drift is not None and (due := prepared.quarter & ~prepared.bad).any():
            self.drift.add(prepared.features[due])
        scores: dict[str, ModelScores] = {}
        for name in MODEL_BY_ID:
            model = self._models.get(name)
            if model is not None and name not in self._problems:
                if model.entry.scope == "feeder":
                    continue
                answer = self._score(model, prepared, windows)
            else:
                answer = self._refuse(name, prepared)
            if len(answer.rows):
                scores[name] = answer
        return Scores(prepared.accepted, scores)

    def prepare(self, windows: Windows, batch: ReadingBatch, wanted: NDArray[np.bool_] | None = None) -> Prepared:
        """Take a batch in and fill the feature table, without asking a model (training reads this too): of all accepted
        readings, or of those that are `wanted` (n,)."""
        accepted = np.zeros(len(batch), bool)
        parts: list[tuple[Any, ...]] = []
        for step in windows.steps(batch):
            points, phases, rated = self._points(windows)
            accepted[step.index] = True
            if wanted is not None:
                step = step.take(wanted[step.index])
            quality = batch.quality[step.index]
            features = compute(windows, step, points, quality)
            absent = np.isnan(windows.raw[step.row, step.pos])
            parts.append(
                (
                    step.index, features, absent, phases[step.row], rated[step.row], quality == Quality.BAD,
                    step.new_minute, step.new_quarter, step.seen, step.row,
                )
            )  # fmt: skip
        if not parts:
            none = np.zeros(0, bool)
            return Prepared(
                accepted, np.zeros(0, np.int64), np.zeros((0, len(FEATURES)), np.float32),
                np.zeros((0, len(CHANNELS)), bool), np.zeros((0, 3), bool), none, none, none, none,
                np.zeros(0, np.int64), np.zeros(0, np.int64),
            )  # fmt: skip
        columns = parts[0]
        if len(parts) > 1:
            columns = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
        if len(columns[0]) > 1:
            order = np.argsort(columns[0], kind="stable")
            columns = tuple(column[order] for column in columns)
        return Prepared(accepted, *columns)

    def _points(self, windows: Windows) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Constants, metered phases and "has a rating" of every row; kept until the windows' points change."""
        held = self._tables.get(id(windows))
        if held is None or held[0] is not windows or held[1] != windows.generation:
            phases = np.array([[x in info.phases for x in PHASES] for info in windows.infos], bool).reshape(-1, 3)
            rated = np.array([info.rated_a is not None for info in windows.infos], bool)
            held = (windows, windows.generation, point_table(windows), phases, rated)
            self._tables = {key: value for key, value in self._tables.items() if value[0] is not windows}
            self._tables[id(windows)] = held
        return held[2], held[3], held[4]

    def _refuse(self, name: str, prepared: Prepared) -> ModelScores:
        if not prepared.quarter.any():
            return _NOTHING
        rows = prepared.index[prepared.quarter]
        failed = name in self._problems
        reason = self._problems.get(name, _NOT_INSTALLED)
        status = np.full(len(rows), Status.FAILED if failed else Status.ABSTAINED, np.int8)
        return ModelScores(name, rows, status, np.ones(len(rows), np.int32), ("", reason), {})

    def _score(self, model: Model, prepared: Prepared, windows: Windows) -> ModelScores:
        entry = model.entry
        chosen, reason, reasons = due_readings(entry, prepared, windows)
        if not len(chosen):
            return _NOTHING
        specs = entry.specs
        able = reason == 0
        every = bool(able.all())
        status = (~able).astype(np.int8)  # Status.OK is 0, Status.ABSTAINED 1
        outputs: dict[str, NDArray[Any]] = {}
        if every or able.any():
            rows = prepared.features
            if not every:
                rows = rows[chosen[able]]
            elif len(chosen) < len(prepared.index):
                rows = rows[chosen]
            try:
                answer = model.run(rows.take(entry.columns, axis=1))
            except ModelError as error:
                self._problems[entry.id] = error.what
                _log.error("model %s is out: %s", entry.id, error.what)
                status[able] = Status.FAILED
                reason[able] = len(reasons)
                reasons = (*reasons, error.what)
            else:
                outputs = answer if every else {s.name: _spread(s, able, answer[s.name]) for s in specs}
        if not outputs:
            outputs = {spec.name: _blank(spec, len(chosen)) for spec in specs}
        return ModelScores(entry.id, prepared.index[chosen], status, reason, reasons, outputs, specs)

    def feeder(self, windows: Sequence[Windows], feeder: FeederInfo, members: Sequence[str]) -> dict[str, FeederScore]:
        """What the feeder models say of one feeder, by model id.

        `windows` are all partitions of this process; `members` the points under the feeder's source. The answer is a
        function of the readings taken in so far: no timer and no arrival order enters.
        """
        wanted = [m for name, m in self._models.items() if m.entry.scope == "feeder" and name not in self._problems]
        if not wanted:
            return {}
        try:
            day = any(model.entry.needs.quarters_of_members for model in wanted)
            end_us, features = self._view(windows, feeder, members).features(feeder, day=day)
        except Missing as missing:
            return {
                model.entry.id: FeederScore(
                    model.entry.id, feeder.feeder_id, missing.time_us, Status.ABSTAINED, missing.reason, {},
                    missing.members,
                )
                for model in wanted
            }  # fmt: skip
        return {model.entry.id: self._score_feeder(model, feeder, end_us, features) for model in wanted}

    def _view(self, windows: Sequence[Windows], feeder: FeederInfo, members: Sequence[str]) -> FeederView:
        if [*windows] != self._viewed:  # partitions that have gone must not be held
            self._views, self._viewed = {}, [*windows]
        view = self._views.get(feeder.feeder_id)
        if view is None or not view.holds(windows, feeder.head_id, members):
            view = self._views[feeder.feeder_id] = FeederView(windows, feeder.head_id, members)
        return view

    def _score_feeder(
        self, model: Model, feeder: FeederInfo, end_us: int, features: NDArray[np.float32]
    ) -> FeederScore:
        entry = model.entry
        blank = FeederScore(entry.id, feeder.feeder_id, end_us, Status.OK, "", {})
        if reason := _feeder_lacks(entry, feeder) or _feeder_reason(entry, features[0]):
            return replace(blank, status=Status.ABSTAINED, reason=reason)
        try:
            answer = model.run(features.take(entry.columns, axis=1))
        except ModelError as error:
            self._problems[entry.id] = error.what
            _log.error("model %s is out: %s", entry.id, error.what)
            return replace(blank, status=Status.FAILED, reason=error.what)
        outputs: dict[str, Any] = {}
        for output, spec in zip(entry.outputs, entry.specs, strict=True):
            value = output_value(spec, answer[output.name][0])
            if value is None:
                continue
            if output.unit_number is None:
                outputs[output.name] = value
            elif output.unit_number <= len(feeder.units):
                name = output.path.rpartition("/")[2]
                outputs.setdefault(name, {})[map_key(feeder.units[output.unit_number - 1].unit_id)] = value
        return replace(blank, outputs=outputs)


def map_key(component: str) -> str:
    """A component's id as the key of a Map on a twin, which does not begin with $."""
    return f"_{component[1:]}" if component.startswith("$") else component


def _feeder_lacks(entry: Entry, feeder: FeederInfo) -> str:
    """What units a feeder model needs and the feeder does not declare; empty when it need not abstain for that."""
    have = len(feeder.units)
    if have >= entry.needs.units:
        return ""
    if not have or feeder.units[0].point_id != feeder.head_id:
        return "the infeed declares no limits and price (dispatch)"
    return f"{have - 1} of {entry.needs.units - 1} units declare limits and cost (dispatch)"


def _signature(folder: Path) -> tuple[Any, ...]:
    """What tells that a file of the folder is another one than before."""
    found = []
    for path in sorted((folder / "manifest.json", folder / REFERENCE, *folder.glob("*.onnx"))):
        try:
            stat = path.stat()
        except OSError:
            continue
        found.append((path.name, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


def _load(folder: Path, known: Mapping[str, Model]) -> tuple[list[Model], dict[str, str]]:
    """The sound models of a folder, and what is wrong with the others; a known one that is the same is taken as it is.

    Raises ModelError when there is no readable manifest at all.
    """
    manifest = read_manifest(folder)
    models, problems = [], dict(manifest.problems)
    for name, entry in manifest.entries.items():
        old = known.get(name)
        try:
            models.append(old if old is not None and old.entry == entry else Model(entry, folder))
        except ModelError as error:
            problems[name] = error.what
    return models, problems


def _drift(folder: Path) -> Drift | None:
    try:
        reference = Reference.load(folder)
    except ModelError as error:
        _log.warning("drift is not watched: %s", error)
        return None
    return None if reference is None else Drift(reference)


def _spread(spec: OutputSpec, able: NDArray[np.bool_], answers: NDArray[Any]) -> NDArray[Any]:
    """Answers of the readings that have one, in their places."""
    column = _blank(spec, len(able))
    column[able] = answers
    return column


def _feeder_reason(entry: Entry, features: NDArray[np.float32]) -> str:
    """Why a feeder model must abstain for what its members meter or where it is set; empty when it need not."""
    needs, row = entry.needs, dict(zip(FEEDER_FEATURES, features.tolist(), strict=True))
    if row["head_phases"] < needs.phases:
        return f"needs {needs.phases} metered phases at the head"
    if needs.quarters_of_members:
        if row["leaves_blind"] > 0:
            return f"missing channel: p or v of a metered phase at {row['leaves_blind']:.0f} members"
        if row["day_quarters"] < needs.quarters_of_members:
            have, least = int(row["day_quarters"]), needs.quarters_of_members
            return f"cold start: {have} of {least} quarter hours of every member"
        if not row["day_infeed_w"] > 0:
            return "the feeder fed back over the last day"
    if needs.controls and np.isnan([row["tap_step"], row["bank_step"]]).all():
        return "no tap changer or capacitor bank with a known position is declared"
    return ""


def _blank(spec: OutputSpec, n: int) -> NDArray[Any]:
    if spec.kind == "double":
        return np.full(n, np.nan)
    return np.zeros(n, bool) if spec.kind == "boolean" else np.full(n, -1, np.int64)
