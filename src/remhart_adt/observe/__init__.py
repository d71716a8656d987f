"""What a running process tells about itself: metrics and health. Ground floor: it knows nothing of the rooms above."""

from remhart_adt.observe.health import HealthServer
from remhart_adt.observe.metrics import Latency, Metric, Rate, exposition, percentile_between

__all__ = ["HealthServer", "Latency", "Metric", "Rate", "exposition", "percentile_between"]
