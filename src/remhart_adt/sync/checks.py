"""The models of the graph as the service has them, so that what it would refuse need not be sent.

The checks are those of the client and of the local server (`dtdl.instance`). A twin whose model is not known is not
checked, and when the models cannot be read, nothing is: then the service judges, as ever.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from remhart_adt import log
from remhart_adt.dtdl import InstanceProblem, ModelSet, check_patch, check_relationship_patch, parse
from remhart_adt.dtdl.instance import errors_of
from remhart_adt.errors import DtdlError, NotFoundError, ServiceError
from remhart_adt.graph.snapshot import model_of
from remhart_adt.sync.lanes import Target

if TYPE_CHECKING:
    from remhart_adt.client import AsyncAdtClient

__all__ = ["ModelChecks"]

_LOG = log.get(__name__)


class ModelChecks:
    """The models, and which twin is of which. `refresh` reads both anew; `refusal` is asked before every patch."""

    def __init__(self, models: ModelSet | None = None, model_of_twin: Mapping[str, str] | None = None) -> None:
        self._models = models or ModelSet({})
        self._model_of = dict(model_of_twin or {})
        self._definitions: dict[str, Any] = {}
        self._trouble = ""

    async def refresh(self, client: AsyncAdtClient, twins: Iterable[Mapping[str, Any]]) -> None:
        """Read the models that these twins are of, with everything they need; parse them when they have changed.

        A model may be deleted and uploaded again under the same id, so what is known already is read again, too.
        """
        self._model_of = {str(twin["$dtId"]): model_of(twin) for twin in twins}
        definitions: dict[str, Any] = {}
        try:
            for model in sorted(set(self._model_of.values())):
                with contextlib.suppress(NotFoundError):  # a twin may outlive its model
                    async for record in client.models.list(include_definition=True, dependencies_for=[model]):
                        definitions[record.id] = record.definition
            if definitions != self._definitions:
                self._models = await asyncio.to_thread(parse, list(definitions.values()))
                self._definitions = definitions
        except (ServiceError, DtdlError) as error:
            if not self._trouble:
                _LOG.warning("the models cannot be used, patches go out without a check: %s", error)
            self._trouble = str(error)
            self._models, self._definitions = ModelSet({}), {}
        else:
            self._trouble = ""

    def refusal(self, target: Target, document: Mapping[str, Any], patch: list[dict[str, Any]]) -> str:
        """Why the service would refuse this patch of a target that looks like `document`; empty when it would not."""
        found = self._check(target, document, patch)
        if found:
            # In Python a value may look otherwise than on the wire (an enumeration's member is a text there).
            found = self._check(target, document, orjson.loads(orjson.dumps(patch)))
        return found[0].message if found else ""

    def _check(self, target: Target, document: Mapping[str, Any], patch: list[dict[str, Any]]) -> list[InstanceProblem]:
        model = self._model_of.get(target.twin, "") if target.relationship else model_of(document)
        if model not in self._models:
            return []
        if target.relationship:
            name = str(document.get("$relationshipName"))
            return errors_of(check_relationship_patch(self._models, model, name, patch))
        return errors_of(check_patch(self._models, model, patch))
