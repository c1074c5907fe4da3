"""What a prediction loads into the server: an import there is paid for by every connection."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer
from support.fixtures import Session
from support.registering import Register

MODULES = """CREATE FUNCTION pg_temp.loaded() RETURNS text LANGUAGE plpython3u AS $$
import sys
return " ".join(sorted({name.split(".")[0] for name in sys.modules}))
$$"""
CLIENT = {"psycopg", "sqlalchemy", "alembic", "click", "rich", "sklearn", "pandas", "scipy", "skl2onnx", "xgboost"}


def loaded(connection: psycopg.Connection) -> set[str]:
    connection.execute(MODULES.encode())
    return set(str(answer(connection, "SELECT pg_temp.loaded()")).split())


@pytest.mark.parametrize("function", ["predict", "predict_label", "predict_json"])
def test_a_prediction_loads_numpy_and_onnxruntime_and_no_more(
    session: Session, register: Register, function: str
) -> None:
    register(1.0)
    reader = session()
    reader.execute(f"SELECT {function}('m', ROW(1, 0))".encode())
    found = loaded(reader)
    assert {"modeldb", "numpy", "onnxruntime", "orjson"} <= found
    assert found & (CLIENT | {"onnx", "google"}) == set()


def test_registering_and_promoting_load_onnx_but_nothing_of_the_client(
    sql: psycopg.Connection, register: Register
) -> None:
    register(1.0)
    sql.execute("SELECT promote('m', 1, 'challenger')")
    found = loaded(sql)
    assert "onnx" in found
    assert found & CLIENT == set()
