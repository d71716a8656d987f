"""User: a person who works with the grid's digital twin, and the role that person has.

Generated from dtmi:remhart:smartgrid:User;2 by `remhart-adt dtdl codegen`; do not edit.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from remhart_adt.ontology.base import (
    Boolean,
    Instant,
    InterfaceModel,
    Part,
    RelationshipClasses,
    RelationshipModel,
    Text,
)

__all__ = [
    "Activity",
    "Manages",
    "Role",
    "User",
    "UserTelemetry",
]


class Role(StrEnum):
    """What a person may do."""

    ADMIN = "admin"  # Everything, users and models included.
    OPERATOR = "operator"  # Operate: switch, acknowledge, change settings.
    ANALYST = "analyst"  # Read everything and run analyses.
    VIEWER = "viewer"  # Read.


class Activity(Part):
    """One action of one person."""

    action: Text | None = None  # What was done.
    timestamp: Instant | None = None  # When it was done.
    resource: Text | None = None  # What it was done to.


class Manages(RelationshipModel):
    """A measurement point this person is responsible for."""

    NAME = "manages"
    TARGET = "dtmi:remhart:smartgrid:GridMeasurementPoint;2"


class UserTelemetry(Part):
    """One telemetry message of User."""

    activity: Activity | None = None  # Something the person did.


class User(InterfaceModel):
    """A person who works with the grid's digital twin, and the role that person has."""

    MODEL = "dtmi:remhart:smartgrid:User;2"
    RELATIONSHIPS: ClassVar[RelationshipClasses] = (Manages,)

    username: Text | None = None  # Name to sign in with.
    email: Text | None = None  # Electronic mail address.
    full_name: Text | None = None  # Name in full.
    role: Role | None = None  # What the person may do.
    is_active: Boolean | None = None  # Whether the account may be used.
    created_at: Instant | None = None  # When the account was made.
    last_login: Instant | None = None  # When the person last signed in.
