"""Semantic types of quantities and their units, as data.

DTDL v2 has them built in; in DTDL v3 they belong to the extension `dtmi:dtdl:extension:quantitativeTypes;1`, which
knows more of both. Source: the DTDL v2 language description and the QuantitativeTypes v1 extension (Microsoft, MIT).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["QUANTITATIVE_TYPES", "V2", "V3", "Quantities"]

QUANTITATIVE_TYPES: Final = "dtmi:dtdl:extension:quantitativeTypes;1"

# Unit family: semantic types measured in it, units that both versions know, units that only the extension knows.
_FAMILIES: Final[dict[str, tuple[str, str, str]]] = {
    "AccelerationUnit": (
        "Acceleration",
        "centimetrePerSecondSquared gForce metrePerSecondSquared",
        "",
    ),
    "AngleUnit": (
        "Angle Latitude Longitude",
        "degreeOfArc minuteOfArc radian secondOfArc turn",
        "",
    ),
    "AngularAccelerationUnit": (
        "AngularAcceleration",
        "radianPerSecondSquared",
        "",
    ),
    "AngularVelocityUnit": (
        "AngularVelocity",
        "degreePerSecond radianPerSecond revolutionPerMinute revolutionPerSecond",
        "",
    ),
    "ApparentEnergyUnit": (
        "ApparentEnergy",
        "",
        "gigavoltAmpereHour kilovoltAmpereHour megavoltAmpereHour voltAmpereHour",
    ),
    "ApparentPowerUnit": (
        "ApparentPower",
        "",
        "gigavoltAmpere kilovoltAmpere megavoltAmpere millivoltAmpere voltAmpere",
    ),
    "AreaUnit": (
        "Area",
        "acre hectare squareCentimetre squareFoot squareInch squareKilometre squareMetre squareMillimetre",
        "",
    ),
    "CapacitanceUnit": (
        "Capacitance",
        "farad microfarad millifarad nanofarad picofarad",
        "",
    ),
    "ChargeUnit": (
        "ElectricCharge",
        "coulomb",
        "ampereHour milliampereHour",
    ),
    "CurrentUnit": (
        "Current",
        "ampere microampere milliampere",
        "kiloampere",
    ),
    "DataRateUnit": (
        "DataRate",
        (
            "bitPerSecond bytePerSecond exbibitPerSecond exbibytePerSecond gibibitPerSecond gibibytePerSecond "
            "kibibitPerSecond kibibytePerSecond mebibitPerSecond mebibytePerSecond tebibitPerSecond "
            "tebibytePerSecond yobibitPerSecond yobibytePerSecond zebibitPerSecond zebibytePerSecond"
        ),
        "",
    ),
    "DataSizeUnit": (
        "DataSize",
        (
            "bit byte exbibit exbibyte gibibit gibibyte kibibit kibibyte mebibit mebibyte tebibit tebibyte "
            "yobibit yobibyte zebibit zebibyte"
        ),
        "",
    ),
    "DensityUnit": (
        "Density Humidity",
        "gramPerCubicMetre kilogramPerCubicMetre",
        "microgramPerCubicMetre milligramPerCubicMetre",
    ),
    "EnergyUnit": (
        "Energy",
        "electronvolt gigajoule joule kilojoule kilowattHour megaelectronvolt megajoule",
        "britishThermalUnit gigawattHour kiloBritishThermalUnit megawattHour milliwattHour terawattHour wattHour",
    ),
    "ForceUnit": (
        "Force Thrust",
        "newton ounce pound ton",
        "",
    ),
    "FrequencyUnit": (
        "Frequency",
        "gigahertz hertz kilohertz megahertz",
        "millihertz",
    ),
    "IlluminanceUnit": (
        "Illuminance",
        "footcandle lux",
        "",
    ),
    "InductanceUnit": (
        "Inductance",
        "henry microhenry millihenry",
        "",
    ),
    "IonizingRadiationDoseUnit": (
        "IonizingRadiationDose",
        "",
        "gray microgray microsievert milligray millisievert sievert",
    ),
    "IrradianceUnit": (
        "Irradiance",
        "",
        "wattPerSquareMetre",
    ),
    "LengthUnit": (
        "Distance Length",
        "astronomicalUnit centimetre foot inch kilometre metre micrometre mile millimetre nanometre nauticalMile",
        "",
    ),
    "LuminanceUnit": (
        "Luminance",
        "candelaPerSquareMetre",
        "",
    ),
    "LuminousFluxUnit": (
        "LuminousFlux",
        "lumen",
        "",
    ),
    "LuminousIntensityUnit": (
        "LuminousIntensity",
        "candela",
        "",
    ),
    "MagneticFluxUnit": (
        "MagneticFlux",
        "maxwell weber",
        "",
    ),
    "MagneticInductionUnit": (
        "MagneticInduction",
        "tesla",
        "gauss",
    ),
    "MassFlowRateUnit": (
        "MassFlowRate",
        "gramPerHour gramPerSecond kilogramPerHour kilogramPerSecond",
        "massPoundPerHour",
    ),
    "MassUnit": (
        "Mass",
        "gram kilogram microgram milligram slug tonne",
        "massPound",
    ),
    "PowerUnit": (
        "EnergyRate Luminosity Power",
        "gigawatt horsepower kilowatt kilowattHourPerYear megawatt microwatt milliwatt watt",
        (
            "britishThermalUnitPerHour gigajoulePerHour joulePerHour joulePerSecond "
            "kiloBritishThermalUnitPerHour kilojoulePerHour kilojoulePerSecond megajoulePerHour "
            "tonOfRefrigeration"
        ),
    ),
    "PressureUnit": (
        "Pressure",
        "bar inchesOfMercury inchesOfWater kilopascal millibar millimetresOfMercury pascal poundPerSquareInch",
        "decapascal hectopascal",
    ),
    "RadioactivityUnit": (
        "Radioactivity",
        "",
        "becquerel gigabecquerel kilobecquerel megabecquerel",
    ),
    "ReactiveEnergyUnit": (
        "ReactiveEnergy",
        "",
        "gigavoltAmpereReactiveHour kilovoltAmpereReactiveHour megavoltAmpereReactiveHour voltAmpereReactiveHour",
    ),
    "ReactivePowerUnit": (
        "ReactivePower",
        "",
        (
            "gigavoltAmpereReactive kilovoltAmpereReactive megavoltAmpereReactive millivoltAmpereReactive "
            "voltAmpereReactive"
        ),
    ),
    "ResistanceUnit": (
        "Resistance",
        "kiloohm megaohm milliohm ohm",
        "",
    ),
    "SoundPressureUnit": (
        "SoundPressure",
        "bel decibel",
        "",
    ),
    "TemperatureUnit": (
        "Temperature",
        "degreeCelsius degreeFahrenheit kelvin",
        "",
    ),
    "TimeUnit": (
        "TimeSpan",
        "day hour microsecond millisecond minute nanosecond second year",
        "",
    ),
    "TorqueUnit": (
        "Torque",
        "newtonMetre",
        "",
    ),
    "Unitless": (
        "Concentration RelativeDensity RelativeHumidity",
        "percent unity",
        "partsPerBillion partsPerMillion partsPerQuadrillion partsPerTrillion",
    ),
    "VelocityUnit": (
        "Velocity",
        (
            "centimetrePerSecond kilometrePerHour kilometrePerSecond knot metrePerHour metrePerSecond "
            "milePerHour milePerSecond"
        ),
        "",
    ),
    "VoltageUnit": (
        "Voltage",
        "kilovolt megavolt microvolt millivolt volt",
        "",
    ),
    "VolumeFlowRateUnit": (
        "VolumeFlowRate",
        "litrePerHour litrePerSecond millilitrePerHour millilitrePerSecond",
        (
            "cubicFootPerMinute cubicMetrePerHour cubicMetrePerMinute cubicMetrePerSecond gallonPerHour "
            "gallonPerMinute litrePerMinute millilitrePerMinute"
        ),
    ),
    "VolumeUnit": (
        "Volume",
        "cubicCentimetre cubicFoot cubicInch cubicMetre fluidOunce gallon litre millilitre",
        "",
    ),
}

_ONLY_EXTENSION: Final = frozenset(
    {
        "ApparentEnergy",
        "ApparentPower",
        "Concentration",
        "EnergyRate",
        "IonizingRadiationDose",
        "Irradiance",
        "Radioactivity",
        "ReactiveEnergy",
        "ReactivePower",
        "RelativeDensity",
    }
)


@dataclass(frozen=True, slots=True)
class Quantities:
    """What one DTDL version knows: the unit family of each semantic type, the family of each unit, their full DTMIs,
    and the classes that may carry a semantic type."""

    family_of_type: dict[str, str]
    family_of_unit: dict[str, str]
    type_ids: dict[str, str]
    unit_ids: dict[str, str]
    cotypes: frozenset[str]
    unit_property: str
    version: int

    def units(self, semantic_type: str) -> tuple[str, ...]:
        """The units of a semantic type, sorted."""
        family = self.family_of_type[semantic_type]
        return tuple(sorted(unit for unit, owner in self.family_of_unit.items() if owner == family))


def _v2() -> Quantities:
    types = {t: f for f, (ts, units, _) in _FAMILIES.items() if units for t in ts.split() if t not in _ONLY_EXTENSION}
    units = {u: family for family, (_, names, _) in _FAMILIES.items() for u in names.split()}
    return Quantities(
        family_of_type=types,
        family_of_unit=units,
        type_ids={f"dtmi:standard:class:{name};2": name for name in types},
        unit_ids={f"dtmi:standard:unit:{name};2": name for name in units},
        cotypes=frozenset({"Property", "Telemetry"}),
        unit_property="dtmi:dtdl:property:unit;2",
        version=2,
    )


def _v3() -> Quantities:
    base = "dtmi:dtdl:extension:quantitativeTypes:v1:"
    types = {t: family for family, (names, _, _) in _FAMILIES.items() for t in names.split()}
    units = {u: family for family, (_, old, new) in _FAMILIES.items() for u in (old + " " + new).split()}
    return Quantities(
        family_of_type=types,
        family_of_unit=units,
        type_ids={f"{base}class:{name}": name for name in types},
        unit_ids={f"{base}enum:{family}:{name}": name for name, family in units.items()},
        cotypes=frozenset({"CommandRequest", "CommandResponse", "Field", "MapValue", "Property", "Telemetry"}),
        unit_property=f"{base}property:unit",
        version=3,
    )


V2: Final = _v2()
V3: Final = _v3()
