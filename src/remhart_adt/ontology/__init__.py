"""The four interfaces as typed twins: classes generated from `dtdl/*.json` over a small base.

`GridMeasurementPoint.from_twin(document)` reads a twin, `.to_twin()` writes one; each module also has the interface's
relationships, objects and enumerations.
"""

from __future__ import annotations

from remhart_adt.ontology.base import InterfaceModel, Part, RelationshipModel
from remhart_adt.ontology.grid_component import GridComponent
from remhart_adt.ontology.grid_measurement_point import GridMeasurementPoint
from remhart_adt.ontology.ml_engine import MLEngine
from remhart_adt.ontology.user import User

__all__ = [
    "GridComponent",
    "GridMeasurementPoint",
    "InterfaceModel",
    "MLEngine",
    "Part",
    "RelationshipModel",
    "User",
]
