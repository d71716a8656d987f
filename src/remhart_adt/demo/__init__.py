"""The whole job on one screen, on the local stand-ins, judged at the end by a checker of its own."""

from remhart_adt.demo.epilogue import commands
from remhart_adt.demo.measured import replay_measured
from remhart_adt.demo.run import Demo, Options
from remhart_adt.demo.view import make_view

__all__ = ["Demo", "Options", "commands", "make_view", "replay_measured"]
