"""docs/models.md names every estimator, and says of it what its generator finds."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
QUICK = (
    *("LogisticRegression", "RandomForestClassifier", "VotingClassifier", "GaussianNB", "OneVsOneClassifier"),
    *("Ridge", "HistGradientBoostingRegressor", "AdaBoostRegressor", "IsolationForest", "KMeans", "DBSCAN"),
    *("KNNImputer", "TargetEncoder", "NMF", "TfidfVectorizer", "LGBMRegressor", "XGBClassifier"),
)


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_models", DOCS / "generate_models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lines() -> dict[str, str]:
    """The line of each estimator."""
    page = (DOCS / "models.md").read_text(encoding="utf-8")
    return {
        found[1]: found[0] for found in re.finditer(r"^\| (\w+) \|.*\|$", page, re.MULTILINE) if found[1] != "estimator"
    }


def test_every_estimator_is_listed(lines: dict[str, str]) -> None:
    assert [name for _, name, _ in generator().everything()] == list(lines)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", QUICK)
def test_line_is_up_to_date(name: str, lines: dict[str, str]) -> None:
    module = generator()
    entry = next(entry for entry in module.everything() if entry[1] == name)
    assert lines[name] in module.table(entry[0], [module.judge(*entry)])
