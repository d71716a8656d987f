"""The feature table: every number a model may look at, with formula, unit, and the channels it needs.

One table serves training and serving; `compute.py` fills it, a batch at a time. Per-unit (p.u.) is of the point's own
nominal voltage Vn (line to neutral), rated current In, Sn = 3 Vn In and nominal frequency fn. A feature is NaN where a
channel it needs is missing, and history features are NaN until there is enough history: nothing is made up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

__all__ = ["FEATURES", "INDEX", "LAGS_F", "LAGS_P", "LAGS_Q", "Feature", "markdown"]


class Feature(NamedTuple):
    """One row of the table. `needs` are channel names; `source` is where its past comes from: `twin` (declared),
    `reading` (this instant), `last 16`, `last 32` or `last 128` raw readings, `quarter hours` (means of closed ones).
    """

    name: str
    formula: str
    unit: str
    needs: tuple[str, ...]
    source: str


_V, _I = ("v_a", "v_b", "v_c"), ("i_a", "i_b", "i_c")
_P, _Q = ("p_a", "p_b", "p_c"), ("q_a", "q_b", "q_c")
_L = ("v_ab", "v_bc", "v_ca")

# Quarter hours back from the running one. 93, 96 and 1 are yesterday's values of what is forecast at +1 h, +15 min and
# +24 h; 669, 672 and 577 the same a week ago.
LAGS_P: Final = (1, 2, 3, 4, 6, 8, 12, 24, 48, 92, 93, 95, 96, 97, 577, 669, 672)
LAGS_Q: Final = (1, 2, 4, 96)


def _each(names: str, formula: str, unit: str, needs: Sequence[str], source: str) -> Iterable[Feature]:
    """One feature per phase: `_a`, `_b`, `_c`; `{x}` in the formula is the phase."""
    for i, x in enumerate("abc"):
        own = tuple(need for k, need in enumerate(needs) if k % 3 == i)
        yield Feature(f"{names}_{x}", formula.format(x=x), unit, own, source)


def _stats(name: str, what: str, unit: str, needs: tuple[str, ...]) -> Iterable[Feature]:
    source = "last 16"
    yield Feature(f"{name}_mean16", f"mean of {what}", unit, needs, source)
    yield Feature(f"{name}_std16", f"population standard deviation of {what}", unit, needs, source)
    yield Feature(f"{name}_min16", f"lowest {what}", unit, needs, source)
    yield Feature(f"{name}_max16", f"highest {what}", unit, needs, source)
    yield Feature(f"{name}_slope16", f"least-squares slope of {what} over true time", f"{unit}/min", needs, source)


_TWIN: Final = (
    Feature("base_voltage", "Vn", "V", (), "twin"),
    Feature("base_current", "In", "A", (), "twin"),
    Feature("base_power", "Sn = 3 Vn In", "VA", (), "twin"),
    Feature("nominal_hz", "fn", "Hz", (), "twin"),
    Feature("is_transformer", "1 when the metered equipment is a transformer", "-", (), "twin"),
    Feature("oil_rise_rated", "top-oil rise over ambient at rated load (IEEE C57.91)", "K", (), "twin"),
    Feature("hot_spot_rise_rated", "hot-spot rise over top oil at rated load (IEEE C57.91)", "K", (), "twin"),
    Feature("loss_ratio", "R, load loss over no-load loss", "-", (), "twin"),
    Feature("oil_exponent", "n of IEEE C57.91", "-", (), "twin"),
    Feature("winding_exponent", "m of IEEE C57.91", "-", (), "twin"),
    Feature("oil_minutes", "top-oil time constant", "min", (), "twin"),
    Feature("winding_minutes", "winding time constant", "min", (), "twin"),
    Feature("bank_step", "one capacitor step over Sn; NaN when not declared", "p.u.", (), "twin"),
    Feature("bank_steps", "number of capacitor steps; NaN when not declared", "-", (), "twin"),
)
_SAMPLE: Final = (
    Feature("quality", "0 good, 1 suspect, 2 bad", "-", (), "reading"),
    Feature("gap_s", "time since the point's reading before; NaN for the first", "s", (), "reading"),
    Feature("gap_max_s", "longest gap between neighbours", "s", (), "last 16"),
    Feature("window_span_s", "time from the oldest to this reading", "s", (), "last 16"),
    Feature("readings_seen", "readings in the window", "-", (), "last 128"),
    Feature("missing_channels", "how many of the 13 channels V, I, P, Q, f are missing", "-", (), "reading"),
    Feature("p_age_s", "age of the newest reading that has P", "s", _P, "last 16"),
    Feature("quarter_age_s", "time since the running quarter hour began", "s", (), "reading"),
)
_VOLTAGE: Final = (
    *_each("v", "V_{x} / Vn", "p.u.", _V, "reading"),
    Feature("v_mean", "mean of the phases", "p.u.", _V, "reading"),
    Feature("v_min", "lowest phase", "p.u.", _V, "reading"),
    Feature("v_max", "highest phase", "p.u.", _V, "reading"),
    Feature("v_range", "highest less lowest phase", "p.u.", _V, "reading"),
    Feature("v_deviation", "mean of the phases less 1", "p.u.", _V, "reading"),
    Feature("v_unbalance_magnitude", "largest deviation of a phase from the mean, over the mean", "-", _V, "reading"),
    Feature("v_ab", "V_ab / (sqrt(3) Vn); 0 beside live phases is not recorded", "p.u.", ("v_ab",), "reading"),
    Feature("v_bc", "V_bc / (sqrt(3) Vn)", "p.u.", ("v_bc",), "reading"),
    Feature("v_ca", "V_ca / (sqrt(3) Vn)", "p.u.", ("v_ca",), "reading"),
    Feature("v_line_mean", "mean of the line voltages", "p.u.", _L, "reading"),
    Feature("vuf_line", "V2/V1 = sqrt((1-r)/(1+r)), r = sqrt(3-6b), b = sum U^4/(sum U^2)^2 (IEC 61000-4-30)", "%",
            _L, "reading"),
    Feature("v_line_excess", "mean line voltage less mean phase voltage: zero-sequence displacement", "p.u.",
            (*_V, *_L), "reading"),
    Feature("v_floor_unbalance", "V2/V1 if the phase magnitudes were line voltages (same formula)", "%", _V, "reading"),
)  # fmt: skip
_CURRENT: Final = (
    *_each("i", "I_{x} / In", "p.u.", _I, "reading"),
    Feature("i_mean", "mean of the phases", "p.u.", _I, "reading"),
    Feature("i_max", "highest phase", "p.u.", _I, "reading"),
    Feature("i_min", "lowest phase", "p.u.", _I, "reading"),
    Feature("i_range", "highest less lowest phase", "p.u.", _I, "reading"),
    Feature("i_unbalance", "largest deviation from the mean over the mean; NaN below 5 % of In", "-", _I, "reading"),
    Feature("i_square", "sum of the squared phase currents", "p.u.", _I, "reading"),
    Feature("i_neutral", "I_n / In", "p.u.", ("i_n",), "reading"),
)
_POWER: Final = (
    Feature("f_deviation", "(f - fn) / fn", "p.u.", ("freq",), "reading"),
    *_each("p", "P_{x} / (Vn In)", "p.u.", _P, "reading"),
    *_each("q", "Q_{x} / (Vn In)", "p.u.", _Q, "reading"),
    *_each("s", "V_{x} I_{x} / (Vn In)", "p.u.", (*_V, *_I), "reading"),
    *_each("pf", "P_{x} / (V_{x} I_{x}), signed; NaN below 1 % of Vn In", "-", (*_P, *_V, *_I), "reading"),
    Feature("p_total", "sum of P / Sn", "p.u.", _P, "reading"),
    Feature("q_total", "sum of Q / Sn", "p.u.", _Q, "reading"),
    Feature("s_total", "sqrt(P^2 + Q^2) of the totals", "p.u.", (*_P, *_Q), "reading"),
    Feature("pf_total", "P / S of the totals, signed; NaN below 0.1 % of Sn", "-", (*_P, *_Q), "reading"),
    Feature("p_range", "highest less lowest phase P", "p.u.", _P, "reading"),
    Feature("q_range", "highest less lowest phase Q", "p.u.", _Q, "reading"),
    Feature("distortion", "sqrt(max(0, S^2 - P^2 - Q^2)) / S summed over phases, S = V I (IEEE 1459)", "-",
            (*_V, *_I, *_P, *_Q), "reading"),
    Feature("thdv_max", "highest phase", "%", ("thdv_a", "thdv_b", "thdv_c"), "reading"),
    Feature("thdi_max", "highest phase", "%", ("thdi_a", "thdi_b", "thdi_c"), "reading"),
)  # fmt: skip
_HEAT: Final = (
    Feature("ambient", "ambient temperature, or its newest quarter-hour mean", "degC", ("ambient_temp",), "reading"),
    Feature("oil", "top-oil temperature; readings above 160, or 15 K below ambient, are sensor faults", "degC",
            ("oil_temp",), "reading"),
    Feature("oil_rise", "top oil over ambient: measured, else the IEEE C57.91 model fed with 26 h of current", "K",
            _I, "quarter hours"),
    Feature("load_5min", "root mean square of the highest phase current over the last 5 minutes", "p.u.", _I,
            "last 16"),
    Feature("hot_spot_now", "ambient + oil_rise + H(load_5min), H = hot_spot_rise_rated K^(2m)", "degC", _I,
            "quarter hours"),
    Feature("hot_spot_hold", "highest hot spot of the next 60 min if load_5min stays (IEEE C57.91)", "degC", _I,
            "quarter hours"),
)  # fmt: skip
_WINDOW: Final = (
    *_stats("v_mean", "mean phase voltage", "p.u.", _V),
    *_stats("i_max", "highest phase current", "p.u.", _I),
    *_stats("p_total", "total P", "p.u.", _P),
    *_stats("q_total", "total Q", "p.u.", _Q),
    *_stats("f_deviation", "frequency deviation", "p.u.", ("freq",)),
    *_each("v_step", "V_{x} less V_{x} of the reading before", "p.u.", _V, "last 16"),
    *_each("v_spread", "highest less lowest V_{x}", "p.u.", _V, "last 16"),
    Feature("p_step", "total P less that of the reading before", "p.u.", _P, "last 16"),
    Feature("q_step", "total Q less that of the reading before", "p.u.", _Q, "last 16"),
    Feature("q_10min", "mean total Q over the last 10 minutes", "p.u.", _Q, "last 16"),
    Feature("p_10min", "mean total P over the last 10 minutes", "p.u.", _P, "last 16"),
    *_each("v_mean128", "mean of V_{x}, readings within 0.9 to 1.1 p.u.", "p.u.", _V, "last 128"),
    *_each("v_std128", "standard deviation of V_{x}, readings within 0.9 to 1.1 p.u.", "p.u.", _V, "last 128"),
)
_SLOTS: Final = (
    *(Feature(f"p_lag{k}", f"total P, {k} quarter hours back", "p.u.", _P, "quarter hours") for k in LAGS_P),
    *(Feature(f"q_lag{k}", f"total Q, {k} quarter hours back", "p.u.", _Q, "quarter hours") for k in LAGS_Q),
    Feature("p_day_mean", "mean total P of the last 96", "p.u.", _P, "quarter hours"),
    Feature("p_day_std", "standard deviation of total P of the last 96", "p.u.", _P, "quarter hours"),
    Feature("p_day_max", "highest total P of the last 96", "p.u.", _P, "quarter hours"),
    Feature("p_day_min", "lowest total P of the last 96", "p.u.", _P, "quarter hours"),
    Feature("p_same_15min", "mean total P at +15 min over the last 7 days", "p.u.", _P, "quarter hours"),
    Feature("p_same_1h", "mean total P at +1 h over the last 7 days", "p.u.", _P, "quarter hours"),
    Feature("p_same_24h", "mean total P at +24 h over the last 7 days", "p.u.", _P, "quarter hours"),
    Feature("p_over_yesterday", "last hour's mean total P less the same hour's yesterday", "p.u.", _P, "quarter hours"),
    Feature("slots_day", "share of the last 96 that have P", "-", _P, "quarter hours"),
    Feature("slots_line", "how many of the last 104 have V, P and Q within 0.9 to 1.1 p.u.", "-", (*_V, *_P, *_Q),
            "quarter hours"),
    Feature("load_next_yesterday", "highest r.m.s. current of the coming hour, yesterday", "p.u.", _I, "quarter hours"),
    Feature("load_hour", "root mean square of the highest phase current over the last hour", "p.u.", _I,
            "quarter hours"),
    Feature("load_day_max", "highest quarter-hour r.m.s. current of the last 96", "p.u.", _I, "quarter hours"),
    Feature("oil_rise_model", "IEEE C57.91 top-oil rise at the start of the running quarter hour", "K", _I,
            "quarter hours"),
    Feature("ambient_mean", "newest quarter-hour mean within 2 h", "degC", ("ambient_temp",), "quarter hours"),
    *_each("v_lag1", "V_{x} of the last quarter hour", "p.u.", _V, "quarter hours"),
    *_each("source_e", "E of V_{x} = E + zp P_{x} + zq Q_{x}, ridge fit over 26 h", "p.u.", (*_V, *_P, *_Q),
           "quarter hours"),
    *_each("source_zp", "zp of the same fit", "p.u.", (*_V, *_P, *_Q), "quarter hours"),
    *_each("source_zq", "zq of the same fit", "p.u.", (*_V, *_P, *_Q), "quarter hours"),
    *_each("source_sigma", "root mean square error of the same fit, at least 0.001", "p.u.", (*_V, *_P, *_Q),
           "quarter hours"),
    Feature("hour_sin", "sin of the local time of day", "-", (), "quarter hours"),
    Feature("hour_cos", "cos of the local time of day", "-", (), "quarter hours"),
    Feature("week_sin", "sin of the local time of week", "-", (), "quarter hours"),
    Feature("week_cos", "cos of the local time of week", "-", (), "quarter hours"),
    Feature("weekend", "1 on Saturday and Sunday, local", "-", (), "quarter hours"),
)  # fmt: skip
_QUARTERS: Final = "quarter hours"
_PART_NEEDS: Final = {
    "voltage": _V, "unbalance": _L, "frequency": ("freq",), "harmonics": ("thdv_a", "thdv_b", "thdv_c"),
}  # fmt: skip
_LIMITED: Final = {
    "voltage": "|U/Un - 1| of the worst phase over 0.10", "unbalance": "V2/V1 over 2 %",
    "frequency": "|f/fn - 1| over 0.01", "harmonics": "THD of the voltage, worst phase, over 8 %",
}  # fmt: skip
_QUALITY: Final = (
    Feature("quality_index", "half the worst, half the weighted mean (0.4, 0.2, 0.2, 0.2) of the parts that count "
            "(EN 50160, see `remhart_adt.scoring.quality`)", "-", _V, _QUARTERS),
    Feature("quality_index_bare", "the same without harmonics", "-", _V, _QUARTERS),
    *(Feature(f"quality_{k}", f"100 - 30 min(1, q) - min(70, 20 s/a) of e = {_LIMITED[k]}; last 96", "-", needs,
              _QUARTERS) for k, needs in _PART_NEEDS.items()),
    *(Feature(f"quality_edge_{k}", f"q, what e = {_LIMITED[k]} stays within but for a share a of the last 96", "-",
              needs, _QUARTERS) for k, needs in _PART_NEEDS.items()),
    *(Feature(f"quality_typical_{k}", f"median of e = {_LIMITED[k]}; last 96", "-", needs, _QUARTERS)
      for k, needs in _PART_NEEDS.items()),
    *(Feature(f"quality_share_{k}", f"s, share of the last 96 with e = {_LIMITED[k]} above 1", "-", needs, _QUARTERS)
      for k, needs in _PART_NEEDS.items()),
    Feature("quality_hours_out", "time outside any of the limits; last 96", "h", _V, _QUARTERS),
    Feature("quality_windows", "how many of the last 96 have a voltage of at least 5 % of Vn", "-", _V, _QUARTERS),
    Feature("quality_age_out", "time since the newest quarter hour outside a limit; 24 when there is none", "h", _V,
            _QUARTERS),
    Feature("v_day_low", "lowest phase voltage of the last 96", "p.u.", _V, _QUARTERS),
    Feature("v_day_high", "highest phase voltage of the last 96", "p.u.", _V, _QUARTERS),
    Feature("v_day_low_mean", "mean of the lowest phase over the last 96", "p.u.", _V, _QUARTERS),
    Feature("v_day_high_mean", "mean of the highest phase over the last 96", "p.u.", _V, _QUARTERS),
    Feature("v_hour_low", "mean of the lowest phase over the last 4", "p.u.", _V, _QUARTERS),
    Feature("v_hour_high", "mean of the highest phase over the last 4", "p.u.", _V, _QUARTERS),
    Feature("quality_days", "how many of the six days before the last have a voltage part", "-", _V, _QUARTERS),
    Feature("quality_voltage_before", "mean of the voltage part of these days", "-", _V, _QUARTERS),
    Feature("quality_voltage_worst", "lowest voltage part of these days", "-", _V, _QUARTERS),
    Feature("quality_voltage_lag2", "voltage part of the day before the last", "-", _V, _QUARTERS),
    Feature("quality_voltage_lag7", "voltage part of the day a week before the coming one", "-", _V, _QUARTERS),
    Feature("v_week_low", "lowest phase voltage of these days", "p.u.", _V, _QUARTERS),
    Feature("v_week_high", "highest phase voltage of these days", "p.u.", _V, _QUARTERS),
)  # fmt: skip
_STRESS: Final = (
    Feature("slots_current", "how many of the last 96 have a current", "-", _I, _QUARTERS),
    Feature(
        "hot_spot_day_max",
        "highest hot spot of the last 96 (IEEE C57.91, see `remhart_adt.scoring.stress`)",
        "degC",
        _I,
        _QUARTERS,
    ),
    Feature("hot_spot_day_age", "time since it", "h", _I, _QUARTERS),
    Feature(
        "life_day", "insulation life used in the last 96, over 180 000 h (IEEE C57.91 clause 5)", "%", _I, _QUARTERS
    ),
    Feature(
        "load_hour_day_max",
        "highest root mean square of an hour's highest phase current, last 96",
        "p.u.",
        _I,
        _QUARTERS,
    ),
    Feature("load_hour_day_age", "time since it", "h", _I, _QUARTERS),
    Feature("s_day_max", "highest hourly sqrt(P^2 + Q^2) of the last 96", "p.u.", (*_P, *_Q), _QUARTERS),
    Feature("s_days_max", "the same of the six days before the last", "p.u.", (*_P, *_Q), _QUARTERS),
    Feature("s_days_mean", "mean of the highest of each of these days", "p.u.", (*_P, *_Q), _QUARTERS),
    Feature("s_day_week_ago", "highest of the day that is a week before the coming one", "p.u.", (*_P, *_Q), _QUARTERS),
)
_SHAPE: Final = (
    *_each("p_lag1", "P_{x} of the last quarter hour", "p.u.", _P, "quarter hours"),
    *_each("p_low", "lowest P_{x} of the last 96", "p.u.", _P, "quarter hours"),
    *_each("p_rise", "largest rise of P_{x} from one quarter hour to the next; last 96", "p.u.", _P, "quarter hours"),
    Feature("p_ramp", "mean absolute change of total P from one quarter hour to the next; last 96", "p.u.", _P,
            "quarter hours"),
    Feature("p_night", "mean total P from 0 to 6 h local time; last 96", "p.u.", _P, "quarter hours"),
    Feature("p_office", "mean total P from 9 to 16 h local time; last 96", "p.u.", _P, "quarter hours"),
    Feature("p_evening", "mean total P from 17 to 22 h local time; last 96", "p.u.", _P, "quarter hours"),
    Feature("p_same_low", "lowest total P at +15 min over the last 7 days, today's quarter hour before taken for it "
            "when lower", "p.u.", _P, "quarter hours"),
    Feature("weekend_ratio", "mean total P of Saturday and Sunday over that of the other days; last 672", "-", _P,
            "quarter hours"),
)  # fmt: skip
_RESIDUAL: Final = (
    *_each("residual", "V_{x} less E + zp P_{x} + zq Q_{x}", "p.u.", (*_V, *_P, *_Q), "quarter hours"),
    *_each("residual_z", "residual_{x} over source_sigma_{x}", "-", (*_V, *_P, *_Q), "quarter hours"),
    Feature("residual_common", "mean of the residuals", "p.u.", (*_V, *_P, *_Q), "quarter hours"),
    Feature("residual_spread", "highest less lowest residual", "p.u.", (*_V, *_P, *_Q), "quarter hours"),
    Feature("residual_worst", "largest absolute residual", "p.u.", (*_V, *_P, *_Q), "quarter hours"),
)
# Seconds back, of the frequency.
LAGS_F: Final = (1, 2, 3, 4, 5, 7, 10, 15)
_FREQUENCY: Final = (
    *(Feature(f"f_lag{k}", f"f {k} s ago less f now, over fn; linear between readings at most 10 s apart", "p.u.",
              ("freq",), "last 32") for k in LAGS_F),
    Feature("f_spacing_s", "mean time between readings that have f, last 30 s; else the time since the one before", "s",
            ("freq",), "last 32"),
    Feature("f_noise", "root mean square of a reading's f less the line through its neighbours, over fn", "p.u.",
            ("freq",), "last 32"),
    Feature("f_rate", "root mean square of the change of f between readings over the root of the time, over fn",
            "p.u./sqrt(s)", ("freq",), "last 32"),
)  # fmt: skip

_HARMONIC: Final = (
    *_each("distortion_square", "mean of S^2 - P^2 - Q^2, S = V_{x} I_{x}; below 0 by meter errors only", "p.u.",
           (*_V, *_I, *_P, *_Q), "last 16"),
    Feature("i_square_mean16", "mean of the sum of the squared phase currents", "p.u.", _I, "last 16"),
    *_each("thdv", "THD of V_{x}", "%", ("thdv_a", "thdv_b", "thdv_c"), "reading"),
    *_each("thdi", "THD of I_{x}", "%", ("thdi_a", "thdi_b", "thdi_c"), "reading"),
)  # fmt: skip

# What went before, without this reading: a model can then be monotone in the present voltage with the past as it was.
# A sag is a reading with a phase below 0.9 p.u.; a dip one with a phase 0.03 p.u. below its mean; readings in a row are
# one.
_SAGS: Final = (
    Feature("sag_age_s", "time since the newest sag before this reading; NaN when there is none", "s", _V, "last 128"),
    Feature("sag_count", "sags before this reading", "-", _V, "last 128"),
    Feature("sag_gap_s", "time between the beginnings of the two newest sags", "s", _V, "last 128"),
    Feature("sag_low", "lowest phase voltage before this reading", "p.u.", _V, "last 128"),
    Feature("sag_last_low", "lowest phase voltage of the newest sag", "p.u.", _V, "last 128"),
    Feature("sag_span_s", "time that the readings before this one reach back", "s", _V, "last 128"),
    Feature("dip_count", "dips before this reading", "-", _V, "last 128"),
    Feature("dip_age_s", "time since the newest dip before this reading; NaN when there is none", "s", _V, "last 128"),
    Feature("v_flicker", "root mean square step of the mean phase voltage between readings within 0.9 to 1.1 p.u.",
            "p.u.", _V, "last 128"),
)  # fmt: skip

FEATURES: Final = (
    *_TWIN, *_SAMPLE, *_VOLTAGE, *_CURRENT, *_POWER, *_HEAT, *_WINDOW, *_SLOTS, *_QUALITY, *_STRESS, *_SHAPE,
    *_RESIDUAL, *_FREQUENCY, *_HARMONIC, *_SAGS,
)  # fmt: skip
INDEX: Final = {feature.name: i for i, feature in enumerate(FEATURES)}
SLOT_NAMES: Final = tuple(feature.name for feature in (*_SLOTS, *_QUALITY, *_STRESS, *_SHAPE))


def markdown() -> str:
    """The table as `docs/features.md` holds it."""
    head = (
        "# Features\n\n"
        f"{len(FEATURES)} features, generated from the table in `remhart_adt.scoring.features`.\n"
        "Vn: nominal line-to-neutral voltage; In: rated current; Sn = 3 Vn In; fn: nominal frequency.\n"
        "A feature is NaN where a channel it needs is missing or its history is too short.\n\n"
        "| # | name | formula | unit | needs | source |\n|---|---|---|---|---|---|\n"
    )
    rows = (
        f"| {i} | `{f.name}` | {f.formula} | {f.unit} | {', '.join(f.needs) or '-'} | {f.source} |"
        for i, f in enumerate(FEATURES, 1)
    )
    return head + "\n".join(rows) + "\n"
