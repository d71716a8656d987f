"""Which instance a host name means, and how instances may be called."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from remhart_adt.local.adt.types import AdtError

__all__ = ["checked_instance_name", "instance_name"]

# Of a resource name: 3 to 63 letters, digits and inner hyphens. Names are kept in lower case, as in host names.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", re.ASCII)
_SERVICE: Final = re.compile(r"\.api\.[a-z0-9-]+\.digitaltwins\.azure\.(net|us|cn)", re.ASCII)
_LOCAL: Final = ".localhost"
_CACHED: Final = 512


def checked_instance_name(name: object) -> str:
    """The name in lower case; raises 400 when no instance can be called so."""
    lower = name.lower() if isinstance(name, str) else ""
    if _NAME.fullmatch(lower) is None:
        what = (
            "An instance's name has 3 to 63 letters, digits and hyphens, and begins and ends with none of the latter."
        )
        raise AdtError(400, "InvalidInstanceName", what)
    return lower


@lru_cache(_CACHED)
def instance_name(host: bytes) -> str | None:
    """The instance that a Host header names: `lab.localhost:8080` and `lab.api.weu.digitaltwins.azure.net` mean `lab`.

    None for addresses, `localhost` and every other name: they mean the server's first instance.
    """
    name = re.sub(rb":[0-9]*$", b"", host).decode("latin-1").lower().rstrip(".")
    label, _, rest = name.partition(".")
    if f".{rest}" == _LOCAL or _SERVICE.fullmatch(f".{rest}"):
        return label
    return None
