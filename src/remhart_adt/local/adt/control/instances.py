"""The instances of one server: the first one, and those that were added, each with a file of its own beside the first.

Their names stand in the first one's file. A new instance's file is made before its name is written and removed after
the name is, so a server killed in between has the whole instance or none; a file without a name is made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from remhart_adt.local.adt.app import AdtApp
from remhart_adt.local.adt.assembly import MEMORY, Options, build_instance
from remhart_adt.local.adt.control.hosts import checked_instance_name
from remhart_adt.local.adt.errors import invalid_argument
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.types import AdtError

__all__ = ["Instances"]

MAX_INSTANCES: Final = 10  # per region and subscription, as published
_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS instances(name TEXT PRIMARY KEY)"


class Instances:
    """Adds instances to an application and takes them away. `added` is called with each new name."""

    def __init__(self, app: AdtApp, options: Options, added: Callable[[str], object]) -> None:
        """Open those that are there from an earlier run; raises LocalServerError when a file cannot be used."""
        self._app = app
        self._options = options
        self._added = added
        self._first = app.instance
        self._first.store.ensure(_SCHEMA)
        for (name,) in self._first.store.read("SELECT name FROM instances ORDER BY name"):
            self._open(name)

    def all(self) -> list[Instance]:
        """Every instance, the first one first."""
        return list(self._app.instances.values())

    def get(self, name: str) -> Instance:
        """An instance by name; raises 404."""
        found = self._app.instances.get(name.lower())
        if found is None:
            raise AdtError(404, "InstanceNotFound", f"There is no instance {name[:80]!r} on this server.")
        return found

    def is_first(self, instance: Instance) -> bool:
        """Whether it is the one that answers for addresses."""
        return instance is self._first

    def declare(self, name: str) -> None:
        """Have an instance of this name, before the server runs. Raises AdtError for a name that cannot be."""
        checked = checked_instance_name(name)
        if checked not in self._app.instances:
            self._make(checked)
            self._first.store.commit_now()

    async def create(self, name: str) -> bool:
        """Have an instance of this name, and whether it is new; raises 400."""
        checked = checked_instance_name(name)
        if checked in self._app.instances:
            return False
        instance = self._make(checked)
        await self._first.store.flush()
        await instance.start()
        return True

    async def delete(self, name: str) -> None:
        """Remove an instance and everything on it; raises 404, and 409 for the first one."""
        instance = self.get(name)
        if self.is_first(instance):
            raise AdtError(409, "InstanceInUse", "The first instance goes with its server; reset empties it.")
        del self._app.instances[instance.name]
        self._first.store.write("DELETE FROM instances WHERE name=?", (instance.name,))
        await self._first.store.flush()
        await instance.store.flush()
        await instance.close()
        self._remove(instance.name)

    def _make(self, name: str) -> Instance:
        if len(self._app.instances) >= MAX_INSTANCES:
            raise invalid_argument(f"A server has at most {MAX_INSTANCES} instances; delete one first.")
        self._remove(name)
        instance = self._open(name)
        self._first.store.write("INSERT INTO instances VALUES(?)", (name,))
        return instance

    def _open(self, name: str) -> Instance:
        instance = build_instance(name, self._path(name), self._options)
        self._app.instances[name] = instance
        self._app.attach(instance)
        self._added(name)
        return instance

    def _path(self, name: str) -> str | Path:
        """Beside the first one's file: `adt.sqlite` and `adt.lab.sqlite`."""
        if str(self._options.data) == MEMORY:
            return MEMORY
        path = Path(self._options.data)
        return path.with_name(f"{path.stem}.{name}{path.suffix}")

    def _remove(self, name: str) -> None:
        path = self._path(name)
        if isinstance(path, Path):
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
