"""I7: no secret stands in anything the run left behind."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from remhart_adt.checker.types import Verdict

__all__ = ["check_secrets"]


def check_secrets(paths: Iterable[Path], secrets: Iterable[str]) -> Verdict:
    """Search every file for every secret text, byte for byte; the verdict names the file, never the secret."""
    verdict = Verdict("I7")
    needles = [secret.encode() for secret in secrets if secret]
    if not needles:
        verdict.fail("no secret was named, so nothing could be searched for")
    for path in paths:
        if not path.is_file():
            continue
        verdict.looked_at += 1
        content = path.read_bytes()
        for number, needle in enumerate(needles):
            if needle in content:
                verdict.fail(f"{path.name} holds secret number {number + 1}")
    return verdict
