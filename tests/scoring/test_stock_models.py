"""The stock converters' form of the committed models: the same trees, and the same answers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from remhart_adt.resources import models_dir
from remhart_adt.scoring.manifest import read_manifest

onnx = pytest.importorskip("onnx", reason="the train extra is not installed")
pytest.importorskip("xgboost", reason="the train extra is not installed")
pytest.importorskip("spox", reason="the train extra is not installed")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "lib"))

import bench_stock  # noqa: E402
import stock_models  # noqa: E402
from stock_models import Part, StockModel, convert, numpy_source, parts_of, rebuilt  # noqa: E402
from training.expr import Expr, concat, export, forest  # noqa: E402
from training.recipe import boost  # noqa: E402

DATA = Path(__file__).parent / "data"
ENTRIES = read_manifest(models_dir()).entries
PARTS = {name: parts_of(name, onnx.load(models_dir() / entry.file)) for name, entry in ENTRIES.items()}
MISSING = ", ".join(bench_stock.absent())
converters = pytest.mark.skipif(bool(MISSING), reason=f"the stock extra is not installed: {MISSING}")


def closed_form(part: Part, x: np.ndarray) -> np.ndarray:
    """A part without its converter."""
    if part.kind == "linear":
        return x @ part.attributes["coefficients"][:, None] + np.float32(part.attributes["intercept"])
    return rebuilt(part).inplace_predict(x, predict_type="margin").reshape(-1, 1)


def test_thirteen_have_a_stock_form_and_three_formulas_have_none() -> None:
    without = {name for name, parts in PARTS.items() if not parts}
    assert without == {"grid_stability", "load_balancing", "power_flow_optimization"}
    kinds = [part.kind for parts in PARTS.values() for part in parts]
    assert {kind: kinds.count(kind) for kind in kinds} == {"trees": 31, "logistic": 4, "linear": 1}


@pytest.mark.parametrize("name", [name for name, parts in PARTS.items() if parts])
def test_rebuilt_boosters_and_the_numpy_around_them_answer_as_the_file_does(name: str) -> None:
    source, held = numpy_source(onnx.load(models_dir() / ENTRIES[name].file), PARTS[name])
    exec(compile(source, name, "exec"), held)
    golden = np.load(DATA / f"golden_{name}.npz")
    with np.errstate(all="ignore"):
        calls = [lambda x, part=part: closed_form(part, np.ascontiguousarray(x)) for part in PARTS[name]]
        answer = held["answer"](golden["features"], *calls)
    expected = {key: golden[key] for key in golden.files if key != "features"}
    assert bench_stock.worst_difference(expected, answer) < 1e-4


@converters
@pytest.mark.parametrize("name", [name for name, parts in PARTS.items() if parts])
def test_the_stock_form_gives_the_golden_vectors(name: str, tmp_path: Path) -> None:
    golden = np.load(DATA / f"golden_{name}.npz")
    stock = StockModel(name, onnx.load(models_dir() / ENTRIES[name].file), tmp_path)
    expected = {key: golden[key] for key in golden.files if key != "features"}
    assert bench_stock.worst_difference(expected, stock.run(golden["features"])) < 1e-4
    stock.run_parts(stock.matrices(golden["features"][:1]))


@converters
def test_the_rebuilt_booster_converts_to_what_the_trained_one_converts_to(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3000, 5)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    y = np.nan_to_num(x[:, 0] * x[:, 1]) + rng.normal(0, 0.1, len(x))
    risk = boost(x, (y > 0.3).astype(float), 12, 4, objective="binary:logistic", leaf=5.0)
    trained = [boost(x, y, 9, 4), boost(x, y, 7, 3, objective="reg:quantileerror", alpha=0.9), risk]

    def function(i: object) -> dict[str, Expr]:
        columns = i[list("abcde")]  # type: ignore[index]
        return {
            "sum": concat([forest(b, columns) for b in trained[:2]]).sum(),
            "risk": (forest(risk, columns) * 1.1 + 0.2).sigmoid(),
        }

    parts = {p.attributes["nodes_treeids"][-1]: p for p in parts_of("own", export(function, tuple("abcde"), "own"))}
    assert [part.kind for _, part in sorted(parts.items())] == ["trees", "trees", "logistic"]
    for booster, number in zip(trained, (8, 6, 11), strict=True):
        theirs, ours = convert_of(booster, parts[number], monkeypatch), convert(parts[number])
        assert nameless(theirs) == nameless(ours)


def convert_of(booster: object, part: Part, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The converter's file of the booster as it was trained."""
    with monkeypatch.context() as patch:
        patch.setattr(stock_models, "rebuilt", lambda _: booster)
        return convert(part)


def nameless(blob: bytes) -> object:
    model = onnx.load_from_string(blob)
    model.graph.name = ""
    for node in model.graph.node:
        node.name = ""
    return model


def test_a_missing_converter_is_told_and_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_stock, "absent", lambda: ["onnxmltools"])
    said = bench_stock.compare_with_stock(models_dir())
    assert list(said) == ["not measured"]
    assert "onnxmltools" in said["not measured"]
    assert "[stock]" in said["not measured"]


def test_a_difference_is_seen_in_values_and_in_nan() -> None:
    a = {"v": np.array([1.0, np.nan, 200.0])}
    assert bench_stock.worst_difference(a, {"v": np.array([[1.0], [np.nan], [202.0]])}) == pytest.approx(0.01)
    assert bench_stock.worst_difference(a, {"v": np.array([1.0, 2.0, 200.0])}) == float("inf")
