"""What changed, as the patch lines that an update event carries."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from remhart_adt.local.adt.patch import Op

__all__ = ["between_relationships", "between_twins", "of_operations"]

_NONE: Any = object()
_FIXED: Final = ("$relationshipName", "$targetId")


def of_operations(ops: Iterable[Op]) -> list[dict[str, Any]]:
    """The operations of a PATCH, as they were asked for."""
    return [_line(op.op, op.path, op.value) for op in ops]


def between_twins(old: dict[str, Any], new: dict[str, Any], components: Collection[str]) -> list[dict[str, Any]]:
    """What a PUT over an existing twin changed: whole properties, those of `components` one by one, the model, and
    source times. Update times are no change."""
    lines = []
    before, after = old["$metadata"]["$model"], new["$metadata"]["$model"]
    if before != after:
        lines.append(_line("replace", "/$metadata/$model", after))
    plain = [name for name in components if not (_is_component(old.get(name)) and _is_component(new.get(name)))]
    both = [name for name in components if name not in plain]
    lines += _differences(old, new, "", skip=both)
    for name in both:
        lines += _differences(old[name], new[name], f"/{_escaped(name)}")
    return lines


def between_relationships(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    """What a PUT over an existing relationship changed: properties, and its name or target."""
    fixed = [_line("replace", f"/{name}", new[name]) for name in _FIXED if old[name] != new[name]]
    return [*fixed, *_differences(old, new, "")]


def _is_component(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("$metadata"), dict)


def _differences(
    old: dict[str, Any], new: dict[str, Any], prefix: str, *, skip: Collection[str] = ()
) -> Iterator[dict[str, Any]]:
    for name in {**old, **new}:
        if name[:1] == "$" or name in skip:
            continue
        yield from _change(f"{prefix}/{_escaped(name)}", _shown(old.get(name, _NONE)), _shown(new.get(name, _NONE)))
    times, later = _source_times(old), _source_times(new)
    for name in {**times, **later}:
        if name in new:  # a property that is gone took its source time along
            path = f"{prefix}/$metadata/{_escaped(name)}/sourceTime"
            yield from _change(path, times.get(name, _NONE), later.get(name, _NONE))


def _change(path: str, before: Any, after: Any) -> Iterator[dict[str, Any]]:
    if after is _NONE:
        yield _line("remove", path, _NONE)
    elif before is _NONE:
        yield _line("add", path, after)
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield _line("replace", path, after)


def _source_times(holder: dict[str, Any]) -> dict[str, str]:
    metadata = holder.get("$metadata", {})
    return {
        name: entry["sourceTime"]
        for name, entry in metadata.items()
        if isinstance(entry, dict) and "sourceTime" in entry
    }


def _shown(value: Any) -> Any:
    """A component that comes or goes as a whole is shown without the times in its metadata."""
    return {**value, "$metadata": {}} if _is_component(value) else value


def _line(op: str, path: str, value: Any) -> dict[str, Any]:
    return {"path": path, "op": op} if op == "remove" else {"value": value, "path": path, "op": op}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
