"""The weather: invented feeders on OpenDSS, load shapes and events that become telemetry."""

from remhart_adt.simulate.catalogue import DEMO_FEEDER, FEEDERS, feeder_spec
from remhart_adt.simulate.feeder import Fault, Feeder, Solution
from remhart_adt.simulate.spec import FeederSpec

__all__ = ["DEMO_FEEDER", "FEEDERS", "Fault", "Feeder", "FeederSpec", "Solution", "feeder_spec"]
