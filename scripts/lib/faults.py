"""Kill and contend, and have the outcome judged; exit code 0 when everything held.

Without a verb: a feeder is played for three minutes while the daemon is killed twice, the ADT server is away for 30 s
and the Event Hub for 20 s; then the checker judges the run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import nemesis
from adt_process import AdtProcess
from contention import contend
from crash import kill_again_and_again

__all__ = ["main"]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _local_adt(asked: argparse.Namespace) -> tuple[bool, Any]:
    if asked.folder is not None:
        asked.folder.mkdir(parents=True, exist_ok=True)
    result = kill_again_and_again(asked.kills, folder=asked.folder, seed=asked.seed, writers=asked.writers, say=_say)
    return not result.wrong, result.to_json()


def _contention(asked: argparse.Namespace) -> tuple[bool, Any]:
    with tempfile.TemporaryDirectory() as folder, AdtProcess("--data", str(Path(folder) / "adt.sqlite")) as server:
        report = asyncio.run(contend(server.endpoint, clients=asked.clients, twins=asked.twins, seconds=asked.seconds))
    return not any(check["wrong"] for check in report.values()), report


def _feeder(asked: argparse.Namespace) -> tuple[bool, Any]:
    outcome = asyncio.run(nemesis.run(asked.folder or Path(".remhart/faults"), asked.seed))
    return outcome.passed, outcome.report


def main() -> None:
    """The report goes to --report, and without one to standard output, that of a feeder apart."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--folder", type=Path, help="where files are kept meanwhile")
    common.add_argument("--seed", type=int, default=1)
    common.add_argument("--report", type=Path, help="write the report to this file, as JSON")
    parser = argparse.ArgumentParser(
        prog="scripts/faults", description=__doc__, parents=[common], formatter_class=argparse.RawTextHelpFormatter
    )
    parser.set_defaults(run=_feeder, verb="")
    verbs = parser.add_subparsers(dest="verb")
    kills = verbs.add_parser("local-adt", parents=[common], help="SIGKILL the local ADT server under write load")
    kills.add_argument("--kills", type=int, default=200)
    kills.add_argument("--writers", type=int, default=6)
    kills.set_defaults(run=_local_adt)
    crowd = verbs.add_parser("contention", parents=[common], help="conditional writes of many clients to a few twins")
    crowd.add_argument("--clients", type=int, default=32)
    crowd.add_argument("--twins", type=int, default=10)
    crowd.add_argument("--seconds", type=float, default=30.0, help="of each of the two counting checks")
    crowd.set_defaults(run=_contention)
    asked = parser.parse_args()
    passed, report = asked.run(asked)
    if asked.report:
        asked.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    elif asked.verb:
        print(json.dumps(report, indent=2))
    print("Passed." if passed else "Not passed.")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
