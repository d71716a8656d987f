"""The built wheel stands alone: installed into a fresh environment, its command runs and finds its data files."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from remhart_adt import __version__
from remhart_adt.resources import dtdl_dir, examples_dir, models_dir

pytestmark = [pytest.mark.slow, pytest.mark.process]
ROOT = Path(__file__).resolve().parents[2]


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """The interpreter of a fresh environment with the wheel in it.

    Its dependencies are those of this environment, put on the path: a plain path entry does not follow the editable
    install of the checkout, so that `remhart_adt` can only come from the wheel.
    """
    folder = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(folder, with_pip=False)
    fresh = folder / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel]
    run(sys.executable, "-m", "pip", "--python", fresh, *install, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return fresh


def test_the_wheel_has_the_data_the_types_and_the_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = "remhart_adt/"
    assert {package + "py.typed", package + "_data/dtdl/ml-engine.json"} < names
    assert {Path(name).name for name in names if "/licenses/" in name} >= {"LICENSE", "NOTICE"}
    for folder, original in (("dtdl", dtdl_dir()), ("models", models_dir()), ("examples", examples_dir())):
        tracked = run("git", "ls-files", original, cwd=ROOT).split()
        wanted = {f"{package}_data/{folder}/{(ROOT / path).relative_to(original)}" for path in tracked}
        assert wanted <= names
    assert not [name for name in names if name.startswith(("tests/", "scripts/")) or "__pycache__" in name]


def test_the_installed_command_runs(python, tmp_path):
    assert __version__ in run(python.parent / "remhart-adt", "--version", cwd=tmp_path)


def test_data_files_are_found_in_the_installed_wheel(python, tmp_path):
    code = (
        "import json, remhart_adt; from remhart_adt import resources as r; from remhart_adt.dtdl import parse;"
        "print(json.dumps([remhart_adt.__file__, *map(str, (r.dtdl_dir(), r.models_dir(), r.examples_dir()))]));"
        "print(json.dumps(sorted(parse(r.dtdl_dir(), profile='adt'))))"
    )
    paths, models = map(json.loads, run(python, "-c", code, cwd=tmp_path).splitlines())

    home = str(python.parent.parent)
    assert all(path.startswith(home) for path in paths)
    assert all("_data" in path for path in paths[1:])
    assert len(models) == 4


def test_data_files_are_found_in_the_checkout():
    assert (dtdl_dir(), models_dir(), examples_dir()) == (ROOT / "dtdl", ROOT / "models", ROOT / "examples")


def test_the_installed_wheel_validates_its_own_models(python, tmp_path):
    """The first thing an architect does, from the wheel and outside any checkout."""
    output = run(python.parent / "remhart-adt", "models", "validate", "--output", "json", cwd=tmp_path)
    assert json.loads(output) == []  # no problem found
