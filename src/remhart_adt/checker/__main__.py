"""`python -m remhart_adt.checker`: a Case as JSON on standard input, the verdicts as JSON on standard output."""

from __future__ import annotations

import json
import sys

from remhart_adt.checker.run import check
from remhart_adt.checker.types import Case

if __name__ == "__main__":
    sys.stdout.write(json.dumps(check(Case.from_json(json.load(sys.stdin)))) + "\n")
