"""The command line without a database: its help, its errors, and what wrong usage gets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from modeldb.cli import main
from modeldb.cli.app import GROUPS

COMMANDS = sorted(main.commands)


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """A runner whose private cluster would be in a new folder, and is never made."""
    monkeypatch.delenv("MODELDB_URL", raising=False)
    monkeypatch.setenv("MODELDB_HOME", str(tmp_path / "home"))
    yield CliRunner()
    assert not (tmp_path / "home").exists()


def test_every_command_of_the_issue_is_there_and_is_in_the_help() -> None:
    names = [
        "up",
        "down",
        "status",
        "psql",
        "install",
        "doctor",
        "register",
        "list",
        "show",
        "promote",
        "rollback",
        "predict",
        "demo",
    ]
    assert set(names) <= set(COMMANDS)
    assert sorted(name for group in GROUPS.values() for name in group) == COMMANDS
    listed = CliRunner().invoke(main, ["--help"]).output
    assert all(re.search(rf"^  {name} ", listed, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example_of_it(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert re.search(rf"Examples?:\n +(psql .*)?modeldb {name}\b", result.output)


@pytest.mark.parametrize(
    "name", ["list", "promote", "rollback", "predict", "show", "status", "up", "doctor", "register"]
)
def test_what_answers_a_question_has_json(name: str) -> None:
    assert "as_json" in [parameter.name for parameter in main.commands[name].params]


@pytest.mark.parametrize(
    "arguments", [["list"], ["show", "m"], ["promote", "m", "1"], ["predict", "m", "--row", "[1]"], ["psql"]]
)
def test_without_a_cluster_the_error_says_what_to_run(invoke: CliRunner, arguments: list[str]) -> None:
    result = invoke.invoke(main, arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("ERROR MD905: There is no private cluster in ")
    assert "HINT: Start it with: modeldb up." in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unreachable_database_is_an_error_with_its_class(invoke: CliRunner) -> None:
    result = invoke.invoke(main, ["list", "--url", "postgresql://nobody@/none?host=/nowhere"])
    assert (result.exit_code, result.stderr[:12]) == (1, "ERROR MD906:")


def test_doctor_without_a_server_fails_with_advice(invoke: CliRunner) -> None:
    result = invoke.invoke(main, ["doctor", "--json"])
    assert result.exit_code == 1
    (check,) = json.loads(result.stdout)["checks"]
    assert (check["name"], check["status"]) == ("server", "fail")
    assert "modeldb up" in check["advice"]


def test_status_without_a_cluster(invoke: CliRunner) -> None:
    found = json.loads(invoke.invoke(main, ["status", "--json"]).stdout)
    assert (found["running"], found["pid"]) == (False, None)
    assert found["url"].startswith("postgresql://postgres@/modeldb?host=")
    assert "there is none; modeldb up makes it" in invoke.invoke(main, ["status"]).stdout


def test_deleting_asks_and_takes_no_for_an_answer(invoke: CliRunner) -> None:
    result = invoke.invoke(main, ["down", "--delete"], input="n\n")
    assert result.exit_code == 1
    assert "Delete all data in" in result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["predict", "m"], "Give a CSV file of rows, or one row"),
        (["delete", "m", "--yes"], "Name a version, or give --all"),
        (["delete", "m", "1", "--all", "--yes"], "Name a version, or give --all"),
        (["register", "m", "a.onnx", "--sample", "x.csv", "--tag", "loose"], "'loose' is not KEY=VALUE"),
        (["register", "m", "a.onnx"], "Missing option '--sample'"),
        (["promote", "m", "two"], "'two' is not a valid integer"),
    ],
)
def test_wrong_usage_is_exit_code_2(invoke: CliRunner, arguments: list[str], complaint: str) -> None:
    result = invoke.invoke(main, arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
