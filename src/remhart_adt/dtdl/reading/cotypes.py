"""The @type of an element: its DTDL class and the supplemental types beside it."""

from __future__ import annotations

from typing import Any

from remhart_adt.dtdl.reading.elements import Element, Text
from remhart_adt.dtdl.reading.reader import Path
from remhart_adt.dtdl.tables.lexicon import Lexicon
from remhart_adt.dtdl.tables.metamodel import Prop
from remhart_adt.dtdl.tables.supplements import Supplement

__all__ = ["read_types"]

Typed = tuple[str, tuple[Supplement, ...], bool]


def read_types(
    raw: dict[str, Any], at: Path, lexicon: Lexicon, spec: Prop, parent: Element | None, text: Text
) -> Typed | None:
    """Class, supplemental types, and whether an unknown type opens the element to unknown properties.

    None, after noting why, when it is no element of a class that `spec` allows.
    """
    stated = raw.get("@type")
    if type(stated) is str:
        meaning = lexicon.type_meaning(stated)
        if meaning.sort == "class" and meaning.name in spec.allowed:
            return meaning.name, (), False
        types: list[Any] = [stated]
    elif stated is None and "@type" not in raw:
        # Under a context of its own an element may be in a version that has no such class.
        if spec.infer in lexicon.plans:
            return spec.infer, (), False
        types = []
    else:
        types = stated if isinstance(stated, list) else []
    return _Types(raw, at, lexicon, spec, parent, text).read(types)


class _Types:
    def __init__(
        self, raw: dict[str, Any], at: Path, lexicon: Lexicon, spec: Prop, parent: Element | None, text: Text
    ) -> None:
        self._lexicon = lexicon
        self._spec = spec
        self._parent = parent
        self._text = text
        self._at = (*at, "@type") if "@type" in raw else at

    def _say(self, rule: str, **fields: Any) -> None:
        where = f"the value of '{self._spec.name}'" if self._parent is not None else "the top-level object"
        self._text.say(rule, self._parent, self._at, self._parent or "", where=where, prop=self._spec.name, **fields)

    def _bad(self, shown: str) -> None:
        self._say("badType", value=shown, expected=" or ".join(sorted(self._spec.allowed)))

    def read(self, types: list[Any]) -> Typed | None:
        """1. Each entry by itself. 2. Exactly one class. 3. The supplemental types against the class."""
        kinds: dict[str, None] = {}
        supplements: dict[str, Supplement] = {}
        opened, sound = False, True
        for entry in types:
            if not isinstance(entry, str):
                self._bad("@type that is not text")
                return None
            meaning = self._lexicon.type_meaning(entry)
            # At the top of a text any class will do here: that one is an Interface has been checked before.
            anywhere = self._parent is None and (meaning.sort == "class" or meaning.language)
            if anywhere or (meaning.sort == "class" and meaning.name in self._spec.allowed):
                kinds[meaning.name] = None
            elif meaning.sort in ("class", "misplaced"):
                self._bad(entry)
                sound = False
            elif meaning.sort == "refused":
                self._say(meaning.name, value=entry)
                sound = False
            elif meaning.supplement is None:
                opened = True
            elif meaning.supplement.kind in ("unit", "unit attribute"):
                if self._parent is None:
                    kinds["Unit"] = None
                else:
                    self._bad(entry)
                    sound = False
            else:
                supplements[meaning.supplement.id] = meaning.supplement
        if not sound:
            return None
        if not kinds:
            self._bad("an object without a DTDL type" if types else "an object without @type")
            return None
        if len(kinds) > 1:
            self._say("multipleMaterialTypes", value=", ".join(kinds))
            return None
        kind = next(iter(kinds))
        self._fit(kind, supplements)
        return kind, tuple(supplements.values()), opened

    def _fit(self, kind: str, supplements: dict[str, Supplement]) -> None:
        sources: dict[str, Supplement] = {}
        for supplement in supplements.values():
            if kind not in supplement.on and not supplements.keys() & set(supplement.or_with):
                self._say("invalidCotype", value=supplement.term, expected=", ".join(sorted(supplement.on)))
                continue
            if self._lexicon.version not in supplement.versions:
                self._say("invalidCotypeVersion", value=supplement.term, version=self._lexicon.version)
                continue
            for extra in supplement.extras:
                other = sources.setdefault(extra.id, supplement)
                if other is not supplement:
                    fields = {"value": other.term, "other": supplement.term, "added": extra.term}
                    self._say("conflictingSupplementalTypes", **fields)
                    break
            for needed in supplement.needs:
                if needed not in supplements:
                    self._say("missingCocotype", value=supplement.term, other=needed.rpartition(":")[2])
