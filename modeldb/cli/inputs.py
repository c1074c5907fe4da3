"""What the commands read: objects by their path, samples, and rows to predict."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from modeldb.errors import InvalidSample, MissingFeature, UnsupportedEstimator, WrongType

BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def load_model(where: str) -> Any:
    """The path of an .onnx file, or the estimator that an object path names. Raises UnsupportedEstimator (MD301)."""
    if where.endswith(".onnx"):
        return Path(where)
    if ":" not in where:
        raise UnsupportedEstimator(
            f"{where!r} is neither an .onnx file nor a Python object",
            hint="Write package.module:pipeline or train.py:pipeline. Pickles run code when opened and are not read.",
        )
    found = load_object(where)
    return found() if callable(found) and not hasattr(found, "predict") and not hasattr(found, "transform") else found


def load_object(where: str) -> Any:
    """What package.module:name or file.py:name names; the working folder is searched first.

    Raises InvalidSample (MD308) when there is no such module or name.
    """
    place, _, name = where.rpartition(":")
    try:
        found: Any = _module(place)
        for part in name.split("."):
            found = getattr(found, part)
    except (ModuleNotFoundError, FileNotFoundError, AttributeError) as error:
        raise InvalidSample(
            f"{where!r} cannot be loaded: {error}", hint="Write module:name; modules are looked for in this folder too."
        ) from error
    return found


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(place)
    name = Path(place).stem
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(Path(place).resolve()):
        return sys.modules[name]  # the model and the sample of one file: it is run once
    spec = importlib.util.spec_from_file_location(name, Path(place).resolve())
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{place} is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load_array(where: str) -> Any:
    import numpy as np

    return np.load(where, allow_pickle=False)


def load_sample(where: str, features: Sequence[str] | None = None) -> Any:
    """A DataFrame or an array from a .csv, .parquet or .npy file or an object. Raises InvalidSample (MD308)."""
    readers: dict[str, Callable[[], Any]] = {
        ".npy": lambda: _load_array(where),
        ".csv": lambda: _pandas().read_csv(where),
        ".parquet": lambda: _pandas().read_parquet(where),
    }
    try:
        if (suffix := Path(where).suffix) in readers:
            rows = readers[suffix]()
        elif ":" in where:
            rows = load_object(where)
            rows = rows() if callable(rows) else rows
        else:
            raise InvalidSample(f"the sample {where!r} is none of .csv, .parquet, .npy and module:object")
    except (OSError, ValueError, ImportError) as error:
        raise InvalidSample(f"the sample {where} cannot be read: {error}") from error
    if features is None or not hasattr(rows, "columns"):
        return rows
    if lost := [name for name in features if name not in rows.columns]:
        raise InvalidSample(f"the sample has no column {', '.join(map(repr, lost))}")
    return rows[list(features)]


def _pandas() -> ModuleType:
    try:
        return importlib.import_module("pandas")
    except ModuleNotFoundError:
        raise InvalidSample("reading this sample needs pandas", hint="pip install 'modeldb[sklearn]'") from None


def read_csv(lines: Iterable[str], features: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """The features' values of each row of a CSV, by the types of the model; an empty cell is a missing value.

    Raises MissingFeature (MD202) and WrongType (MD203), which names line and column.
    """
    reader = csv.DictReader(lines)
    if lost := [feature["name"] for feature in features if feature["name"] not in (reader.fieldnames or ())]:
        raise MissingFeature(f"the CSV has no column {', '.join(map(repr, lost))}")
    return [[_cell(row[f["name"]], f, reader.line_num) for f in features] for row in reader]


def _cell(text: str | None, feature: dict[str, Any], line: int) -> Any:
    if text is None or text == "":
        return None
    try:
        if feature["type"] == "text":
            return text
        if feature["type"] == "bool":
            return BOOLEANS[text.strip().lower()]
        return int(text) if feature["type"] == "int8" else float(text)
    except (ValueError, KeyError):
        raise WrongType(f"line {line}: feature {feature['name']!r} is {feature['type']}, {text!r} is not") from None
