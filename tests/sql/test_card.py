"""What the registry says of a model: describe(), the views, db.load(), the returned ModelVersion."""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.models import Trained

import modeldb
from modeldb.errors import UnknownModel, VersionRetired
from modeldb.registry import git_commit


@pytest.fixture(scope="module")
def made(module_db: modeldb.Database, mixed: Trained, cancer: Trained) -> modeldb.ModelVersion:
    module_db.register("cancer", cancer.estimator, sample=cancer.X)
    module_db.register("mixed", mixed.estimator, sample=mixed.X, description="the first")
    module_db.query("SELECT modeldb.promote('mixed', 1, 'stable')")
    return module_db.register(
        "mixed",
        mixed.estimator,
        sample=mixed.X,
        description="who pays more",
        metrics={"auc": np.float64(0.9), "folds": np.array([1, 2])},
        params={"C": 1.0, "since": dt.date(2020, 1, 2)},
        tags={"team": "risk"},
        promote=True,
    )


def test_register_returns_what_was_stored(made: modeldb.ModelVersion, module_db: modeldb.Database) -> None:
    card = module_db.describe("mixed")
    assert str(made) == "mixed/2"
    assert (made.name, made.version, made.digest) == (card["model"], card["version"], card["digest"])
    assert made.aliases == ("champion",)
    assert made.signature.to_json() == card["signature"]
    assert made.parity["mismatches"] == 0


@pytest.mark.parametrize(
    ("reference", "version"),
    [("mixed", 2), ("mixed@champion", 2), ("mixed@stable", 1), ("mixed/1", 1), ("mixed/2", 2)],
)
def test_describe_takes_every_form_of_a_reference(
    made: modeldb.ModelVersion, module_db: modeldb.Database, reference: str, version: int
) -> None:
    assert module_db.describe(reference)["version"] == version


def test_the_card_holds_what_was_given(made: modeldb.ModelVersion, module_db: modeldb.Database) -> None:
    card = module_db.describe("mixed")
    assert card["metrics"] == {"auc": 0.9, "folds": [1, 2]}
    assert card["params"] == {"C": 1.0, "since": "2020-01-02"}
    assert card["tags"] == {"team": "risk"}
    assert card["description"] == "who pays more"
    assert (card["task"], card["classes"], card["engine"]) == ("classification", [0, 1], "onnx")
    assert (card["on_null"], card["retired_at"], card["created_by"]) == ("raise", None, "postgres")
    assert [(f["name"], f["type"], f["nullable"]) for f in card["features"]] == [
        ("city", "text", False),
        ("color", "text", True),
        ("amount", "float8", True),
        ("age", "int8", False),
    ]


def test_the_card_holds_where_the_model_comes_from(made: modeldb.ModelVersion, module_db: modeldb.Database) -> None:
    provenance = module_db.describe("mixed")["provenance"]
    assert {"python", "scikit-learn", "numpy", "onnx", "onnxruntime"} <= set(provenance["versions"])
    assert provenance["estimator"]
    assert module_db.describe("mixed")["parity"] == made.parity


def test_the_commit_of_the_working_folder_is_kept(
    module_db: modeldb.Database, cancer: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeldb.registry.git_commit", lambda: {"git_commit": "c0ffee"})
    module_db.register("committed", cancer.estimator, sample=cancer.X)
    assert module_db.describe("committed")["provenance"]["git_commit"] == "c0ffee"


def test_a_commit_is_found_in_a_repository_and_none_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() == {}
    for command in ("init", "-c user.name=a -c user.email=a@b.c commit --allow-empty -m first"):
        subprocess.run(["git", *command.split()], check=True, capture_output=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert git_commit() == {"git_commit": head}
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec /bin/sleep 10\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("modeldb.registry.GIT_SECONDS", 0.1)
    assert git_commit() == {}
    slow.unlink()
    assert git_commit() == {}


def test_numbers_that_json_lacks_and_keys_that_are_no_texts(module_db: modeldb.Database, cancer: Trained) -> None:
    metrics = {"auc": float("nan"), "loss": np.inf, "recall": {np.int64(1): 0.5, (1, 2): -np.inf}}
    module_db.register("odd", cancer.estimator, sample=cancer.X, metrics=metrics, params={"C": float("inf")})
    card = module_db.describe("odd")
    assert card["metrics"] == {"auc": None, "loss": "Infinity", "recall": {"1": 0.5, "(1, 2)": "-Infinity"}}
    assert card["params"] == {"C": "Infinity"}


def test_the_fingerprint_describes_every_feature_of_the_sample(
    made: modeldb.ModelVersion, module_db: modeldb.Database, mixed: Trained
) -> None:
    found = module_db.describe("mixed")["fingerprint"]
    amount, color, age = (found["features"][name] for name in ("amount", "color", "age"))
    column = mixed.X["amount"]
    assert found["rows"] == len(mixed.X)
    assert (amount["count"], amount["missing"]) == (column.count(), column.isna().sum())
    assert amount["missing_share"] == pytest.approx(column.isna().mean())
    assert amount["mean"] == pytest.approx(column.mean())
    assert amount["std"] == pytest.approx(column.std(ddof=0), rel=0.01)
    assert (amount["min"], amount["max"]) == (column.min(), column.max())
    assert amount["quantiles"]["0.5"] == pytest.approx(column.median())
    assert color["categories"] == mixed.X["color"].value_counts().to_dict()
    assert color["missing"] == mixed.X["color"].isna().sum()
    assert age["mean"] == pytest.approx(mixed.X["age"].mean())


def test_the_view_of_models(made: modeldb.ModelVersion, module_db: modeldb.Database) -> None:
    [row] = [row for row in module_db.models() if row["name"] == "mixed"]
    assert (row["champion"], row["newest"], row["versions"], row["features"]) == (2, 2, 2, 4)
    assert (row["task"], row["classes"], row["on_null"], row["created_by"]) == (
        "classification",
        [0, 1],
        "raise",
        "postgres",
    )
    assert row["metrics"] == {"auc": 0.9, "folds": [1, 2]}
    assert row["description"] == "who pays more"


def test_the_view_of_versions(made: modeldb.ModelVersion, module_db: modeldb.Database) -> None:
    first, second = module_db.versions("mixed")
    assert (first["version"], first["aliases"], first["description"]) == (1, ["stable"], "the first")
    assert (second["version"], second["aliases"], second["precision"]) == (2, ["champion"], "float64")
    assert second["bytes"] == len(module_db.load("mixed"))
    assert {row["model"] for row in module_db.versions()} >= {"mixed", "cancer"}
    with pytest.raises(UnknownModel, match="'mixd'"):
        module_db.versions("mixd")


def test_the_view_of_aliases(made: modeldb.ModelVersion, module_db: modeldb.Database) -> None:
    rows = module_db.query("SELECT * FROM modeldb.aliases WHERE model = 'mixed' ORDER BY alias")
    assert [(row["alias"], row["version"], row["action"], row["changed_by"]) for row in rows] == [
        ("champion", 2, "promote", "postgres"),
        ("stable", 1, "promote", "postgres"),
    ]


@pytest.mark.parametrize("reference", ["mixed", "mixed@stable", "mixed/2"])
def test_load_gives_the_onnx_bytes_of_the_digest(
    made: modeldb.ModelVersion, module_db: modeldb.Database, reference: str
) -> None:
    artifact = module_db.load(reference)
    assert hashlib.sha256(artifact).hexdigest() == module_db.describe(reference)["digest"]
    assert onnx.ModelProto.FromString(artifact).graph.output


def test_a_retired_version_is_described_but_not_loaded(db: modeldb.Database, cancer: Trained) -> None:
    db.register("cancer", cancer.estimator, sample=cancer.X)
    db.register("cancer", cancer.estimator, sample=cancer.X)
    db.retire("cancer", version=2)
    assert db.describe("cancer/2")["retired_at"]
    with pytest.raises(VersionRetired):
        db.load("cancer/2")
    with pytest.raises(VersionRetired):
        db.predict("cancer/2", cancer.X[:1])


def test_tags_may_be_a_list_and_everything_may_be_left_out(db: modeldb.Database, cancer: Trained) -> None:
    db.register("cancer", cancer.estimator, sample=cancer.X, tags=["a", "b"])
    card = db.describe("cancer")
    assert (card["tags"], card["metrics"], card["params"], card["description"]) == (["a", "b"], {}, {}, None)
