"""How much an instance holds: the service's functional limits, which tests may lower."""

from __future__ import annotations

from dataclasses import dataclass

from remhart_adt import limits
from remhart_adt.local.adt.errors import AdtError
from remhart_adt.local.adt.store import Store

__all__ = ["Bounds"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The published limits of one instance; the checks raise the service's refusals."""

    twins: int = limits.ADT_TWINS_PER_INSTANCE
    relationships: int = limits.ADT_RELATIONSHIPS_PER_INSTANCE
    relationships_per_twin: int = limits.ADT_RELATIONSHIPS_PER_TWIN
    models: int = limits.ADT_MODELS_PER_INSTANCE

    def check_new_twin(self, store: Store) -> None:
        """400 TwinLimitReached when there is no room for another twin."""
        if store.holds("twins", self.twins):
            raise AdtError(400, "TwinLimitReached", f"The instance has reached its limit of {self.twins} twins.")

    def check_new_relationship(self, store: Store, source: str, target: str) -> None:
        """400 LimitExceeded when the instance, the source or the target has no room for another relationship."""
        if store.holds("relationships", self.relationships):
            what = f"The instance has reached its limit of {self.relationships} relationships."
            raise AdtError(400, "LimitExceeded", what)
        for direction, column, twin in (("outgoing", "source", source), ("incoming", "target", target)):
            if store.holds_relationships(column, twin, self.relationships_per_twin):
                what = f"Twin {twin} has reached its limit of {self.relationships_per_twin} {direction} relationships."
                raise AdtError(400, "LimitExceeded", what)
