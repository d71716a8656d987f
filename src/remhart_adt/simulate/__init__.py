"""The weather: invented feeders on OpenDSS, load shapes and events that become telemetry."""

from remhart_adt.simulate.catalogue import DEMO_FEEDER, FEEDERS, feeder_spec
from remhart_adt.simulate.director import Act
from remhart_adt.simulate.events import KINDS, Event
from remhart_adt.simulate.feeder import Fault, Feeder, Solution
from remhart_adt.simulate.frequency import Frequency, Grid
from remhart_adt.simulate.loads import FastNoise, Minutes, Scenery
from remhart_adt.simulate.meters import Meters
from remhart_adt.simulate.scenario import History, Scenario, Tick
from remhart_adt.simulate.spec import FeederSpec
from remhart_adt.simulate.thermal import Thermal, ThermalState

__all__ = [
    "DEMO_FEEDER",
    "FEEDERS",
    "KINDS",
    "Act",
    "Event",
    "FastNoise",
    "Fault",
    "Feeder",
    "FeederSpec",
    "Frequency",
    "Grid",
    "History",
    "Meters",
    "Minutes",
    "Scenario",
    "Scenery",
    "Solution",
    "Thermal",
    "ThermalState",
    "Tick",
    "feeder_spec",
]
