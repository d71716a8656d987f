"""The stored models: upload, decommission, delete, and what a twin or relationship must look like.

The rules are those of the DTDL room; here they are asked in the service's order and answered in its words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from remhart_adt.clock import parse_us
from remhart_adt.dtdl import InstanceProblem, ModelSet, Problem, Report, check_relationship, check_twin, parse
from remhart_adt.dtdl.instance import check_size, errors_of
from remhart_adt.errors import DtdlError
from remhart_adt.local.adt import errors
from remhart_adt.local.adt.patch import Applied
from remhart_adt.local.adt.store import Store
from remhart_adt.local.adt.ticks import Ticker, model_time

__all__ = ["Catalog", "Model"]

# A report may have a line for every element of 250 models; the service's own messages are not that long either.
_SHOWN: Final = 20
_ECHOED: Final = 2048
_VERSION_RULES: Final = ("unrecognizedContextVersion", "versionNotForAdt")
_NO_CONTEXT: Final = (
    "In source, top-level JSON object has no @context specifier. Add a '@context' property whose value is a valid DTDL "
    "context specifier, such as 'dtmi:dtdl:context;2'."
)
_NO_ID: Final = (
    "In source, top-level JSON element requires an identifer but none provided. Add an '@id' property whose value is a "
    "string that conforms to the DTMI syntax -- see https://github.com/Azure/digital-twin-model-identifier."
)
# What is wrong with a property of an Interface's contents, as recorded for the two rules that a wrong schema breaks.
_OF_CONTENTS: Final = {
    "badDtmiOrTerm": "has value '{value}' that is neither a valid DTMI reference nor a DTDL term. Replace the value of "
    "property '{prop}' with a valid DTMI reference or a term defined by DTDL -- see "
    "https://github.com/Azure/opendigitaltwins-dtdl/tree/master/DTDL",
    "objectCountBelowMin": "has no valid value but one is required. Provide a value for '{prop}' that is either an "
    "element definition or a DTMI reference",
}


@dataclass(slots=True)
class Model:
    """A stored model; `definition` is its JSON text as uploaded, `uploaded` in ticks."""

    n: int
    id: str
    definition: bytes
    decommissioned: bool
    uploaded: int
    display_name: Mapping[str, str]
    description: Mapping[str, str]

    def record(self, *, definition: bool = False) -> dict[str, Any]:
        """The record on the wire."""
        record: dict[str, Any] = {
            "id": self.id,
            "description": self.description,
            "displayName": self.display_name,
            "decommissioned": self.decommissioned,
            "uploadTime": model_time(self.uploaded),
        }
        if definition:
            record["model"] = orjson.Fragment(self.definition)
        return record


class Catalog:
    """Every stored model and, parsed, the set of them all."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._models: dict[str, Model] = {}
        self._components: dict[str, dict[str, str]] = {}
        self.models = ModelSet({})
        self.reload()

    def reload(self) -> None:
        """Read everything from the store again."""
        rows = list(self._store.models())
        self._models = {}
        for n, model_id, text, decommissioned, uploaded in rows:
            self._models[model_id] = _model(n, text.encode(), decommissioned, uploaded)
        self._use(parse([orjson.loads(text) for _, _, text, _, _ in rows]) if rows else ModelSet({}))

    def _use(self, models: ModelSet) -> None:
        self.models = models
        self._components = {}

    def __len__(self) -> int:
        return len(self._models)

    def get(self, model_id: str) -> Model | None:
        """A model by id."""
        return self._models.get(model_id)

    def all(self) -> Iterator[Model]:
        """Every model in upload order."""
        return iter(self._models.values())

    # --- changes

    def upload(self, definitions: list[Any], ticker: Ticker) -> list[Model]:
        """Store all of the interfaces or none; raises the service's refusals."""
        return self.add(definitions, self.parse(definitions), ticker)

    def parse(self, definitions: list[Any]) -> ModelSet:
        """The interfaces with what they need of the stored ones; raises the service's refusals. Changes nothing."""
        for definition in definitions:
            if "@context" not in definition:
                raise errors.model_parse_error(_NO_CONTEXT)
            if not isinstance(definition.get("@id"), str):
                raise errors.model_parse_error(_NO_ID)
        existing = [definition["@id"] for definition in definitions if definition["@id"] in self._models]
        if existing:
            raise errors.model_exists(existing)
        try:
            return parse(definitions, resolver=self._resolve, profile="adt")
        except DtdlError as error:
            raise _parse_error(error, definitions) from None

    def add(self, definitions: list[Any], parsed: ModelSet, ticker: Ticker) -> list[Model]:
        """Store interfaces that were parsed against the models as they are now."""
        added: list[tuple[str, str, int]] = []
        for definition in definitions:
            added.append((definition["@id"], orjson.dumps(definition).decode(), ticker.next()))
        self._store.add_models(added)
        number = max((model.n for model in self._models.values()), default=0)
        numbers = {model_id: n for n, model_id, *_ in self._store.models() if n > number}
        models = [_model(numbers[model_id], text.encode(), False, when) for model_id, text, when in added]
        self._models.update((model.id, model) for model in models)
        fresh = {model_id: parsed[model_id] for model_id, *_ in added}
        self._use(ModelSet({**self.models.interfaces, **fresh}))
        return models

    def clear(self) -> None:
        """Remove every model."""
        for model_id in self._models:
            self._store.delete_model(model_id)
        self._models = {}
        self._use(ModelSet({}))

    def _resolve(self, wanted: Sequence[str]) -> list[Any]:
        found = (self._models.get(dtmi) for dtmi in wanted)
        return [orjson.loads(model.definition) for model in found if model is not None]

    def decommission(self, model: Model) -> None:
        """Allow no new twins of the model; refused while an active model refers to it."""
        if model.decommissioned:
            return
        active = [model_id for model_id in self._referring(model.id) if not self._models[model_id].decommissioned]
        if active:
            raise errors.model_references_active(active)
        self._store.decommission(model.id)
        model.decommissioned = True

    def delete(self, model: Model) -> None:
        """Remove the model; refused while another one extends it or has it as component."""
        referring = self._referring(model.id)
        if referring:
            raise errors.model_referenced(referring)
        self._store.delete_model(model.id)
        del self._models[model.id]
        left = {dtmi: interface for dtmi, interface in self.models.interfaces.items() if dtmi != model.id}
        self._use(ModelSet(left))

    def _referring(self, model_id: str) -> list[str]:
        return [
            dtmi
            for dtmi, interface in self.models.interfaces.items()
            if dtmi != model_id
            and (model_id in interface.extends or any(c.component == model_id for c in interface.own.values()))
        ]

    # --- questions

    def knows(self, model_id: str) -> bool:
        """Whether twins of this model can be written."""
        return model_id in self.models.interfaces

    def is_decommissioned(self, model_id: str) -> bool:
        """Whether no new twins may be made of it."""
        return self._models[model_id].decommissioned

    def components(self, model_id: str) -> dict[str, str]:
        """Component names of a model, with their interfaces; none for a model that is gone."""
        found = self._components.get(model_id)
        if found is None:
            interface = self.models.interfaces.get(model_id)
            of_kind = interface.of_kind("Component") if interface is not None else {}
            found = self._components[model_id] = {name: content.component for name, content in of_kind.items()}
        return found

    def models_of(self, model_id: str, exact: bool) -> list[str]:
        """The ids that IS_OF_MODEL accepts: the id, its later versions, and whatever extends one of them."""
        if exact:
            return [model_id]
        name, version = _version(model_id)
        bases = {dtmi for dtmi in self.models if _version(dtmi)[0] == name and _version(dtmi)[1] >= version}
        return [dtmi for dtmi in self.models if dtmi in bases or not bases.isdisjoint(self.models.ancestors(dtmi))]

    # --- checks: messages in the service's words, none when all is well

    def check_twin(self, model_id: str, body: Mapping[str, Any]) -> list[str]:
        """A whole twin as given to PUT; its size shows when it is stored."""
        return self._messages(check_twin(self.models, body, measure=False), model_id)

    def check_size(self, doc: Mapping[str, Any], stored: int) -> list[str]:
        """A whole twin that has become `stored` bytes of JSON."""
        return self._messages(check_size(doc, stored), "")

    def check_patched(self, model_id: str, applied: Applied, *, whole: bool) -> list[str]:
        """What a patch made of a twin: only what it touched, unless the model changed."""
        root = applied.root
        components = self.components(model_id)
        view: dict[str, Any] = {"$metadata": {"$model": model_id}}
        if whole:
            view.update((name, value) for name, value in root.items() if name[:1] != "$")
        else:
            for name in components:
                if name in root:
                    view[name] = {"$metadata": {}}
            for component, name in applied.touched:
                if not component or not name or component not in components:
                    name = component or name
                    if name in root:
                        view[name] = root[name]
                elif name in root[component]:
                    held = view[component]
                    if held is not root[component]:
                        held[name] = root[component][name]
        found = self._messages(check_twin(self.models, view, measure=False), model_id)
        for (component, name), value in applied.source_times.items():
            if value is not None and not _is_time(value):
                found.append(f"Expected value of type dateTime for sourceTime of {name} on {component or 'Twin'}.")
        return found

    def check_relationship(
        self, source_model: str, name: str, properties: Mapping[str, Any], target_model: str | None
    ) -> None:
        """A relationship's name, target and properties; raises the service's refusals."""
        if not self.knows(source_model):
            raise errors.invalid_twin([_gone(source_model)])
        document = {"$relationshipName": name, **properties}
        problems = errors_of(check_relationship(self.models, source_model, document, target_model))
        for problem in problems:
            if problem.kind in ("unknown_relationship", "wrong_target"):
                raise errors.relationship_misfit()
        if problems:
            raise errors.invalid_relationship(self._messages(problems, source_model))

    def _messages(self, problems: Sequence[InstanceProblem], model_id: str) -> list[str]:
        return [self._message(problem, model_id) for problem in errors_of(problems)]

    def _message(self, problem: InstanceProblem, model_id: str) -> str:
        match problem.kind:
            case "unknown_model":
                return _gone(model_id)
            case "unknown_property":
                interface = self.models.interfaces.get(problem.element)
                content = interface.contents.get(problem.name) if interface is not None else None
                if content is not None and content.kind != "Property":
                    return f"{problem.name} is not a property - it is a {content.kind}."
                return f"{problem.name} does not appear on the DTDL for {problem.owner}."
            case "wrong_type":
                return f"Expected value of type {problem.expected} for {problem.name} on {problem.owner}."
            case "missing_component":
                return f"Twin is missing the component {problem.name}."
            case "missing_component_metadata":
                return f"{problem.name} is missing $metadata on Twin."
            case "too_large":
                return problem.message
            case _:
                where = f" ({problem.path})" if problem.path.count("/") > 1 else ""
                return f"Expected {problem.expected or 'another value'} for {problem.name} on {problem.owner}{where}."


def _model(n: int, definition: bytes, decommissioned: bool, uploaded: int) -> Model:
    document = orjson.loads(definition)
    names, description = _language_map(document.get("displayName")), _language_map(document.get("description"))
    return Model(n, document["@id"], definition, decommissioned, uploaded, names, description)


def _language_map(value: Any) -> dict[str, str]:
    """A plain DTDL string is English."""
    if isinstance(value, str):
        return {"en": value}
    return value if isinstance(value, dict) else {}


def _version(dtmi: str) -> tuple[str, tuple[int, int]]:
    """The DTMI without its version, and the version; none counts as lowest."""
    name, _, version = dtmi.partition(";")
    major, _, minor = version.partition(".")
    return name, (int(major) if major.isdigit() else 0, int(minor) if minor.isdigit() else 0)


def _is_time(value: Any) -> bool:
    try:
        parse_us(value)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _gone(model_id: str) -> str:
    return f"{model_id} or one of its dependencies does not exist."


def _parse_error(error: DtdlError, definitions: list[Any]) -> errors.AdtError:
    report: Report | None = error.report
    if report is None:
        return errors.model_parse_error(error.what)
    if report.errors:
        if report.errors[0].rule in _VERSION_RULES:
            return errors.model_version_not_supported(report.errors[0].message)
        shown = [_worded(problem, definitions) for problem in report.errors[:_SHOWN]]
        if len(report.errors) > _SHOWN:
            shown.append(f"{len(report.errors) - _SHOWN} more")
        return errors.model_parse_error(". | ".join(shown) + ".")  # recorded for two
    references = ", ".join(
        f"{missing.dtmi} (referenced in {len(missing.places)} place{'s' if len(missing.places) != 1 else ''})"
        for missing in report.unresolved[:_SHOWN]
    )
    middle = f"DtmiResolverAsync failed to resolve requisite references to element(s): {references}"
    return errors.model_parse_error(middle)


def _worded(problem: Problem, definitions: list[Any]) -> str:
    """A broken rule in the service's words where they are known, else in ours; without the full stop at its end."""
    text = _OF_CONTENTS.get(problem.rule)
    if text is not None:
        try:
            number, contents, place, prop = problem.path.split("/")[1:]
            model = definitions[int(number)]
            element = model[contents][int(place)]
            name, value = str(element["name"])[:_ECHOED], str(element.get(prop))[:_ECHOED]
        except (ValueError, LookupError, TypeError, AttributeError):
            pass
        else:
            where = f"{model['@id']} has '{contents}' value with name '{name}' whose property '{prop}'"
            return f"{where} {text.format(prop=prop, value=value)}"
    return f"{problem.message.rstrip('.')}. {problem.remedy}".rstrip(". ")
