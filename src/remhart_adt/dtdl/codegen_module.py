"""The text of one generated module, and of the package that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from remhart_adt.dtdl.codegen_bases import Ancestry
from remhart_adt.dtdl.codegen_names import Names, Pool, attributes, last_segment
from remhart_adt.dtdl.codegen_text import (
    assigned,
    comment,
    declared,
    docstring,
    explode,
    import_order,
    imported,
    quoted,
)
from remhart_adt.dtdl.codegen_types import MODULES, Types, described, english, units, write_class
from remhart_adt.dtdl.model import ModelSet
from remhart_adt.dtdl.naming import camel, class_name
from remhart_adt.dtdl.types import Content, Interface

__all__ = ["BASE_EXPORTS", "Site", "module_text", "package_text"]

# What the package exports beside the interfaces, which therefore have other names.
BASE_EXPORTS: Final = ("INTERFACES", "InterfaceModel", "Part", "RelationshipModel", "relationship_from", "twin_from")

_STANDARD: Final = ("enum", "typing")
_PACKAGE: Final = "Typed twins: one module per interface, with its relationships, objects, enumerations and telemetry."
_PACKAGE_USE: Final = (
    "`twin_from(document, INTERFACES)` reads a twin by the model it names, `SomeInterface.from_twin(document)` one of "
    "a known model; `to_twin()` gives the document to upload."
)


@dataclass(frozen=True, slots=True)
class Site:
    """What all modules of a package share: the models, the names and ancestries of its interfaces, the package's dotted
    name, the module with the base classes, and the words that mark a generated file."""

    models: ModelSet
    names: Mapping[str, Names]
    family: Mapping[str, Ancestry]
    package: str
    base: str
    mark: str

    def has_telemetry(self, dtmi: str) -> bool:
        """Whether the interface has a class for its telemetry."""
        return bool(self.family[dtmi].telemetry)

    def import_block(self, used: Mapping[str, str], siblings: Mapping[str, set[str]]) -> str:
        """The imports of a module: `used` are names and local names of the base and of other packages, `siblings` the
        names from each module of the package."""
        origins: dict[str, set[str]] = {}
        for name, local in used.items():
            written = name if local == name else f"{name} as {local}"
            origins.setdefault(MODULES.get(name, self.base), set()).add(written)
        prefix = f"{self.package}." if self.package else "."
        origins |= {prefix + module: names for module, names in siblings.items()}
        blocks: dict[int, list[str]] = {}
        for module in sorted(origins):
            blocks.setdefault(self._block(module), []).extend(imported(module, origins[module]))
        return "\n\n".join(["from __future__ import annotations", *("\n".join(blocks[n]) for n in sorted(blocks))])

    def _block(self, module: str) -> int:
        """Standard library, other packages, this package, relative imports: in this order."""
        root = module.partition(".")[0]
        return 0 if root in _STANDARD else 3 if not root else 2 if root == self.package.partition(".")[0] else 1


def module_text(site: Site, dtmi: str) -> str:
    """The module of an interface."""
    return _Module(site, dtmi).text()


class _Module:
    def __init__(self, site: Site, dtmi: str) -> None:
        self._site = site
        self._interface: Interface = site.models[dtmi]
        self._names = site.names[dtmi]
        self._family = site.family[dtmi]
        self._imports: dict[str, set[str]] = {}
        for base in self._family.bases:
            self._import(base, site.names[base].cls)
            if site.has_telemetry(base):
                self._import(base, site.names[base].telemetry)
        for content in self._family.of_kind("Component").values():
            self._import(content.component, site.names[content.component].cls)
        telemetry = [self._names.telemetry] if site.has_telemetry(dtmi) else []
        self._own = [self._names.cls, *telemetry]
        self._pool = Pool([*self._own, *(name for names in self._imports.values() for name in names)])
        self._types = Types(self._pool)
        self._relationships = self._name_all()

    def _import(self, dtmi: str, name: str) -> None:
        self._imports.setdefault(self._site.names[dtmi].module, set()).add(name)

    def _name_all(self) -> dict[str, str]:
        """Name everything in the module; the relationships' classes by DTDL name."""
        found = {}
        for name in self._family.of_kind("Relationship"):
            wish = class_name(name) or "Unnamed"
            found[name] = self._pool.take(wish, f"{wish}Relationship")
        for content in self._family.written:
            owner = found.get(content.name, self._names.cls)
            for item in (content, *content.properties.values()):
                if item.schema is not None:
                    self._types.name(item.schema, item.name, owner)
        for schema in self._interface.schemas.values():
            self._types.name(schema, last_segment(schema.id), self._names.cls)
        return found

    def text(self) -> str:
        """The whole module; the classes first, since they say what has to be imported."""
        interface, types = self._interface, self._types
        classes = types.classes()
        classes += [self._relationship(c) for c in self._family.of_kind("Relationship").values()]
        if self._site.has_telemetry(interface.id):
            classes.append(self._telemetry())
        classes.append(self._twin())
        head = docstring(
            [f"{self._title()}: {_lower(self._about())}", f"Generated from {interface.id} {self._site.mark}"]
        )
        exported = sorted([*types.labels, *self._relationships.values(), *self._own], key=import_order)
        blocks = [
            "\n".join(head),
            self._site.import_block(types.used, self._imports),
            "\n".join(["__all__ = [", *(f'    "{name}",' for name in exported), "]"]),
        ]
        return "\n\n\n".join(["\n\n".join(blocks), *classes]) + "\n"

    def _title(self) -> str:
        return english(self._interface.display_name) or self._names.cls

    def _about(self) -> str:
        return (
            english(self._interface.description) or self._interface.comment.strip() or f"twins of {self._interface.id}."
        )

    def _relationship(self, content: Content) -> str:
        body = assigned("NAME", quoted(content.name)) + (
            assigned("TARGET", quoted(content.target)) if content.target else []
        )
        names = attributes(content.properties, ())
        fields = self._types.fields(content.properties, names)
        about = described(content) or f"The relationship {content.name}."
        return write_class(
            self._relationships[content.name],
            [self._types.use("RelationshipModel")],
            [about, units(content.properties, names)],
            [*body, *([""] if fields else []), *fields],
        )

    def _telemetry(self) -> str:
        written, names = self._family.of_kind("Telemetry"), self._family.telemetry
        parents = [self._site.names[b].telemetry for b in self._family.bases if self._site.has_telemetry(b)]
        return write_class(
            self._names.telemetry,
            parents or [self._types.use("Part")],
            [f"One telemetry message of {self._names.cls}.", units(written, names)],
            self._types.fields(written, names),
        )

    def _twin(self) -> str:
        family, site = self._family, self._site
        bases = [site.names[base].cls for base in family.bases] or [self._types.use("InterfaceModel")]
        body = [line for parent, reason in family.left_out.items() for line in self._left_out(parent, reason)]
        body += [*assigned("MODEL", quoted(self._interface.id)), *self._lists()]
        fields = [
            line for content in family.of_kind("Property", "Component").values() for line in self._attribute(content)
        ]
        commands = ", ".join(self._interface.of_kind("Command"))
        paragraphs = [
            self._about(),
            units(family.of_kind("Property"), family.attributes),
            f"Commands, for which there is no class: {commands}." if commands else "",
        ]
        return write_class(self._names.cls, bases, paragraphs, [*body, *([""] if fields else []), *fields])

    def _left_out(self, parent: str, reason: str) -> list[str]:
        return comment(f"No subclass of {self._site.names[parent].cls}, whose contents are repeated: {reason}.")

    def _lists(self) -> list[str]:
        """The tuples of components and relationships, unless the only base class has the right ones."""
        lines = []
        several = len(self._family.bases) > 1
        components = self._interface.of_kind("Component")
        if components and (several or self._family.of_kind("Component")):
            lines += explode(self._class_variable("COMPONENTS", "ComponentNames"), [*map(quoted, components)], ")", 4)
        parents = [base for base in self._family.bases if self._site.models[base].of_kind("Relationship")]
        own = list(self._relationships.values())
        if own or (several and parents):
            inherited = [f"*{self._site.names[parent].cls}.RELATIONSHIPS" for parent in parents]
            head = self._class_variable("RELATIONSHIPS", "RelationshipClasses")
            lines += explode(head, [*inherited, *own], ")", 4)
        return lines

    def _class_variable(self, name: str, kind: str) -> str:
        # The length of the tuple is no part of its type, since that of a subclass may differ.
        return f"{name}: {self._types.use('ClassVar')}[{self._types.use(kind)}] = ("

    def _attribute(self, content: Content) -> list[str]:
        attribute = self._family.attributes[content.name]
        if content.kind == "Property":
            return self._types.field(attribute, content)
        cls = self._site.names[content.component].cls
        given = cls if camel(attribute) == content.name else f"{cls}, {quoted(content.name)}"
        return declared(f"{attribute}: {cls} = ", f"{self._types.use('component_of')}(", given, described(content))


def package_text(site: Site) -> str:
    """The `__init__.py` of the package."""
    classes = sorted((names.cls for names in site.names.values()), key=import_order)
    head = docstring([_PACKAGE, _PACKAGE_USE, f"Generated {site.mark}"])
    own = [name for name in BASE_EXPORTS if name != "INTERFACES"]
    imports = site.import_block(
        {name: name for name in own}, {names.module: {names.cls} for names in site.names.values()}
    )
    exported = sorted([*BASE_EXPORTS, *classes], key=import_order)
    blocks = [
        "\n".join(head),
        imports,
        "\n".join(["__all__ = [", *(f'    "{name}",' for name in exported), "]"]),
        "\n".join(explode("INTERFACES: tuple[type[InterfaceModel], ...] = (", classes, ")")),
    ]
    return "\n\n".join(blocks) + "\n"


def _lower(text: str) -> str:
    """The text as it continues a sentence; an abbreviation keeps its capitals."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
