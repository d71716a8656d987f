"""Write Python classes for interfaces: a package of pydantic models over `remhart_adt.ontology.base`.

`generate` gives the text of every file, `write` puts them into a folder. One module per interface holds:

- the twin's class, with properties and components as attributes; it extends the classes of the parent interfaces, or
  repeats their contents where Python cannot extend them (a comment says why);
- a class for each relationship, and for the objects and enumerations that the schemas are made of;
- `<Interface>Telemetry`, one telemetry message, for an interface that has telemetry: `to_json()` is the payload.

Commands have no class, since Azure Digital Twins runs none; the twin's docstring names them. Units stand in the
docstring of the class and beside the attribute, semantic types beside the attribute. `__init__.py` exports the
interfaces and the tuple `INTERFACES`; all else is imported from its module, because names such as `Status` recur.

The text is stable (same models, same text) and in the formatter's style, so that it can be committed and compared.
Components are imported, relationships name their target's DTMI, so modules never import each other in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from remhart_adt.dtdl.codegen_bases import ancestries
from remhart_adt.dtdl.codegen_module import BASE_EXPORTS, Site, module_text, package_text
from remhart_adt.dtdl.codegen_names import interface_names
from remhart_adt.dtdl.model import ModelSet

__all__ = ["generate", "write"]

_BASE: Final = "remhart_adt.ontology.base"
_MARK: Final = "by `remhart-adt dtdl codegen`; do not edit."


def generate(
    models: ModelSet, interfaces: Iterable[str] | None = None, *, package: str = "", base: str = _BASE
) -> dict[str, str]:
    """Source text by file name for the given interfaces (default: all) and those they extend or have as components.

    `package` is the dotted name of the package the files will be; without it they import each other relatively.
    `base` is the module with the base classes. Raises DtdlError for a DTMI that is not in the set.
    """
    wanted = list(interfaces if interfaces is not None else models)
    chosen = sorted({*wanted, *(needed for dtmi in wanted for needed in models.dependencies(dtmi))})
    folder, _, module = base.rpartition(".")
    names = interface_names(chosen, BASE_EXPORTS, [module] if folder == package else [])
    site = Site(models, names, ancestries(models, chosen), package, base, _MARK)
    texts = {f"{names[dtmi].module}.py": module_text(site, dtmi) for dtmi in chosen}
    return {"__init__.py": package_text(site), **dict(sorted(texts.items()))}


def write(
    models: ModelSet,
    folder: Path,
    interfaces: Iterable[str] | None = None,
    *,
    package: str = "",
    base: str = _BASE,
    check: bool = False,
) -> list[Path]:
    """Bring the folder up to date with `generate`, and tell which files that changes; with `check` only tell.

    A file that was generated before and has no interface any more is removed; files of others are left alone.
    """
    texts = {folder / name: text for name, text in generate(models, interfaces, package=package, base=base).items()}
    stale = [path for path, text in texts.items() if not path.is_file() or _text(path) != text]
    left = [path for path in sorted(folder.glob("*.py")) if path not in texts and _is_generated(path)]
    if not check:
        folder.mkdir(parents=True, exist_ok=True)
        for path in stale:
            path.write_text(texts[path], encoding="utf-8", newline="\n")
        for path in left:
            path.unlink()
    return [*stale, *left]


def _is_generated(path: Path) -> bool:
    head = _text(path).partition("from __future__")[0]
    return " ".join(head.split()).rstrip('"').rstrip().endswith(_MARK)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
