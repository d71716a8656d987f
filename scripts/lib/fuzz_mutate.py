"""Hostile DTDL made from sound DTDL: changes to the structure of documents, and to the bytes of their text.

Everything depends on the random generator given, so one number makes one input, on every machine that has the same
corpus.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Corpus", "mutant", "mutate_bytes", "mutate_text", "read_corpus", "written"]

# Larger documents take most of the time and show little that small ones do not.
_MOST: Final = 12_000
_FEW: Final = 100
# What reads itself again and again has to stay small.
_GROWTH: Final = 60_000
_VERSIONS: Final = ("", ";1", ";2", ";3", ";4", ";5", ";0", ";01", ";1.1", ";99999999999", "#x", ";4#limitless")
_CONTEXTS: Final = (
    "dtmi:dtdl:context",
    "dtmi:dtdl:extension:quantitativeTypes",
    "dtmi:dtdl:extension:historization",
    "dtmi:dtdl:extension:annotation",
    "dtmi:dtdl:extension:overriding",
    "dtmi:dtdl:extension:mqtt",
    "dtmi:dtdl:extension:requirement",
    "dtmi:dtdl:extension:layering",
    "dtmi:dtdl:limits:onvif",
    "dtmi:dtdl:limits:aio",
    "dtmi:iotcentral:context",
    "dtmi:iotoperations:context",
    "dtmi:example:unknown",
    "https://example.org/context",
)
_KEYS: Final = (
    "@id",
    "@type",
    "@context",
    "@graph",
    "@language",
    "@value",
    "@reverse",
    "@",
    "",
    "name",
    "schema",
    "contents",
    "extends",
    "schemas",
    "fields",
    "enumValues",
    "enumValue",
    "valueSchema",
    "elementSchema",
    "mapKey",
    "mapValue",
    "request",
    "response",
    "properties",
    "target",
    "unit",
    "displayName",
    "description",
    "comment",
    "writable",
    "minMultiplicity",
    "maxMultiplicity",
    "dtmi:dtdl:property:name;3",
    "dtmi:dtdl:property:schema;4",
    "dtmi:example:unknown;1",
    "https://example.org/p",
    "__proto__",
    "\ud800",
    "a/b~c",
)
_FRAGMENTS: Final = (
    '"@id":"dtmi:dtdl:x;1",',
    '"@type":"Interface",',
    '"@context":null,',
    "NaN",
    "-Infinity",
    "1e999",
    "-0",
    "01",
    "\\ud800",
    "\\u0000",
    "\ufeff",
    "\u2028",
    "// comment\n",
    "/*",
    ",",
    ",,",
    ":",
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    "[" * 600,
    '{"a":' * 600,
    "\x00",
    "\ud83d",
)


def _nested(depth: int) -> Any:
    value: Any = "double"
    for _ in range(depth):
        value = {"@type": "Array", "elementSchema": value}
    return value


_SCALARS: Final = (
    None,
    True,
    False,
    0,
    1,
    -1,
    -0.0,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    2**31,
    2**53 + 1,
    -(2**63) - 1,
    10**400,
    "",
    " ",
    "\n",
    "a\n",
    "_",
    "__a",
    "a" * 65,
    "a" * 513,
    "\ud800",
    "\udc00\ud800",
    "\u0000",
    "🙂" * 300,
    "İ",
    "x" * 100_000,
    "dtmi:",
    "dtmi:a;1",
    "dtmi:a",
    "dtmi:dtdl:context;3",
    "dtmi:dtdl:instance:Schema:double;2",
    "dtmi:" + "a" * 2050 + ";1",
    "dtmi:a_;1",
    "double",
    "Interface",
    "Property",
)
_SHAPES: Final[tuple[Callable[[], Any], ...]] = (
    list,
    dict,
    lambda: [[]],
    lambda: [{}],
    lambda: [None],
    lambda: {"@id": "dtmi:a;1"},
    lambda: {"@value": 1},
    lambda: {"@value": {"@value": 1}},
    lambda: {"@language": "en", "@value": "x"},
    lambda: {"en": 1, "EN": "x", "@none": "y"},
    lambda: {"@graph": [{"@graph": []}]},
    lambda: ["a"] * 310,
    lambda: [{"@type": "Property", "name": f"p{n}", "schema": "double"} for n in range(310)],
    lambda: _nested(30),
    lambda: _nested(600),
)


def _nasty_value(rng: random.Random) -> Any:
    return rng.choice(_SCALARS) if rng.random() < 0.7 else rng.choice(_SHAPES)()


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sound and unsound documents as compact JSON, and the keys and strings that stand in them."""

    documents: tuple[str, ...]
    keys: tuple[str, ...]
    strings: tuple[str, ...]


def read_corpus(own: Path, data: Path | None) -> Corpus:
    """The documents of our own folder and, where there is reference data, those of its cases and ontologies."""
    documents = {json.dumps(json.loads(file.read_text(encoding="utf-8-sig"))) for file in own.glob("*.json")}
    if data is not None:
        for file in data.glob("ontologies/*/**/*.json"):
            documents.add(json.dumps(json.loads(file.read_text(encoding="utf-8-sig"))))
        with gzip.open(data / "dtdl" / "cases.ndjson.gz", "rt", encoding="utf-8") as lines:
            documents.update(json.dumps(value) for line in lines for value in json.loads(line).get("input", []))
    keys: set[str] = set(_KEYS)
    strings: set[str] = set()
    for document in sorted(documents):
        for _, key, value in _places(json.loads(document)):
            if isinstance(key, str):
                keys.add(key)
            if isinstance(value, str) and len(value) < _FEW:
                strings.add(value)
    small = sorted(document for document in documents if len(document) < _MOST)
    large = sorted(documents - set(small), key=len)[:_FEW]
    return Corpus((*small, *large), tuple(sorted(keys)), tuple(sorted(strings)))


def _places(root: Any) -> list[tuple[Any, str | int, Any]]:
    """Every value in a document with what holds it and by which key or number."""
    found: list[tuple[Any, str | int, Any]] = []
    stack = [root]
    while stack:
        holder = stack.pop()
        items: Iterator[tuple[str | int, Any]]
        if isinstance(holder, dict):
            items = iter(holder.items())
        elif isinstance(holder, list):
            items = iter(enumerate(holder))
        else:
            continue
        for key, value in items:
            found.append((holder, key, value))
            stack.append(value)
    return found


def mutant(rng: random.Random, corpus: Corpus) -> Any:
    """A document of the corpus with a few changes to its structure."""
    box = [json.loads(rng.choice(corpus.documents))]
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 5, 8))):
        places = _places(box)
        if not places or len(places) > _MOST:  # all is gone, or has grown enough
            break
        holder, key, value = rng.choice(places)
        rng.choice(_CHANGES)(rng, corpus, holder, key, value, places)
    return box[0] if len(box) == 1 else box


def _drop(_r: random.Random, _c: Corpus, holder: Any, key: Any, _v: Any, _p: Any) -> None:
    del holder[key]


def _nasty(rng: random.Random, _c: Corpus, holder: Any, key: Any, _v: Any, _p: Any) -> None:
    holder[key] = _nasty_value(rng)


def _rename(rng: random.Random, corpus: Corpus, holder: Any, key: Any, value: Any, _p: Any) -> None:
    if isinstance(holder, dict):
        del holder[key]
        holder[rng.choice(corpus.keys)] = value


def _add(rng: random.Random, corpus: Corpus, holder: Any, _k: Any, value: Any, _p: Any) -> None:
    target = value if isinstance(value, (dict, list)) else holder
    added = _nasty_value(rng) if rng.random() < 0.5 else rng.choice(corpus.strings)
    if isinstance(target, dict):
        target[rng.choice(corpus.keys)] = added
    else:
        target.insert(rng.randint(0, len(target)), added)


def _swap(rng: random.Random, _c: Corpus, holder: Any, key: Any, value: Any, places: Any) -> None:
    """Two values change places; one inside the other becomes a copy, never a circle."""
    other, other_key, _ = rng.choice(places)
    first, second = _copied(value), _copied(other[other_key])
    holder[key] = second
    other[other_key] = first


def _graft(rng: random.Random, corpus: Corpus, holder: Any, key: Any, _v: Any, _p: Any) -> None:
    """A value of another document."""
    places = _places([json.loads(rng.choice(corpus.documents))])
    _, _, value = rng.choice(places)
    if len(json.dumps(value)) < _GROWTH:
        holder[key] = value


def _word(rng: random.Random, corpus: Corpus, holder: Any, key: Any, _v: Any, _p: Any) -> None:
    holder[key] = rng.choice(corpus.strings)


def _letter(rng: random.Random, _c: Corpus, holder: Any, key: Any, value: Any, _p: Any) -> None:
    """One character of a text is another one, gone, or there twice."""
    if isinstance(value, str) and value:
        at = rng.randrange(len(value))
        new = rng.choice(("", value[at] * 2, rng.choice(':;_#.@09aZ \n\t\x7fé\u0661\ud800"\\')))
        holder[key] = value[:at] + new + value[at + 1 :]


def _context(rng: random.Random, _c: Corpus, holder: Any, _k: Any, value: Any, _p: Any) -> None:
    names = [rng.choice(_CONTEXTS) + rng.choice(_VERSIONS) for _ in range(rng.randint(0, 3))]
    names.insert(0, "dtmi:dtdl:context" + rng.choice((";2", ";3", ";4", ";4#limitless")))
    target = value if isinstance(value, dict) else holder if isinstance(holder, dict) else None
    if target is not None:
        target["@context"] = names if rng.random() < 0.9 else rng.choice(names)


def _wrap(rng: random.Random, _c: Corpus, holder: Any, key: Any, value: Any, _p: Any) -> None:
    holder[key] = rng.choice(
        (
            [value],
            [[value]],
            {"@value": value},
            {"@value": value, "@type": "xsd:integer"},
            {"@id": value},
            {"@type": value},
            {"@graph": [value]},
            {"en": value},
        )
    )


def _multiply(rng: random.Random, _c: Corpus, holder: Any, key: Any, value: Any, _p: Any) -> None:
    if isinstance(holder, list) and len(json.dumps(value)) * 40 < _GROWTH:
        holder[key:key] = [_copied(value) for _ in range(rng.choice((1, 1, 2, 40)))]


def _reverse(_r: random.Random, _c: Corpus, holder: Any, _k: Any, _v: Any, _p: Any) -> None:
    if isinstance(holder, list):
        holder.reverse()
    else:
        turned = list(reversed(holder.items()))
        holder.clear()
        holder.update(turned)


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


_CHANGES: Final = (
    _drop,
    _drop,
    _nasty,
    _nasty,
    _nasty,
    _rename,
    _add,
    _add,
    _swap,
    _graft,
    _word,
    _word,
    _letter,
    _letter,
    _context,
    _wrap,
    _wrap,
    _multiply,
    _reverse,
)


def written(rng: random.Random, value: Any) -> str:
    """A document as text: compact or indented, characters beyond ASCII escaped or not."""
    return json.dumps(value, ensure_ascii=rng.random() < 0.7, indent=rng.choice((None, None, None, 1)))


def mutate_text(rng: random.Random, text: str, corpus: Corpus) -> str:
    """A few changes to a text, whatever it means."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randint(0, len(text))
        length = min(rng.choice((1, 1, 3, 20, 300)), len(text) - at)
        match rng.randrange(9):
            case 0:
                text = text[:at] + text[at + length :]
            case 1:
                text = text[:at] + text[at : at + length] * 2 + text[at + length :]
            case 2 | 3:
                text = text[:at] + rng.choice(_FRAGMENTS) + text[at:]
            case 4:
                text = text[:at]
            case 5:
                text = "\ufeff" + text
            case 6:
                text = text[:at] + chr(rng.choice((rng.randrange(128), rng.randrange(0x11000)))) + text[at + 1 :]
            case 7:
                # A key that the object has already, or a keyword once more.
                key = rng.choice(re.findall(r'"([^"\\]*)" *:', text) or ["@id"])
                key = rng.choice((key, rng.choice(corpus.keys)))
                begin = [match.end() for match in re.finditer("{", text)]
                if begin:
                    where = rng.choice(begin)
                    value = json.dumps(rng.choice(corpus.strings))
                    text = f"{text[:where]}{json.dumps(key)}: {value}, {text[where:]}"
            case _:
                text = rng.choice((f"[{text}]", f"[{text},{text}]", f"{text}\n{text}", f"{text},"))
        text = text[: 2 * _GROWTH]
    return text


def mutate_bytes(rng: random.Random, text: str) -> bytes:
    """The text as the bytes of a file that need not be sound UTF-8."""
    encoded = text.encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-32", "utf-8-sig")), "surrogatepass")
    for _ in range(rng.choice((0, 0, 1, 1, 3))):
        at = rng.randint(0, len(encoded))
        new = rng.choice((b"", b"\xff", b"\x00", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf", rng.randbytes(1)))
        encoded = encoded[:at] + new + encoded[at + rng.randint(0, 1) :]
    return encoded
