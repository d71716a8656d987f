"""`scripts/profiles`: standard load profiles from the package demandlib, as the simulator's table."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import pandas as pd
from demandlib.bdew import G25, H25

from remhart_adt.simulate.profiles import DAYS, PROFILES

__all__ = ["TABLE", "main", "table_text"]

TABLE = Path(__file__).resolve().parents[2] / "src" / "remhart_adt" / "simulate" / "profiles.csv"
_MADE = {"H25": H25, "G25": G25}
_DAY = {0: "working", 1: "working", 2: "working", 3: "working", 4: "working", 5: "saturday", 6: "holiday"}


def table_text() -> str:
    """The table: profile, month, day, then 96 shares of the profile's highest value.

    A year without holidays; what the dynamisation does within a month is averaged.
    """
    year = pd.date_range("2025-01-01", periods=365 * 96, freq="15min")
    lines = []
    for name in PROFILES.values():
        with warnings.catch_warnings():  # demandlib 0.2.2 asks pandas for what it will not do for ever
            warnings.simplefilter("ignore", DeprecationWarning)
            values = pd.Series(_MADE[name](year).to_numpy(), index=year)
        day = values.index.day_of_week.map(_DAY)
        quarter = values.index.hour * 4 + values.index.minute // 15
        means = values.groupby([values.index.month, day, quarter]).mean()
        means /= means.max()
        for month in range(1, 13):
            for kind in DAYS:
                lines.append(",".join([name, str(month), kind, *(f"{v:.4f}" for v in means[month, kind])]))
    return "\n".join(lines) + "\n"


def main() -> int:
    """Exit code 0."""
    argparse.ArgumentParser(prog="profiles", description="Write the simulator's table of load profiles.").parse_args()
    TABLE.write_text(table_text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
