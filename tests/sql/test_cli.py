"""The commands against a database: what people and programs read, and what doctor finds wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text
from support.models import Trained

import modeldb
from modeldb.cli import main
from modeldb.doctor import check_database

Invoke = Callable[..., Result]


@pytest.fixture
def run(db: modeldb.Database, url: str) -> Invoke:
    """Runs a command on the test's database."""

    def invoke(*arguments: str, code: int = 0, **options: Any) -> Result:
        result = CliRunner(env={"MODELDB_URL": url}).invoke(main, arguments, **options)
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, iris: Trained) -> Path:
    """A working folder with a model as ONNX and its sample."""
    monkeypatch.chdir(tmp_path)
    iris.X.to_csv("rows.csv", index=False)
    iris.X.iloc[:3].to_csv("three.csv", index=False)
    return tmp_path


@pytest.fixture
def registered(db: modeldb.Database, iris: Trained) -> modeldb.ModelVersion:
    db.register("iris", iris.estimator, sample=iris.X, metrics={"accuracy": 0.97}, description="three species")
    return db.register("iris", iris.estimator, sample=iris.X)


def test_register_an_object_with_metrics_and_tags(run: Invoke, db: modeldb.Database, folder: Path) -> None:
    (folder / "cli_species.py").write_text(
        "from sklearn.datasets import load_iris\nfrom sklearn.linear_model import LogisticRegression\n"
        "X, y = load_iris(return_X_y=True, as_frame=True)\n"
        "def pipeline(): return LogisticRegression(max_iter=1000).fit(X, y)\n"
    )
    said = run(
        *("register", "species", "cli_species.py:pipeline", "--sample", "cli_species.py:X", "--metric", "auc=0.9"),
        *("--tag", "team=bio", "--param", "C=1", "--description", "which species"),
    ).stdout
    assert said.startswith("species/1 is registered, now champion. It agrees with its estimator on 150 rows")
    card = db.describe("species")
    assert (card["metrics"], card["params"], card["tags"]) == ({"auc": 0.9}, {"C": 1}, {"team": "bio"})
    assert card["description"] == "which species"
    said = run("register", "species", "cli_species.py:pipeline", "--sample", "cli_species.py:X").stdout
    assert "modeldb promote species 2" in said


def test_register_an_onnx_file(run: Invoke, db: modeldb.Database, registered: Any, folder: Path) -> None:
    (folder / "iris.onnx").write_bytes(db.load("iris"))
    names = ",".join(db.describe("iris")["signature"]["features"][i]["name"] for i in range(4))
    options = ["--features", names, "--task", "classification", "--classes", "setosa,versicolor,virginica"]
    made = json.loads(run("register", "copy", "iris.onnx", "--sample", "rows.csv", *options, "--json").stdout)
    assert (made["name"], made["version"], made["aliases"]) == ("copy", 1, ["champion"])
    assert made["digest"] == registered.digest
    assert made["signature"]["classes"] == ["setosa", "versicolor", "virginica"]


def test_list_and_show(run: Invoke, registered: Any) -> None:
    assert "three species" in run("list").stdout
    (model,) = json.loads(run("list", "--json").stdout)
    assert (model["name"], model["champion"], model["newest"]) == ("iris", 1, 2)
    versions = json.loads(run("list", "iris", "--json").stdout)
    assert [row["version"] for row in versions] == [1, 2]
    assert "champion" in run("list", "iris").stdout
    card = run("show", "iris").stdout
    for part in ("iris/1", "three species", "accuracy=0.97", "setosa", "petal_length", "It agrees with its estimator"):
        assert part in card
    assert json.loads(run("show", "iris/2", "--json").stdout)["version"] == 2


def test_an_empty_registry_says_how_to_go_on(run: Invoke) -> None:
    assert "modeldb register --help" in run("list").stdout
    assert json.loads(run("list", "--json").stdout) == []


def test_promote_rollback_retire_and_delete(run: Invoke, db: modeldb.Database, registered: Any) -> None:
    assert run("promote", "iris", "2").stdout == "iris@champion is now iris/2.\n"
    moved = json.loads(run("promote", "iris", "1", "--alias", "challenger", "--json").stdout)
    assert moved == {"model": "iris", "alias": "challenger", "version": 1}
    assert run("rollback", "iris").stdout == "iris@champion is now iris/1.\n"
    assert "MD107" in run("rollback", "iris", "--steps", "7", code=1).stderr
    assert run("retire", "iris", "2").stdout == "iris/2 is retired.\n"
    assert "MD105" in run("retire", "iris", "1", code=1).stderr
    run("delete", "iris", "2", code=1, input="n\n")
    assert len(db.versions("iris")) == 2
    run("delete", "iris", "2", input="y\n")
    assert len(db.versions("iris")) == 1
    run("delete", "iris", "--all", "--yes")
    assert db.models() == []


def test_configure(run: Invoke, registered: Any) -> None:
    assert "gives NULL" in run("configure", "iris", "--on-null", "null").stdout
    row = '{"sepal_length": null, "sepal_width": 3, "petal_length": 1, "petal_width": 0.2}'
    assert json.loads(run("predict", "iris", "--row", row, "--json").stdout) is None


def test_predict_one_row(run: Invoke, registered: Any) -> None:
    answer = json.loads(run("predict", "iris", "--json-row", "[5.1, 3.5, 1.4, 0.2]", "--json").stdout)
    assert (answer["label"], answer["model"], answer["version"]) == ("setosa", "iris", 1)
    assert "setosa=0.9" in run("predict", "iris/2", "--row", "[5.1, 3.5, 1.4, 0.2]").stdout
    assert "MD201" in run("predict", "iris", "--row", "[5.1]", code=1).stderr


def test_predict_a_file(run: Invoke, registered: Any, folder: Path, iris: Trained) -> None:
    found = json.loads(run("predict", "iris", "three.csv", "--json").stdout)
    assert (found["model"], found["version"]) == ("iris", 1)
    assert [row["prediction"] for row in found["predictions"]] == ["setosa"] * 3
    expected = iris.estimator.predict_proba(iris.X.iloc[:3])
    assert [list(row["probabilities"].values()) for row in found["predictions"]] == [
        pytest.approx(row, abs=1e-9) for row in expected
    ]
    assert "p(virginica)" in run("predict", "iris", "-", input=(folder / "three.csv").read_text()).stdout
    assert "has no rows" in run("predict", "iris", "-", code=2, input=",".join(iris.X.columns)).stderr


def test_predict_a_file_with_a_regression(run: Invoke, db: modeldb.Database, diabetes: Trained, tmp_path: Path) -> None:
    db.register("diabetes", diabetes.estimator, sample=diabetes.X)
    diabetes.X.iloc[:2].to_csv(tmp_path / "two.csv", index=False)
    found = json.loads(run("predict", "diabetes", str(tmp_path / "two.csv"), "--json").stdout)["predictions"]
    assert [row["prediction"] for row in found] == pytest.approx(diabetes.estimator.predict(diabetes.X.iloc[:2]))
    assert all("probabilities" not in row for row in found)


def test_an_error_keeps_its_sqlstate_and_hint(run: Invoke, registered: Any) -> None:
    result = run("show", "irs", code=1)
    assert result.stdout == ""
    assert result.stderr == "ERROR MD101: there is no model 'irs'\nHINT: Did you mean: iris?\n"


def test_an_error_of_postgresql_has_no_traceback(run: Invoke, db: modeldb.Database) -> None:
    with db.transaction() as connection:
        connection.execute(text("ALTER TABLE modeldb.alias RENAME TO elsewhere"))
    result = run("promote", "iris", "1", code=1)
    assert result.stderr.startswith("ERROR ")
    assert "Traceback" not in result.stderr


# --- doctor ----------------------------------------------------------------------------------------------------------


def checks(result: Result) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def test_doctor_finds_nothing_wrong(run: Invoke) -> None:
    found = checks(run("doctor", "--json"))
    assert {"server", "PL/Python", "server's Python", "environment", "numpy", "onnxruntime", "modeldb"} <= set(found)
    well = ("schema", "schema's package", "search_path", "roles", "privileges", "epoch", "backend")
    assert {found[name]["status"] for name in well} == {"ok"}
    assert "PostgreSQL" in run("doctor").stdout


def test_doctor_changes_nothing(empty_url: str) -> None:
    result = CliRunner().invoke(main, ["doctor", "--json", "--url", empty_url])
    assert result.exit_code == 1
    found = checks(result)
    assert (found["schema"]["status"], found["schema"]["advice"]) == ("fail", "modeldb install")
    assert checks(CliRunner().invoke(main, ["doctor", "--json", "--url", empty_url])) == found


NEWER = "INSERT INTO modeldb.publication (epoch, action, model, published_by) VALUES (99, 'x', 'x', 'x')"
VERSION = """CREATE OR REPLACE FUNCTION modeldb._python() RETURNS void LANGUAGE plpython3u AS
'from modeldb.server import check_version; check_version("0.0.1")'"""


@pytest.mark.parametrize(
    ("damage", "name", "status", "advice"),
    [
        ("UPDATE modeldb.alembic_version SET version_num = '9999'", "schema", "fail", "upgrade this environment"),
        (
            "INSERT INTO modeldb.publication VALUES (99, 'x', 'x', 1, 'x', now(), 'x')",
            "epoch",
            "fail",
            "modeldb install",
        ),
        ("DROP SCHEMA modeldb CASCADE", "schema", "fail", "modeldb install"),
        (VERSION, "schema's package", "fail", "modeldb install"),
    ],
)
def test_doctor_says_what_to_run(
    run: Invoke, db: modeldb.Database, damage: str, name: str, status: str, advice: str
) -> None:
    with db.transaction() as connection:
        connection.exec_driver_sql(damage)
    check = checks(run("doctor", "--json", code=1))[name]
    assert check["status"] == status
    assert advice in check["advice"]


def test_doctor_warns_of_a_search_path_without_modeldb(run: Invoke, db: modeldb.Database) -> None:
    database = db.engine.url.database
    with db.transaction() as connection:
        connection.exec_driver_sql(f'ALTER DATABASE "{database}" RESET search_path')
    check = checks(run("doctor", "--json"))["search_path"]
    assert (check["status"], "modeldb.predict" in check["advice"]) == ("warn", True)


def test_doctor_tells_a_role_what_it_lacks(url: str, db: modeldb.Database, make_role: Callable[..., str]) -> None:
    for groups, status in (((), "fail"), (("modeldb_user",), "ok")):
        role = make_role(*groups)
        with db.engine.connect() as connection:
            connection.exec_driver_sql(f'SET SESSION AUTHORIZATION "{role}"')
            found = {check.name: check for check in check_database(connection)}
            connection.rollback()
            connection.exec_driver_sql("RESET SESSION AUTHORIZATION")
        assert found["privileges"].status == status
        assert found["server's Python"].status == "warn"
    assert found["backend"].status == "ok"
