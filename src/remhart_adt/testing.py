"""Pytest fixtures over the local stand-ins, for this project's tests and for yours.

In a `conftest.py`: `from remhart_adt.testing import local_adt, local_eventhub`. Needs the extra `local` and pytest.
"""

from remhart_adt.local.adt.testing import local_adt
from remhart_adt.local.eventhub.testing import local_eventhub

__all__ = ["local_adt", "local_eventhub"]
