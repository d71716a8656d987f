"""The instances of one server: the first one, and those that were added, each with a file of its own beside the first.

Their names stand in the first one's file. While a file is being made or removed its name stands in a table of its own
there, so a server killed in between removes what is left of it at the next start. A file that is in neither table was
made by somebody else, and is never touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt.app import AdtApp
from remhart_adt.local.adt.assembly import MEMORY, Options, build_instance
from remhart_adt.local.adt.control.hosts import checked_instance_name
from remhart_adt.local.adt.errors import invalid_argument
from remhart_adt.local.adt.instance import Instance
from remhart_adt.local.adt.types import AdtError

__all__ = ["Instances"]

MAX_INSTANCES: Final = 10  # per region and subscription, as published
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS instances(name TEXT PRIMARY KEY);"
    "CREATE TABLE IF NOT EXISTS instances_unfinished(name TEXT PRIMARY KEY);"
)


class Instances:
    """Adds instances to an application and takes them away. `naming` is called with each name before it is used."""

    def __init__(self, app: AdtApp, options: Options, naming: Callable[[str], object]) -> None:
        """Open those that are there from an earlier run; raises LocalServerError when a file cannot be used."""
        self._app = app
        self._options = options
        self._naming = naming
        self._first = app.instance
        self._changing = asyncio.Lock()
        self._first.store.ensure(_SCHEMA)
        try:
            for (name,) in self._first.store.read("SELECT name FROM instances_unfinished"):
                self._finish_removal(name)
            self._first.store.commit_now()
            for (name,) in self._first.store.read("SELECT name FROM instances ORDER BY name"):
                naming(name)
                self._register(build_instance(name, self._path(name), options))
        except BaseException:
            for instance in self.all():
                instance.store.close()
            raise

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

    async def create(self, name: str) -> bool:
        """Have an instance of this name, and whether it is new. Raises 400 for a name that cannot be, 409 when another
        file is in its place, and LocalServerError when its file cannot be made."""
        checked = checked_instance_name(name)
        async with self._changing:
            if checked in self._app.instances:
                return False
            await self._make_room(checked)
            instance = build_instance(checked, self._path(checked), self._options)
            try:
                self._first.store.write("INSERT INTO instances VALUES(?)", (checked,))
                self._first.store.write("DELETE FROM instances_unfinished WHERE name=?", (checked,))
                await self._first.store.flush()
                await instance.start()
            except BaseException:
                await instance.close()
                raise
            self._register(instance)
        return True

    async def delete(self, name: str) -> None:
        """Remove an instance and everything on it; raises 404, and 409 for the first one. Requests that it has not
        answered yet are told that it is not there."""
        async with self._changing:
            instance = self.get(name)
            if self.is_first(instance):
                raise AdtError(409, "InstanceInUse", "The first instance goes with its server; reset empties it.")
            self._first.store.write("DELETE FROM instances WHERE name=?", (instance.name,))
            self._first.store.write("INSERT INTO instances_unfinished VALUES(?)", (instance.name,))
            await self._first.store.flush()
            del self._app.instances[instance.name]
            instance.gone = True
            with contextlib.suppress(sqlite3.Error, OSError):  # who waits for this commit is told by it
                await instance.store.flush()
            await instance.close()
            self._finish_removal(instance.name)
            await self._first.store.flush()

    def put_endpoints(self, instance: Instance) -> None:
        """Give an instance the endpoints that the server's options say, as part of its open transaction. Raises
        LocalServerError for one that cannot be."""
        for endpoint in self._options.endpoints:
            if endpoint.instance.lower() == instance.name:
                try:
                    instance.events.put_endpoint(endpoint.name, dict(endpoint.document))
                except AdtError as error:
                    raise LocalServerError(error.message, where=f"endpoint {endpoint.name}") from None

    async def _make_room(self, name: str) -> None:
        """All that comes before a new instance's file."""
        if len(self._app.instances) >= MAX_INSTANCES:
            raise invalid_argument(f"A server has at most {MAX_INSTANCES} instances; delete one first.")
        if self._first.store.read("SELECT 1 FROM instances_unfinished WHERE name=?", (name,)):
            self._finish_removal(name)
        self._check_path(name)
        self._naming(name)
        self._first.store.write("INSERT INTO instances_unfinished VALUES(?)", (name,))
        await self._first.store.flush()

    def _register(self, instance: Instance) -> None:
        self._app.instances[instance.name] = instance
        self._app.attach(instance)

    def _path(self, name: str) -> str | Path:
        """Beside the first one's file: `adt.sqlite` and `adt.lab.sqlite`."""
        if str(self._options.data) == MEMORY:
            return MEMORY
        path = Path(self._options.data)
        return path.with_name(f"{path.stem}.{name}{path.suffix}")

    def _check_path(self, name: str) -> None:
        path = self._path(name)
        if isinstance(path, Path) and os.path.lexists(path):
            what = f"The file of the instance would be {path.name}, and there is one that no instance of this server"
            raise AdtError(409, "InstanceFileExists", f"{what} made. Move or remove it, or choose another name.")

    def _finish_removal(self, name: str) -> None:
        """Remove what there is of an instance's file, and then its name; part of the first one's open transaction."""
        path = self._path(name)
        if isinstance(path, Path):
            for suffix in ("-wal", "-shm", ""):
                file = path.with_name(path.name + suffix)
                try:
                    file.unlink(missing_ok=True)
                except OSError as error:
                    what = f"cannot remove the file of a deleted instance: {error.strerror}"
                    raise LocalServerError(what, where=str(file)) from error
        self._first.store.write("DELETE FROM instances_unfinished WHERE name=?", (name,))
