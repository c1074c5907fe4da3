"""Predictions as BI tools see them: a view like any other, in the catalogs that such tools read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import psycopg
import pytest
from psycopg import sql as sql_text
from sqlalchemy import Engine, MetaData, Table, create_engine, func, inspect, select
from sqlalchemy.pool import NullPool
from support.flowers import Garden

import modeldb

COLUMNS = {
    "row_id": "bigint",
    "petal_length": "double precision",
    "label": "text",
    "probability": "double precision",
    "model": "text",
    "model_version": "integer",
    "scored_at": "timestamp with time zone",
}
VIEWS = ["kinds", "kinds_in_place"]


@pytest.fixture(scope="module")
def predicted(module_db: modeldb.Database, garden: Garden, reader: psycopg.Connection) -> Garden:
    """Predictions of the flowers' kinds, in a materialized view and in a table that is updated."""
    create = (
        "SELECT modeldb.create_predictions(%s, 'species', 'flowers', 'row_id', '{petal_length}', incremental => %s)"
    )
    for view in VIEWS:
        reader.execute(create, [view, view != "kinds"])
    return garden


@pytest.fixture
def bi(
    module_db: modeldb.Database, predicted: Garden, make_role: Callable[..., str], reader: psycopg.Connection
) -> Iterator[Engine]:
    """A tool's connections, as a role that may read the views and nothing else, modeldb's schema neither."""
    role = make_role()
    for view in VIEWS:
        reader.execute(sql_text.SQL("GRANT SELECT ON {} TO {}").format(*map(sql_text.Identifier, (view, role))))
    engine = create_engine(module_db.engine.url, connect_args={"options": f"-c role={role}"}, poolclass=NullPool)
    yield engine
    reader.execute(sql_text.SQL("DROP OWNED BY {}").format(sql_text.Identifier(role)))


@pytest.mark.parametrize("view", VIEWS)
def test_information_schema(bi: Engine, view: str) -> None:
    with bi.connect() as connection:
        query = "SELECT table_schema, table_type FROM information_schema.tables WHERE table_name = %(view)s"
        assert connection.exec_driver_sql(query, {"view": view}).all() == [("public", "VIEW")]
        query = "SELECT table_schema, is_updatable FROM information_schema.views WHERE table_name = %(view)s"
        assert connection.exec_driver_sql(query, {"view": view}).all() == [("public", "NO")]
        query = """SELECT column_name, data_type FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name = %(view)s ORDER BY ordinal_position"""
        assert list(connection.exec_driver_sql(query, {"view": view}).all()) == list(COLUMNS.items())


def test_inspector(bi: Engine) -> None:
    found = inspect(bi)
    assert set(VIEWS) <= set(found.get_view_names())
    assert found.get_materialized_view_names() == ["kinds_stored"]
    for view in VIEWS:
        columns = {column["name"]: column["type"].compile(bi.dialect) for column in found.get_columns(view)}
        assert {name: kind.lower() for name, kind in columns.items()} == COLUMNS
        assert (found.get_table_comment(view)["text"] or "").startswith(
            "Predictions of model species for public.flowers"
        )


@pytest.mark.parametrize("view", VIEWS)
def test_reflected_table(bi: Engine, predicted: Garden, view: str) -> None:
    table = Table(view, MetaData(), autoload_with=bi)
    assert list(table.c.keys()) == list(COLUMNS)
    expected = Counter(predicted.species.estimator.predict(predicted.X).tolist())
    with bi.connect() as connection:
        found = connection.execute(select(table.c.label, func.count()).group_by(table.c.label)).all()
    assert {row[0]: row[1] for row in found} == expected


@pytest.mark.parametrize("view", VIEWS)
def test_read_sql_table(bi: Engine, predicted: Garden, view: str) -> None:
    found = pd.read_sql_table(view, bi, index_col="row_id").sort_index()
    estimator = predicted.species.estimator
    assert list(found.columns) == list(COLUMNS)[1:]
    assert found["label"].tolist() == estimator.predict(predicted.X).tolist()
    np.testing.assert_allclose(found["probability"], estimator.predict_proba(predicted.X).max(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(found["petal_length"], predicted.X["petal_length"])
    assert set(found["model"]) == {"species"}
    assert set(found["model_version"]) == {1}
    assert str(found["scored_at"].dtype).startswith("datetime64[")
    assert found["scored_at"].nunique() == 1
    some = pd.read_sql_table(view, bi, schema="public", columns=["label", "probability"])
    assert some.shape == (150, 2)


def test_the_role_reads_nothing_else(bi: Engine) -> None:
    query = "SELECT has_table_privilege(c.oid, 'SELECT') FROM pg_class c WHERE c.relname IN ('flowers', 'kinds_stored')"
    with bi.connect() as connection:
        assert connection.exec_driver_sql(query).all() == [(False,), (False,)]
        assert connection.exec_driver_sql("SELECT has_schema_privilege('modeldb', 'USAGE')").scalar() is False
