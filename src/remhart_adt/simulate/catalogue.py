"""Our own feeders. Each is invented: lengths, ratings and customers are round numbers that fit the usual practice of
its voltage level; none copies a published test network.

They differ on purpose, so that a model trained on some can be judged on another: `suburb` (400 kVA, cable, homes, EV,
PV), `village` (160 kVA, long overhead spans, heat pumps), `arcade` (500 kVA, shops and offices, 60 Hz 120/208 V),
`workshop` (200 kVA, motors, 60 Hz 127/220 V), `terrace` (500 kVA, short thick cables, flats, much EV and PV), `orchard`
(100 kVA, a weak network and long spans, pumps, 240/415 V), `plaza` (300 kVA, offices and flats, 60 Hz 127/220 V),
`hamlet` (63 kVA on a pole, a handful of homes), `harbour` (800 kVA, cold stores and cranes, 60 Hz 120/208 V).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from remhart_adt.errors import SimulationError
from remhart_adt.simulate.spec import (
    Bank,
    Breaker,
    Cable,
    Element,
    FeederSpec,
    Line,
    Load,
    Meter,
    Point,
    Site,
    Solar,
    Source,
    Transformer,
    UserSpec,
)

__all__ = ["DEMO_FEEDER", "FEEDERS", "feeder_spec"]

DEMO_FEEDER: Final = "suburb"

_AL240 = Cable("4x240 Al", 0.125, 0.080, 0.500, 0.320, 365)
_AL150 = Cable("4x150 Al", 0.206, 0.080, 0.824, 0.320, 275)
_AL95 = Cable("4x95 Al", 0.320, 0.082, 1.280, 0.328, 215)
_CU50 = Cable("4x50 Cu", 0.387, 0.083, 1.548, 0.332, 190)
_CU16 = Cable("4x16 Cu", 1.150, 0.090, 4.600, 0.360, 95)
_ABC95 = Cable("ABC 4x95 Al", 0.320, 0.100, 1.280, 0.400, 225)
_ABC70 = Cable("ABC 4x70 Al", 0.443, 0.100, 1.772, 0.400, 185)
_ABC25 = Cable("ABC 4x25 Al", 1.200, 0.105, 4.800, 0.420, 100)
_CU300 = Cable("4x300 Cu", 0.060, 0.075, 0.240, 0.300, 560)
_CU120 = Cable("4x120 Cu", 0.153, 0.078, 0.612, 0.312, 320)


class _Draft:
    """Collects elements and points while a feeder is written down; ids get the feeder's name in front."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.elements: list[Element] = []
        self.points: list[Point] = []

    def id(self, local: str) -> str:
        return f"{self.name}-{local}"

    def point(self, local: str, rated_a: float) -> None:
        self.points.append(Point(self.id(f"mp-{local}"), self.id(local), rated_a))

    def breaker(self, local: str, upstream: str, rated_a: float) -> None:
        self.elements.append(Breaker(self.id(local), self.id(upstream), rated_a))
        self.point(local, rated_a)

    def line(self, local: str, upstream: str, cable: Cable, km: float, *, rated_a: float | None = None) -> None:
        """A line; with a rating (its fuse, never above the cable's own) there is a point at its end."""
        self.elements.append(Line(self.id(local), self.id(upstream), cable, km))
        if rated_a is not None:
            self.point(local, min(rated_a, cable.ampacity))

    def meter(
        self, local: str, upstream: str, cable: Cable, km: float, rated_a: float, **kinds: float | Sequence[float]
    ) -> None:
        """A service with loads by kind: one number is every phase's peak kW, three are each phase's (0 = none)."""
        loads = []
        for kind, kw in kinds.items():
            each = (kw, kw, kw) if isinstance(kw, int | float) else tuple(kw)
            loads += [Load(phase, kind, float(x)) for phase, x in enumerate(each) if x > 0]
        self.elements.append(Meter(self.id(local), self.id(upstream), cable, km, tuple(loads)))
        self.point(local, rated_a)

    def solar(self, local: str, upstream: str, cable: Cable, km: float, rated_a: float, kw: Sequence[float]) -> None:
        self.elements.append(Solar(self.id(local), self.id(upstream), cable, km, (kw[0], kw[1], kw[2])))
        self.point(local, rated_a)

    def bank(self, local: str, upstream: str, step_kvar: float, steps: int, rated_a: float) -> None:
        self.elements.append(Bank(self.id(local), self.id(upstream), step_kvar, steps, 0))
        self.point(local, rated_a)

    def finish(
        self, title: str, hz: float, nominal_v: float, site: Site, source: Source, transformer: Transformer
    ) -> FeederSpec:
        rated = transformer.kva * 1000 / (3**0.5 * transformer.lv_kv * 1000)
        head = Point(self.id("mp-t1"), transformer.id, round(rated, 1))
        points = (head, *self.points)
        half = len(points) // 2
        users = (
            UserSpec(self.id("admin"), "Grid Administrator", "admin", tuple(p.id for p in points)),
            UserSpec(self.id("operator"), "Shift Operator", "operator", tuple(p.id for p in points[:half])),
        )
        return FeederSpec(
            self.name, title, hz, nominal_v, site, source, transformer, tuple(self.elements), points, users
        )


def _suburb() -> FeederSpec:
    d = _Draft("suburb")
    d.bank("cap1", "t1", 12.5, 4, 110)
    d.breaker("cb1", "t1", 250)
    d.line("l11", "cb1", _AL150, 0.110, rated_a=200)
    d.meter("m01", "l11", _CU50, 0.015, 100, residential=(14, 9, 10), ev=(3.5, 0, 3.5))
    d.line("l12", "l11", _AL95, 0.090, rated_a=125)
    d.meter("m02", "l12", _CU16, 0.012, 63, residential=(8, 6, 9))
    d.meter("m03", "l12", _CU16, 0.018, 63, residential=(9, 5, 6), ev=(0, 3.5, 0))
    d.line("l13", "l12", _AL95, 0.080)
    d.meter("m04", "l13", _CU16, 0.020, 63, residential=(5, 5, 6))
    d.breaker("cb2", "t1", 250)
    d.line("l21", "cb2", _AL150, 0.140, rated_a=200)
    d.meter("m05", "l21", _CU50, 0.015, 100, residential=(8, 10, 13), heat_pump=3)
    d.line("l22", "l21", _AL95, 0.070, rated_a=125)
    d.meter("m06", "l22", _CU16, 0.015, 63, residential=(6, 7, 9))
    d.solar("pv1", "l22", _CU16, 0.015, 63, (8, 8, 8))
    d.line("l23", "l22", _AL95, 0.060)
    d.meter("m07", "l23", _CU16, 0.015, 63, residential=(5, 6, 8), ev=(3.5, 0, 0))
    d.breaker("cb3", "t1", 250)
    d.line("l31", "cb3", _AL150, 0.100, rated_a=200)
    d.meter("m08", "l31", _CU50, 0.020, 125, commercial=17)
    d.line("l32", "l31", _AL95, 0.080, rated_a=125)
    d.meter("m09", "l32", _CU16, 0.015, 63, residential=(6, 9, 6), heat_pump=2)
    d.meter("m10", "l32", _CU16, 0.020, 63, residential=(5, 6, 6))
    d.meter("m11", "l32", _CU16, 0.060, 40, lighting=2.5)
    d.solar("pv2", "l31", _CU16, 0.020, 63, (9, 9, 9))
    d.breaker("cb4", "t1", 250)
    d.line("l41", "cb4", _AL95, 0.060, rated_a=125)
    d.meter("m12", "l41", _CU50, 0.015, 125, residential=(12, 9, 10))
    d.meter("m13", "l41", _CU50, 0.025, 160, ev=7.0, commercial=(7, 5, 5))
    return d.finish(
        "A suburban cable feeder with homes, charging points and photovoltaics",
        50.0,
        230.0,
        Site(48.14, 11.58, 1.0, 9.5, 9.5, "Lindenweg 1"),
        Source("suburb-substation", 11.0, 1.005, 250, 200, 1.0, (0, 1)),
        Transformer("suburb-t1", 400, 0.4, 4.0, 4600, 610, tap=1),
    )


def _village() -> FeederSpec:
    d = _Draft("village")
    d.breaker("cb1", "t1", 160)
    d.line("l11", "cb1", _ABC95, 0.180, rated_a=150)
    d.meter("m01", "l11", _ABC25, 0.025, 50, residential=(5, 4, 4), heat_pump=(1, 1, 1))
    d.meter("m02", "l11", _ABC25, 0.030, 50, residential=(5, 3, 4))
    d.line("l12", "l11", _ABC95, 0.170, rated_a=100)
    d.meter("m03", "l12", _ABC25, 0.020, 50, residential=(3, 2.5, 3), heat_pump=(1, 1, 1))
    d.meter("m04", "l12", _ABC25, 0.030, 50, motor=3)
    d.line("l13", "l12", _ABC70, 0.150, rated_a=80)
    d.meter("m05", "l13", _ABC25, 0.020, 40, residential=(2, 2.5, 2))
    d.solar("pv1", "l12", _ABC25, 0.020, 50, (4, 4, 4))
    d.breaker("cb2", "t1", 160)
    d.line("l21", "cb2", _ABC95, 0.150, rated_a=150)
    d.meter("m06", "l21", _ABC25, 0.030, 50, residential=(3, 3, 3), ev=(0, 3, 0))
    d.line("l22", "l21", _ABC70, 0.160, rated_a=100)
    d.meter("m07", "l22", _ABC25, 0.025, 50, residential=(2.5, 3, 2.5), heat_pump=(1, 1, 1))
    d.meter("m08", "l22", _ABC25, 0.025, 40, residential=(2, 2, 2.5))
    d.line("l23", "l22", _ABC70, 0.130, rated_a=80)
    d.meter("m09", "l23", _ABC25, 0.030, 40, residential=(2, 2, 2))
    d.meter("m10", "l21", _ABC25, 0.040, 25, lighting=1.0)
    d.breaker("cb3", "t1", 100)
    d.line("l31", "cb3", _ABC95, 0.030, rated_a=40)
    d.meter("m11", "l31", _ABC25, 0.020, 50, residential=(2, 3, 2.5))
    d.meter("m12", "l31", _ABC25, 0.025, 50, commercial=2)
    return d.finish(
        "A village on long overhead lines",
        50.0,
        230.0,
        Site(45.75, 21.23, 2.0, 11.0, 11.0, "Strada Morii 4"),
        Source("village-substation", 20.0, 1.0, 120, 90, 0.8, (1, 2)),
        Transformer("village-t1", 160, 0.4, 4.0, 2350, 375, tap=1),
    )


def _arcade() -> FeederSpec:
    d = _Draft("arcade")
    d.bank("cap1", "t1", 25, 4, 420)
    for k, (shops, office, km) in enumerate(((9, 10, 0.030), (11, 8, 0.040), (8, 12, 0.050)), start=1):
        d.breaker(f"cb{k}", "t1", 600)
        d.line(f"l{k}1", f"cb{k}", _CU300, km, rated_a=560)
        d.meter(f"m{k}1", f"l{k}1", _CU120, 0.010, 250, commercial=(shops, shops + 1, shops))
        d.meter(f"m{k}2", f"l{k}1", _CU120, 0.015, 250, commercial=office)
        d.line(f"l{k}2", f"l{k}1", _CU120, 0.030, rated_a=300)
        d.meter(f"m{k}3", f"l{k}2", _CU50, 0.010, 190, commercial=(6, 5, 6), lighting=1.5)
        d.meter(f"m{k}4", f"l{k}2", _CU50, 0.015, 190, residential=(4, 5, 4), ev=(2.5, 0, 2.5) if k < 3 else (0, 5, 0))
    d.breaker("cb4", "t1", 400)
    d.line("l41", "cb4", _CU300, 0.015)
    d.meter("m41", "l41", _CU120, 0.015, 300, motor=11, lighting=3)
    d.solar("pv1", "l41", _CU120, 0.025, 190, (10, 10, 10))
    d.breaker("cb5", "t1", 400)
    d.line("l51", "cb5", _CU120, 0.020, rated_a=160)
    d.meter("m51", "l51", _CU50, 0.010, 190, commercial=(4, 5, 4))
    d.meter("m52", "l51", _CU50, 0.015, 190, commercial=(5, 3, 4))
    return d.finish(
        "A shopping arcade with offices above",
        60.0,
        120.0,
        Site(33.75, -84.39, -5.0, 17.0, 9.5, "100 Market Street"),
        Source("arcade-substation", 12.47, 1.005, 300, 260, 1.5, (2, 0)),
        Transformer("arcade-t1", 500, 0.208, 4.5, 5500, 880, tap=1),
    )


def _workshop() -> FeederSpec:
    d = _Draft("workshop")
    d.bank("cap1", "t1", 12.5, 5, 260)
    d.breaker("cb1", "t1", 320)
    d.line("l11", "cb1", _CU120, 0.060, rated_a=320)
    d.meter("m01", "l11", _CU50, 0.015, 190, motor=13)
    d.meter("m02", "l11", _CU50, 0.020, 160, motor=8, lighting=(1, 1.5, 1))
    d.line("l12", "l11", _CU120, 0.050, rated_a=200)
    d.meter("m03", "l12", _CU50, 0.010, 125, motor=6, commercial=(2, 1.5, 2))
    d.meter("m04", "l12", _CU50, 0.015, 100, commercial=(4, 5, 4))
    d.breaker("cb2", "t1", 320)
    d.line("l21", "cb2", _CU120, 0.080, rated_a=320)
    d.meter("m05", "l21", _CU50, 0.015, 125, motor=7, heat_pump=2)
    d.meter("m06", "l21", _CU50, 0.015, 100, residential=(7, 4, 5))
    d.line("l22", "l21", _CU120, 0.070, rated_a=200)
    d.meter("m07", "l22", _CU50, 0.010, 100, residential=(4, 4, 5), ev=(0, 3, 0))
    d.meter("m08", "l22", _CU50, 0.020, 100, residential=(5, 4, 4))
    d.solar("pv1", "l21", _CU50, 0.020, 125, (8, 8, 8))
    d.breaker("cb3", "t1", 250)
    d.line("l31", "cb3", _CU120, 0.030, rated_a=125)
    d.meter("m09", "l31", _CU50, 0.010, 160, commercial=(4, 3, 5))
    d.meter("m10", "l31", _CU50, 0.015, 160, residential=(4, 5, 3))
    return d.finish(
        "Workshops and small industry",
        60.0,
        127.0,
        Site(-23.55, -46.63, -3.0, 19.5, -3.5, "Rua das Oficinas 20"),
        Source("workshop-substation", 13.8, 1.005, 180, 150, 0.5, (0, 1)),
        Transformer("workshop-t1", 200, 0.22, 4.0, 2750, 430, tap=1),
    )


def _terrace() -> FeederSpec:
    d = _Draft("terrace")
    d.bank("cap1", "t1", 25, 3, 160)
    for k, km in enumerate((0.080, 0.110, 0.060), start=1):
        d.breaker(f"cb{k}", "t1", 315)
        d.line(f"l{k}1", f"cb{k}", _AL240, km, rated_a=300)
        d.meter(f"m{k}1", f"l{k}1", _CU50, 0.015, 125, residential=(11, 10, 12), ev=(0, 7, 3.5))
        d.meter(f"m{k}2", f"l{k}1", _CU50, 0.015, 125, residential=(10, 12, 10), ev=(3.5, 0, 3.5))
        d.line(f"l{k}2", f"l{k}1", _AL150, 0.050, rated_a=200)
        d.meter(f"m{k}3", f"l{k}2", _CU50, 0.012, 125, residential=(9, 9, 10), heat_pump=2.5)
        d.solar(f"pv{k}", f"l{k}2", _CU50, 0.015, 80, (10, 10, 10))
        d.meter(f"m{k}4", f"l{k}2", _CU50, 0.015, 80, residential=(7, 6, 6), lighting=1.0)
    d.breaker("cb4", "t1", 200)
    d.meter("m41", "cb4", _CU50, 0.040, 160, ev=14)
    d.breaker("cb5", "t1", 200)
    d.line("l51", "cb5", _AL95, 0.040, rated_a=100)
    d.meter("m51", "l51", _CU50, 0.010, 125, residential=(7, 9, 8))
    d.meter("m52", "l51", _CU50, 0.015, 125, commercial=(5, 4, 6))
    return d.finish(
        "Terraced houses and flats with much photovoltaics and charging",
        50.0,
        230.0,
        Site(52.09, 5.12, 1.0, 10.5, 7.5, "Gracht 12"),
        Source("terrace-substation", 10.0, 1.0, 200, 160, 1.2, (1, 2)),
        Transformer("terrace-t1", 500, 0.4, 4.0, 5500, 720, tap=1),
    )


def _orchard() -> FeederSpec:
    d = _Draft("orchard")
    d.breaker("cb1", "t1", 160)
    d.line("l11", "cb1", _ABC95, 0.200, rated_a=120)
    d.meter("m01", "l11", _ABC25, 0.030, 50, motor=3)
    d.meter("m02", "l11", _ABC25, 0.025, 50, residential=(3, 2, 2))
    d.line("l12", "l11", _ABC95, 0.180, rated_a=90)
    d.meter("m03", "l12", _ABC25, 0.030, 40, residential=(2, 3, 2), heat_pump=(1, 0, 1))
    d.solar("pv1", "l12", _ABC25, 0.020, 40, (4, 4, 4))
    d.line("l13", "l12", _ABC70, 0.200, rated_a=60)
    d.meter("m04", "l13", _ABC25, 0.040, 40, motor=2)
    d.meter("m05", "l13", _ABC25, 0.030, 32, residential=(2, 1.5, 2))
    d.breaker("cb2", "t1", 160)
    d.line("l21", "cb2", _ABC95, 0.120, rated_a=120)
    d.meter("m06", "l21", _ABC25, 0.020, 63, commercial=(4, 3, 3), lighting=1)
    d.meter("m07", "l21", _ABC25, 0.030, 50, residential=(2, 2, 3), ev=(3, 0, 0))
    d.line("l22", "l21", _ABC70, 0.250, rated_a=60)
    d.meter("m08", "l22", _ABC25, 0.030, 32, residential=(1.5, 2, 2))
    d.meter("m09", "l22", _ABC25, 0.040, 32, residential=(2, 1.5, 1.5))
    d.solar("pv2", "l22", _ABC25, 0.020, 25, (2, 2, 2))
    d.breaker("cb3", "t1", 63)
    d.meter("m10", "cb3", _ABC25, 0.050, 25, lighting=1.0)
    return d.finish(
        "Farms and a packing shed at the end of a weak line",
        50.0,
        240.0,
        Site(-34.28, 146.05, 10.0, 17.0, -8.0, "Canal Road 9"),
        Source("orchard-substation", 22.0, 1.005, 60, 45, 0.4, (1, 2)),
        Transformer("orchard-t1", 100, 0.415, 4.0, 1500, 260, tap=1),
    )


def _plaza() -> FeederSpec:
    d = _Draft("plaza")
    d.bank("cap1", "t1", 20, 4, 315)
    d.breaker("cb1", "t1", 400)
    d.line("l11", "cb1", _CU300, 0.045, rated_a=400)
    d.meter("m11", "l11", _CU120, 0.010, 250, commercial=(9, 8, 9))
    d.meter("m12", "l11", _CU50, 0.015, 160, residential=(7, 9, 6))
    d.line("l12", "l11", _CU120, 0.060, rated_a=250)
    d.meter("m13", "l12", _CU50, 0.010, 160, commercial=(5, 5, 6), motor=2)
    d.meter("m14", "l12", _CU50, 0.015, 125, residential=(5, 4, 7), ev=(0, 3.5, 0))
    d.breaker("cb2", "t1", 400)
    d.line("l21", "cb2", _CU300, 0.060, rated_a=400)
    d.meter("m21", "l21", _CU120, 0.010, 250, motor=6, commercial=4)
    d.meter("m22", "l21", _CU50, 0.015, 160, commercial=(6, 4, 5), lighting=1.5)
    d.line("l22", "l21", _CU120, 0.040, rated_a=200)
    d.meter("m23", "l22", _CU50, 0.010, 125, residential=(6, 6, 4))
    d.solar("pv1", "l22", _CU50, 0.020, 125, (7, 7, 7))
    d.breaker("cb3", "t1", 250)
    d.line("l31", "cb3", _CU120, 0.035, rated_a=200)
    d.meter("m31", "l31", _CU50, 0.010, 125, residential=(5, 5, 5), heat_pump=2)
    d.meter("m32", "l31", _CU50, 0.015, 160, ev=8)
    return d.finish(
        "Offices, restaurants and flats around a city square",
        60.0,
        127.0,
        Site(19.43, -99.13, -6.0, 17.5, 2.0, "Plaza Mayor 3"),
        Source("plaza-substation", 23.0, 1.0, 350, 300, 1.0, (2, 0)),
        Transformer("plaza-t1", 300, 0.22, 4.5, 3600, 560, tap=1),
    )


def _hamlet() -> FeederSpec:
    d = _Draft("hamlet")
    d.breaker("cb1", "t1", 80)
    d.line("l11", "cb1", _ABC70, 0.160, rated_a=63)
    d.meter("m01", "l11", _ABC25, 0.030, 25, residential=(2, 1.5, 2))
    d.meter("m02", "l11", _ABC25, 0.025, 25, residential=(1.5, 2, 1.5), heat_pump=(0, 1, 0))
    d.line("l12", "l11", _ABC70, 0.190, rated_a=40)
    d.meter("m03", "l12", _ABC25, 0.040, 25, residential=(1.5, 1.5, 2))
    d.meter("m04", "l12", _ABC25, 0.030, 20, motor=1)
    d.solar("pv1", "l12", _ABC25, 0.030, 10, (2, 2, 2))
    d.breaker("cb2", "t1", 63)
    d.line("l21", "cb2", _ABC70, 0.080, rated_a=32)
    d.meter("m05", "l21", _ABC25, 0.030, 35, residential=(2, 2, 1.5))
    d.line("l22", "l21", _ABC25, 0.110, rated_a=20)
    d.meter("m06", "l22", _ABC25, 0.020, 20, residential=(1, 1.5, 1))
    d.meter("m07", "l22", _ABC25, 0.050, 10, lighting=0.5)
    d.breaker("cb3", "t1", 63)
    d.line("l31", "cb3", _ABC70, 0.060, rated_a=32)
    d.meter("m08", "l31", _ABC25, 0.020, 35, residential=(1.5, 2, 2))
    d.meter("m09", "l31", _ABC25, 0.035, 35, residential=(2, 1, 1.5), heat_pump=(0, 0, 1))
    d.meter("m10", "l31", _ABC25, 0.025, 20, residential=(1, 1.5, 1))
    return d.finish(
        "A few homes behind a transformer on a pole",
        50.0,
        230.0,
        Site(56.88, 14.81, 1.0, 6.5, 10.0, "Skogsstigen 2"),
        Source("hamlet-substation", 22.0, 1.0, 80, 60, 0.5, (0, 2)),
        Transformer("hamlet-t1", 63, 0.4, 4.0, 1050, 150, tap=1),
    )


def _harbour() -> FeederSpec:
    d = _Draft("harbour")
    d.bank("cap1", "t1", 25, 6, 630)
    sides = ((0.050, 14, 8), (0.075, 10, 9), (0.040, 12, 6), (0.085, 8, 10))
    for k, (km, motor, shops) in enumerate(sides, start=1):
        d.breaker(f"cb{k}", "t1", 630)
        d.line(f"l{k}1", f"cb{k}", _CU300, km, rated_a=560)
        d.meter(f"m{k}1", f"l{k}1", _CU120, 0.015, 300, motor=motor, lighting=1.5)
        d.meter(f"m{k}2", f"l{k}1", _CU120, 0.020, 250, commercial=(shops, shops - 2, shops + 1))
        d.line(f"l{k}2", f"l{k}1", _CU120, 0.045, rated_a=250)
        d.meter(f"m{k}3", f"l{k}2", _CU50, 0.015, 160, motor=3, commercial=(2, 3, 2))
    d.breaker("cb5", "t1", 320)
    d.line("l51", "cb5", _CU120, 0.030, rated_a=320)
    d.meter("m51", "l51", _CU120, 0.010, 250, ev=12)
    d.solar("pv1", "l51", _CU120, 0.020, 250, (16, 16, 16))
    return d.finish(
        "Cold stores, cranes and workshops along a quay",
        60.0,
        120.0,
        Site(47.60, -122.34, -8.0, 11.5, 7.0, "Pier 9"),
        Source("harbour-substation", 13.2, 1.01, 420, 380, 1.8, (1, 0)),
        Transformer("harbour-t1", 800, 0.208, 5.0, 8200, 1250, tap=1),
    )


FEEDERS: Final[Mapping[str, FeederSpec]] = {
    spec.name: spec
    for spec in (
        _suburb(), _village(), _arcade(), _workshop(), _terrace(), _orchard(), _plaza(), _hamlet(), _harbour()
    )
}  # fmt: skip


def feeder_spec(name: str) -> FeederSpec:
    """The feeder of that name. Raises SimulationError that lists the names there are."""
    try:
        return FEEDERS[name]
    except KeyError:
        raise SimulationError(f"no feeder {name!r}", remedy=f"Choose one of {', '.join(sorted(FEEDERS))}") from None
