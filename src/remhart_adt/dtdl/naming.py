"""DTDL names in Python's style and back."""

from __future__ import annotations

import re
from keyword import iskeyword
from typing import Final
from unicodedata import combining, normalize

__all__ = ["camel", "class_name", "snake", "words"]

# Names that the classes already use, those of pydantic's base class included, and those that their bodies need: a
# property of such a name gets a final underscore. A test compares this with the classes.
_TAKEN_TEXT: Final = """
    construct copy dict from_orm json model_computed_fields model_config model_construct model_copy model_dump
    model_dump_json model_extra model_fields model_fields_set model_json_schema model_parametrized_name model_post_init
    model_rebuild model_validate model_validate_json model_validate_strings parse_file parse_obj parse_raw schema
    schema_json update_forward_refs validate
    dt_id etag from_component from_json from_relationship from_twin relationship_id source_id target_id to_component
    to_json to_relationship to_twin
    component_of dtdl_name list
"""
_TAKEN: Final = frozenset(_TAKEN_TEXT.split())
# Display names can be whole sentences; a class is named after the beginning.
_CLASS_LENGTH: Final = 60


def words(name: str) -> str:
    """A DTDL name in lower case with underscores between its words: phaseA -> phase_a."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def snake(name: str) -> str:
    """A DTDL name as a Python attribute: phaseA -> phase_a; a name that is taken gets a final underscore."""
    result = words(name)
    return result + "_" if iskeyword(result) or result in _TAKEN else result


def camel(name: str) -> str:
    """The DTDL name of a Python attribute: phase_a -> phaseA."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def class_name(text: str) -> str:
    """A display name or DTDL name as a class name: `Alarm event` -> AlarmEvent; empty when Latin letters and digits
    cannot say it. Accents are dropped: `Zähler` -> Zahler."""
    plain = "".join(char for char in normalize("NFKD", text) if not combining(char))
    parts = re.findall(r"[^\W_]+", plain)
    if not all(part.isascii() for part in parts):
        return ""
    name = ""
    for part in parts:
        if name and len(name) + len(part) > _CLASS_LENGTH:
            break
        name += part[0].upper() + part[1:]
    name = name[:_CLASS_LENGTH]
    if name[:1].isdigit():
        name = "N" + name
    return name + "_" if iskeyword(name) else name
