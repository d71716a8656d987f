"""Semantic types of quantities and their units, as data.

DTDL v2 has them built in; in DTDL v3 and v4 they belong to the extension `dtmi:dtdl:extension:quantitativeTypes`, of
which version 1 is for DTDL v3, versions 2 and 3 for DTDL v4; versions 1 and 2 know the same. Source: the DTDL v2
language description and the descriptions of the extension (Microsoft and the Digital Twin Consortium, MIT).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

__all__ = ["BINARY_PREFIXES", "Quantities", "decimal_prefixes", "quantities"]

_DECIMAL_PREFIXES: Final = (
    *("atto", "centi", "deci", "exa", "femto", "giga", "hecto", "kilo", "mega", "micro"),
    *("milli", "nano", "peta", "pico", "tera", "yocto", "yotta", "zepto", "zetta"),
)
BINARY_PREFIXES: Final = ("exbi", "gibi", "kibi", "mebi", "pebi", "tebi", "yobi", "zebi")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Family:
    """Units of one family, and the semantic types measured in them; `_1`: only the extension has them, `_3`: from its
    version 3."""

    types: str = ""
    units: str = ""
    types_1: str = ""
    units_1: str = ""
    types_3: str = ""
    units_3: str = ""


_FAMILIES: Final[dict[str, _Family]] = {
    "AccelerationUnit": _Family(
        types="Acceleration",
        units="centimetrePerSecondSquared gForce metrePerSecondSquared",
        units_3="kilometrePerSecondSquared millimetrePerSecondSquared",
    ),
    "AngleUnit": _Family(
        types="Angle Latitude Longitude",
        units="degreeOfArc minuteOfArc radian secondOfArc turn",
    ),
    "AngularAccelerationUnit": _Family(
        types="AngularAcceleration",
        units="radianPerSecondSquared",
    ),
    "AngularVelocityUnit": _Family(
        types="AngularVelocity",
        units="degreePerSecond radianPerSecond revolutionPerMinute revolutionPerSecond",
    ),
    "ApparentEnergyUnit": _Family(
        types_1="ApparentEnergy",
        units_1="gigavoltAmpereHour kilovoltAmpereHour megavoltAmpereHour voltAmpereHour",
        units_3="millivoltAmpereHour",
    ),
    "ApparentPowerUnit": _Family(
        types_1="ApparentPower",
        units_1="gigavoltAmpere kilovoltAmpere megavoltAmpere millivoltAmpere voltAmpere",
    ),
    "AreaUnit": _Family(
        types="Area",
        units="acre hectare squareCentimetre squareFoot squareInch squareKilometre squareMetre squareMillimetre",
    ),
    "CapacitanceUnit": _Family(
        types="Capacitance",
        units="farad microfarad millifarad nanofarad picofarad",
    ),
    "ChargeUnit": _Family(
        types="ElectricCharge",
        units="coulomb",
        units_1="ampereHour milliampereHour",
    ),
    "CurrentUnit": _Family(
        types="Current",
        units="ampere microampere milliampere",
        units_1="kiloampere",
        units_3="nanoampere picoampere",
    ),
    "DataRateUnit": _Family(
        types="DataRate",
        units=(
            "bitPerSecond bytePerSecond exbibitPerSecond exbibytePerSecond gibibitPerSecond gibibytePerSecond "
            "kibibitPerSecond kibibytePerSecond mebibitPerSecond mebibytePerSecond tebibitPerSecond "
            "tebibytePerSecond yobibitPerSecond yobibytePerSecond zebibitPerSecond zebibytePerSecond"
        ),
    ),
    "DataSizeUnit": _Family(
        types="DataSize",
        units=(
            "bit byte exbibit exbibyte gibibit gibibyte kibibit kibibyte mebibit mebibyte tebibit tebibyte "
            "yobibit yobibyte zebibit zebibyte"
        ),
    ),
    "DensityUnit": _Family(
        types="Density Humidity",
        units="gramPerCubicMetre kilogramPerCubicMetre",
        units_1="microgramPerCubicMetre milligramPerCubicMetre",
    ),
    "DynamicViscosityUnit": _Family(
        types_3="DynamicViscosity",
        units_3="centipoise millipascalSecond millipoise pascalSecond poise",
    ),
    "EnergyUnit": _Family(
        types="Energy",
        units="electronvolt gigajoule joule kilojoule kilowattHour megaelectronvolt megajoule",
        units_1=(
            "britishThermalUnit gigawattHour kiloBritishThermalUnit megawattHour milliwattHour terawattHour wattHour"
        ),
    ),
    "ForceUnit": _Family(
        types="Force Thrust",
        units="newton ounce pound ton",
    ),
    "FrequencyUnit": _Family(
        types="Frequency",
        units="gigahertz hertz kilohertz megahertz",
        units_1="millihertz",
    ),
    "GasLeakageRateUnit": _Family(
        types_3="GasLeakageRate",
        units_3=(
            "decapascalCubicMetrePerSecond hectopascalCubicMetrePerSecond kilopascalCubicMetrePerSecond "
            "pascalCubicMetrePerSecond"
        ),
    ),
    "IlluminanceUnit": _Family(
        types="Illuminance",
        units="footcandle lux",
    ),
    "InductanceUnit": _Family(
        types="Inductance",
        units="henry microhenry millihenry",
    ),
    "IonizingRadiationDoseUnit": _Family(
        types_1="IonizingRadiationDose",
        units_1="gray microgray microsievert milligray millisievert sievert",
    ),
    "IrradianceUnit": _Family(
        types_1="Irradiance",
        units_1="wattPerSquareMetre",
    ),
    "KinematicViscosityUnit": _Family(
        types_3="KinematicViscosity",
        units_3="centistokes squareMetrePerSecond stokes",
    ),
    "LengthUnit": _Family(
        types="Distance Length",
        units=(
            "astronomicalUnit centimetre foot inch kilometre metre micrometre mile millimetre nanometre nauticalMile"
        ),
    ),
    "LuminanceUnit": _Family(
        types="Luminance",
        units="candelaPerSquareMetre",
    ),
    "LuminousFluxUnit": _Family(
        types="LuminousFlux",
        units="lumen",
    ),
    "LuminousIntensityUnit": _Family(
        types="LuminousIntensity",
        units="candela",
    ),
    "MagneticFluxUnit": _Family(
        types="MagneticFlux",
        units="maxwell weber",
    ),
    "MagneticInductionUnit": _Family(
        types="MagneticInduction",
        units="tesla",
        units_1="gauss",
    ),
    "MassFlowRateUnit": _Family(
        types="MassFlowRate",
        units="gramPerHour gramPerSecond kilogramPerHour kilogramPerSecond",
        units_1="massPoundPerHour",
    ),
    "MassUnit": _Family(
        types="Mass",
        units="gram kilogram microgram milligram slug tonne",
        units_1="massPound",
    ),
    "PowerUnit": _Family(
        types="Luminosity Power",
        units="gigawatt horsepower kilowatt kilowattHourPerYear megawatt microwatt milliwatt watt",
        types_1="EnergyRate",
        units_1=(
            "britishThermalUnitPerHour gigajoulePerHour joulePerHour joulePerSecond kiloBritishThermalUnitPerHour "
            "kilojoulePerHour kilojoulePerSecond megajoulePerHour tonOfRefrigeration"
        ),
    ),
    "PressureUnit": _Family(
        types="Pressure",
        units="bar inchesOfMercury inchesOfWater kilopascal millibar millimetresOfMercury pascal poundPerSquareInch",
        units_1="decapascal hectopascal",
    ),
    "RadioactivityUnit": _Family(
        types_1="Radioactivity",
        units_1="becquerel gigabecquerel kilobecquerel megabecquerel",
    ),
    "ReactiveEnergyUnit": _Family(
        types_1="ReactiveEnergy",
        units_1=(
            "gigavoltAmpereReactiveHour kilovoltAmpereReactiveHour megavoltAmpereReactiveHour voltAmpereReactiveHour"
        ),
    ),
    "ReactivePowerUnit": _Family(
        types_1="ReactivePower",
        units_1=(
            "gigavoltAmpereReactive kilovoltAmpereReactive megavoltAmpereReactive millivoltAmpereReactive "
            "voltAmpereReactive"
        ),
    ),
    "ReciprocalLengthUnit": _Family(
        types_3="ReciprocalLength",
        units_3=(
            "reciprocalCentimetre reciprocalKilometre reciprocalMetre reciprocalMicrometre reciprocalMillimetre "
            "reciprocalNanometre"
        ),
    ),
    "ReciprocalTimeUnit": _Family(
        types_3="ReciprocalTime",
        units_3="reciprocalMinute reciprocalSecond",
    ),
    "ResistanceUnit": _Family(
        types="Resistance",
        units="kiloohm megaohm milliohm ohm",
    ),
    "SoundPressureUnit": _Family(
        types="SoundPressure",
        units="bel decibel",
    ),
    "TemperatureUnit": _Family(
        types="Temperature",
        units="degreeCelsius degreeFahrenheit kelvin",
    ),
    "TimeUnit": _Family(
        types="TimeSpan",
        units="day hour microsecond millisecond minute nanosecond second year",
    ),
    "TorqueUnit": _Family(
        types="Torque",
        units="newtonMetre",
    ),
    "Unitless": _Family(
        types="RelativeHumidity",
        units="percent unity",
        types_1="Concentration RelativeDensity",
        units_1="partsPerBillion partsPerMillion partsPerQuadrillion partsPerTrillion",
        types_3="Efficiency RelativeMeasure Scale Throttle",
    ),
    "VelocityUnit": _Family(
        types="Velocity",
        units=(
            "centimetrePerSecond kilometrePerHour kilometrePerSecond knot metrePerHour metrePerSecond milePerHour "
            "milePerSecond"
        ),
        units_3="millimetrePerSecond",
    ),
    "VoltageUnit": _Family(
        types="Voltage",
        units="kilovolt megavolt microvolt millivolt volt",
    ),
    "VolumeFlowRateUnit": _Family(
        types="VolumeFlowRate",
        units="litrePerHour litrePerSecond millilitrePerHour millilitrePerSecond",
        units_1=(
            "cubicFootPerMinute cubicMetrePerHour cubicMetrePerMinute cubicMetrePerSecond gallonPerHour "
            "gallonPerMinute litrePerMinute millilitrePerMinute"
        ),
        units_3="cubicCentimetrePerMinute cubicCentimetrePerSecond",
    ),
    "VolumeUnit": _Family(
        types="Volume",
        units="cubicCentimetre cubicFoot cubicInch cubicMetre fluidOunce gallon litre millilitre",
    ),
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Quantities:
    """What DTDL v2 (`version` 0) or a version of the extension knows: the unit family of each semantic type, and the
    units of each family, by their terms."""

    version: int
    family_of_type: dict[str, str]
    units: dict[str, tuple[str, ...]]


@cache
def quantities(version: int) -> Quantities:
    """The quantities of the extension's version 1, 2 or 3; of DTDL v2 for 0."""

    def words(*columns: tuple[str, int]) -> list[str]:
        return [word for text, since in columns if version >= since for word in text.split()]

    types: dict[str, str] = {}
    units: dict[str, tuple[str, ...]] = {}
    for name, family in _FAMILIES.items():
        known = words((family.units, 0), (family.units_1, 1), (family.units_3, 3))
        if known:
            units[name] = tuple(sorted(known))
        types |= dict.fromkeys(words((family.types, 0), (family.types_1, 1), (family.types_3, 3)), name)
    return Quantities(version, types, units)


def decimal_prefixes(version: int) -> tuple[str, ...]:
    """The names of decimal prefixes; the prefix for ten is spelt in two ways."""
    return (*_DECIMAL_PREFIXES, "deca" if version else "deka")
