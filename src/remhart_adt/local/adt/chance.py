"""Everything random that a client can see, from one generator: with a seed, two runs draw the same.

Each part of the server draws from a branch of its own, so that what happens in the background does not shift what a
request gets.
"""

from __future__ import annotations

import random

__all__ = ["Chance"]


class Chance:
    """A source of identifiers and of probabilities. Without a seed it starts at a random place."""

    def __init__(self, seed: int | str | None = None) -> None:
        self.seeded = seed is not None
        self._seed = random.SystemRandom().getrandbits(64) if seed is None else seed
        self._random = random.Random(self._seed)
        self._branches: dict[str, Chance] = {}

    def branch(self, name: str) -> Chance:
        """A generator of its own, which depends on the seed and the name only; the same object for the same name."""
        found = self._branches.get(name)
        if found is None:
            found = self._branches[name] = Chance(f"{self._seed}/{name}")
            found.seeded = self.seeded
        return found

    def restart(self) -> None:
        """With a seed: draw the same from now on as at the start, in every branch. Without one nothing happens."""
        if self.seeded:
            self._random.seed(self._seed)
            for branch in self._branches.values():
                branch.restart()

    def random(self) -> float:
        """A number from 0 up to, not including, 1."""
        return self._random.random()

    def hex(self, bits: int) -> str:
        """`bits` random bits as lower-case hexadecimal digits; `bits` is a multiple of four."""
        return f"{self._random.getrandbits(bits):0{bits // 4}x}"

    def guid(self) -> str:
        """A lower-case GUID of version 4."""
        number = self._random.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62
        digits = f"{number:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def etag(self) -> str:
        """A weak entity tag with a fresh GUID."""
        return f'W/"{self.guid()}"'
