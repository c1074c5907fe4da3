"""What the command line reads and prints: objects, samples, CSV files, cells of tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modeldb.cli.inputs import load_model, load_object, load_sample, read_csv
from modeldb.cli.output import shown, size
from modeldb.errors import InvalidSample, MissingFeature, UnsupportedEstimator, WrongType


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a module in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cli_training.py").write_text(
        "class Estimator:\n    def predict(self): ...\n    def __call__(self): return 'called'\n"
        "pipeline = Estimator()\nrows = [[1.0], [2.0]]\n"
        "def make(): return pipeline\nclass space:\n    inner = pipeline\n"
    )
    return tmp_path


@pytest.mark.parametrize("name", ["pipeline", "make", "space.inner"])
@pytest.mark.parametrize("place", ["cli_training", "cli_training.py", "./cli_training.py"])
def test_a_model_is_an_object_or_what_a_function_returns(folder: Path, place: str, name: str) -> None:
    assert type(load_model(f"{place}:{name}")).__name__ == "Estimator"


def test_a_file_with_model_and_sample_is_run_once(folder: Path) -> None:
    assert load_object("cli_training.py:pipeline") is load_object("cli_training.py:pipeline")


def test_an_onnx_file_stays_a_path() -> None:
    assert load_model("some/model.onnx") == Path("some/model.onnx")


def test_a_pickle_is_not_opened() -> None:
    with pytest.raises(UnsupportedEstimator, match=r"'model\.pkl' is neither") as raised:
        load_model("model.pkl")
    assert "not read" in str(raised.value.hint)


@pytest.mark.parametrize("where", ["cli_training:nothing", "no_such_module:x", "absent.py:x"])
def test_an_object_that_is_not_there(folder: Path, where: str) -> None:
    with pytest.raises(InvalidSample, match="cannot be loaded"):
        load_object(where)


def test_samples_come_from_files_and_objects(folder: Path) -> None:
    frame = pd.DataFrame({"a": [1.5, None], "b": ["x", "y"], "c": [1, 2]})
    frame.to_csv("rows.csv", index=False)
    np.save("rows.npy", np.eye(2))
    assert list(load_sample("rows.csv").columns) == ["a", "b", "c"]
    assert list(load_sample("rows.csv", ["c", "a"]).columns) == ["c", "a"]
    assert load_sample("rows.npy").shape == (2, 2)
    assert load_sample("cli_training:rows") == [[1.0], [2.0]]


@pytest.mark.parametrize("where", ["absent.csv", "absent.npy", "rows.xlsx"])
def test_a_sample_that_cannot_be_read(folder: Path, where: str) -> None:
    with pytest.raises(InvalidSample):
        load_sample(where)


def test_an_array_of_objects_is_no_sample(folder: Path) -> None:
    np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidSample, match="allow_pickle"):
        load_sample("objects.npy")


FEATURES = [{"name": n, "type": t} for n, t in (("x", "float8"), ("n", "int8"), ("b", "bool"), ("t", "text"))]


def test_a_csv_is_read_by_the_types_of_the_model() -> None:
    lines = ["extra,t,x,n,b\n", "1,007,2.5,3,true\n", "2,,,,\n", "3,NaN,nan,-4,F\n"]
    first, second, third = read_csv(lines, FEATURES)
    assert first == [2.5, 3, True, "007"]
    assert second == [None] * 4
    assert np.isnan(third[0])
    assert third[1:] == [-4, False, "NaN"]


@pytest.mark.parametrize("cells", ["x,2,true,a", "1,2.5,true,a", "1,2,maybe,a"])
def test_a_cell_of_the_wrong_type_names_line_and_feature(cells: str) -> None:
    with pytest.raises(WrongType, match=r"line 2: feature '[xnb]' is (float8|int8|bool), '(x|2.5|maybe)' is not"):
        read_csv(["x,n,b,t\n", cells], FEATURES)


def test_a_csv_without_a_feature_names_it() -> None:
    with pytest.raises(MissingFeature, match="no column 'b', 't'"):
        read_csv(["x,n\n"], FEATURES)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "yes"), (0.1 + 0.2, "0.3"), ({"a": 1.5}, "a=1.5"), (["x", "y"], "x, y"), (12, "12")],
)
def test_values_in_tables(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(("count", "text"), [(999, "999 bytes"), (1500, "1.5 kB"), (3.2e9, "3.2 GB")])
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text
