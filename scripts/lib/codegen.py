"""Write the typed twins of the four interfaces to src/remhart_adt/ontology/. With --check: only tell what is stale."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from remhart_adt.dtdl import parse
from remhart_adt.dtdl.codegen import write

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when a generated file is not up to date")
    check = parser.parse_args().check
    folder = ROOT / "src" / "remhart_adt" / "ontology"
    stale = write(parse(ROOT / "dtdl"), folder, package="remhart_adt.ontology", check=check)
    for path in stale:
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
