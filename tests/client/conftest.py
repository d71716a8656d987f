"""Makes the fault server importable by its plain name."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from remhart_adt.testing import local_adt

__all__ = ["local_adt"]
