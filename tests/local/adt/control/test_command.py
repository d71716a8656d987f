"""The control plane from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from remhart_adt.errors import LocalServerError
from remhart_adt.local.adt import Admin

pytestmark = pytest.mark.process


@contextmanager
def running(*arguments: str, **env: str) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "remhart_adt.cli.app", "local", "adt", *arguments]
    import os

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **env}) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def refused(*arguments: str) -> str:
    command = [sys.executable, "-m", "remhart_adt.cli.app", "local", "adt", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_instances_endpoints_tokens_key_and_https_are_options_of_the_command(tmp_path: Path) -> None:
    endpoint = tmp_path / "endpoint.json"
    endpoint.write_text(json.dumps({"kind": "file", "path": str(tmp_path / "events.ndjson")}))
    arguments = (
        "--data", str(tmp_path / "adt.sqlite"), "--instance", "lab", "--endpoint", f"lab/events=@{endpoint}",
        "--endpoint", 'hook={"kind": "webhook", "url": "http://127.0.0.1:9/x"}', "--auth", "required", "--tls",
    )  # fmt: skip
    with running(*arguments, REMHART_LOCAL_ADMIN_KEY="sesame") as ready:
        from pydantic import SecretStr

        assert ready["endpoint"].startswith("https://127.0.0.1:")
        assert ready["ca"] == str(tmp_path / "tls" / "ca.pem")
        admin = Admin(ready["admin"], ca_file=Path(ready["ca"]), key=SecretStr("sesame"))
        assert [one.name for one in admin.control.instances()] == ["local", "lab"]
        assert [one["name"] for one in admin.control.endpoints("lab")] == ["events"]
        assert [one["name"] for one in admin.control.endpoints()] == ["hook"]
        assert admin.control.token("ada")["token_type"] == "Bearer"
        with pytest.raises(LocalServerError, match="Send the admin key"):
            Admin(ready["admin"], ca_file=Path(ready["ca"])).health()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--endpoint", "events"), "this names no endpoint"),
        (("--endpoint", "events={key"), "this is not JSON"),
        (("--endpoint", "events=[]"), "this is no JSON object"),
        (("--endpoint", "events=@nowhere.json"), "cannot read nowhere.json"),
        (("--endpoint", 'events={"kind": "pigeon"}'), "a kind: one of"),
        (("--endpoint", 'nobody/events={"kind": "file", "path": "x.ndjson"}'), "There is no instance 'nobody'"),
        (("--instance", "a.b"), "3 to 63 letters"),
        (("--tls-name", "a b"), "not a host name"),
    ],
)
def test_options_that_make_no_sense_end_in_one_clear_line(arguments: tuple[str, ...], words: str) -> None:
    assert words in " ".join(refused(*arguments).split())
