"""Where the data files are: in the wheel under `_data/`, in an editable checkout beside `src/`."""

from __future__ import annotations

from pathlib import Path

from remhart_adt.errors import ConfigError

__all__ = ["dtdl_dir", "examples_dir", "models_dir"]

_PACKAGE = Path(__file__).resolve().parent


def _find(name: str) -> Path:
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent.parent / name):
        if candidate.is_dir():
            return candidate
    raise ConfigError(f"the data folder {name}/ is missing from this installation", remedy="Reinstall remhart-adt")


def dtdl_dir() -> Path:
    """The folder with the four DTDL interfaces."""
    return _find("dtdl")


def models_dir() -> Path:
    """The folder with the ONNX models and their manifest."""
    return _find("models")


def examples_dir() -> Path:
    """The folder with ready-made graphs, mappings and programs."""
    return _find("examples")
