"""The architecture, held: who imports whom, what an import costs, and what a SQL file may look like."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "modeldb"
SQL = sorted((ROOT / "sql").rglob("*.sql"))
BY_THE_CALLERS_PATH = tuple(f"FUNCTION modeldb.{name}(" for name in ("_open", "_next", "_path"))
"""Functions that run the caller's query, or find what a name means to the caller."""
FUNCTIONS = sorted((ROOT / "sql" / "functions").glob("*.sql"))
LAYERS = [
    {"errors"},
    {"signature"},
    {"artifact"},
    {"convert", "runtime"},
    {"server", "registry", "documents", "prediction", "functions", "batch", "database", "online"}
    | {"schema", "folders", "programs", "postmaster", "score"},
    {"install", "cluster", "doctor", "cli", "demo", "worker"},
]
"""Imports point to the left, or stay within a layer. The server and the clients share one and never meet."""
CLIENT = {"registry", "documents", "prediction", "functions", "batch", "online", "database", "schema", "score"} | {
    *("install", "cluster", "cli", "demo", "doctor", "worker"),
}


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path, *, everywhere: bool = True) -> set[str]:
    """The modules that a file imports, at its top or everywhere; names under TYPE_CHECKING do not count."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own_parts(file: Path, *, everywhere: bool = True) -> set[str]:
    found = {module.split(".")[1] for module in imports(file, everywhere=everywhere) if module.startswith("modeldb.")}
    return found & set().union(*LAYERS)


MODULES = [file for file in sorted(PACKAGE.rglob("*.py")) if file.parent != PACKAGE or file.name != "__init__.py"]
MODULES = [file for file in MODULES if not {"sql", "migrations"} & set(file.relative_to(PACKAGE).parts)]
each_module = pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(PACKAGE)))


@each_module
def test_imports_point_one_way(file: Path) -> None:
    own = part_of(file)
    [level] = [number for number, layer in enumerate(LAYERS) if own in layer]
    allowed = set().union(*LAYERS[: level + 1])
    assert own_parts(file, everywhere=False) <= allowed


@each_module
def test_the_server_and_the_clients_never_import_each_other(file: Path) -> None:
    own, found = part_of(file), imports(file)
    if own == "server":
        assert not own_parts(file) & (CLIENT | {"convert"})
        assert not {module.split(".")[0] for module in found} & {"psycopg", "sqlalchemy", "alembic", "sklearn", "onnx"}
    else:
        assert "plpy" not in found
        assert "server" not in own_parts(file)


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a statement loads in a fresh interpreter."""
    code = f"{statement}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd="/")
    return set(done.stdout.split())


HEAVY = {"sklearn", "onnxruntime", "onnx", "skl2onnx", "pandas", "scipy", "xgboost", "lightgbm", "plpy"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import modeldb", HEAVY | {"numpy", "sqlalchemy", "psycopg", "alembic", "click", "rich"}),
        ("import modeldb; modeldb.connect", HEAVY | {"alembic", "click", "rich"}),
        ("import modeldb; modeldb.predict", HEAVY | {"alembic", "psycopg"}),
        ("import modeldb; modeldb.local", HEAVY | {"sqlalchemy", "psycopg", "alembic"}),
        ("import modeldb.errors, modeldb.signature", HEAVY | {"numpy", "sqlalchemy"}),
        ("import modeldb.artifact", HEAVY | {"numpy", "sqlalchemy"}),
        ("import modeldb.runtime", (HEAVY | {"sqlalchemy", "psycopg"}) - {"onnxruntime"}),
    ],
)
def test_an_import_loads_no_more_than_it_needs(statement: str, absent: set[str]) -> None:
    assert loaded_by(statement) & absent == set()


def bodies(file: Path) -> list[str]:
    """The PL/Python bodies in a SQL file."""
    text = file.read_text(encoding="utf-8")
    return [m[2] for m in re.finditer(r"LANGUAGE plpython3u.*?AS \$(\w*)\$\n(.*?)\$\1\$", text, re.DOTALL)]


@pytest.mark.parametrize("file", SQL, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_body_of_plpython_is_a_wrapper_of_at_most_six_lines(file: Path) -> None:
    assert file.read_text(encoding="utf-8").count("LANGUAGE plpython3u") == len(bodies(file))
    for body in bodies(file):
        assert len(body.strip().splitlines()) <= 6
        assert set(re.findall(r"plpy\.execute\((.*?)\)\n", body)) <= {'"SELECT modeldb._python()"'}


@pytest.mark.parametrize("file", FUNCTIONS, ids=lambda file: file.name)
def test_every_function_of_a_file_is_replaced_in_place_and_has_a_comment(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    made = re.findall(r"^CREATE OR REPLACE FUNCTION (modeldb\.\w+)\(", text, re.MULTILINE)
    assert made
    assert "CREATE FUNCTION" not in text
    assert sorted(re.findall(r"COMMENT ON FUNCTION (modeldb\.\w+)\(", text)) == sorted(made)
    if not file.name.startswith("_"):
        assert f"modeldb.{file.stem}" in made


@pytest.mark.parametrize("file", FUNCTIONS, ids=lambda file: file.name)
def test_every_definer_pins_its_search_path(file: Path) -> None:
    heads = re.findall(r"FUNCTION modeldb\.\w+\(.*?(?:AS \$|BEGIN ATOMIC)", file.read_text(encoding="utf-8"), re.DOTALL)
    for head in heads:
        if head.startswith(BY_THE_CALLERS_PATH):
            continue
        if "SECURITY DEFINER" in head or "plpgsql" in head:
            assert "SET search_path = pg_catalog, pg_temp" in head
