"""Which owners of a checkpoint file still live: a lock that the kernel drops when a process dies, however it dies.

Without it, a daemon that was killed waits for its own claims to expire (a minute by default) before it may go on.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # no such locks on this system: nobody is ever known to be dead, claims expire
    fcntl = None  # type: ignore[assignment]

__all__ = ["Alive"]

# Owner ids come from the Event Hubs client (UUIDs); anything else never becomes part of a file name.
_PLAIN: Final = re.compile(r"[A-Za-z0-9\-]{1,64}", re.ASCII)


class Alive:
    """Locks of owners in this process, and the question after those of others. Not safe for threads."""

    def __init__(self, path: Path) -> None:
        """`path`: the checkpoint file; the locks stand beside it."""
        self._path = path
        self._held: dict[str, int] = {}

    def _file(self, owner: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{owner}.alive")

    def hold(self, owner: str) -> None:
        """This process speaks for `owner` from now on."""
        if fcntl is None or owner in self._held or not _PLAIN.fullmatch(owner):
            return
        descriptor = os.open(self._file(owner), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another store of this process holds it already
            os.close(descriptor)
            return
        self._held[owner] = descriptor

    def is_dead(self, owner: str) -> bool:
        """True only when the owner had a lock here and its process is gone; unknown owners are taken for alive."""
        if fcntl is None or owner in self._held or not _PLAIN.fullmatch(owner):
            return False
        try:
            descriptor = os.open(self._file(owner), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def close(self) -> None:
        """Give the locks up and take the files away."""
        for owner, descriptor in self._held.items():
            with contextlib.suppress(OSError):
                self._file(owner).unlink()
            os.close(descriptor)
        self._held = {}
