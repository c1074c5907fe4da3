"""What a session may change around a prediction: encodings, the search_path, the tables it reads, settings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.flowers import Garden
from support.models import Trained
from support.server import plain
from support.tables import write_table

import modeldb
from modeldb.errors import MissingFeature, UnseenCategory, WrongType


@pytest.fixture(scope="module", autouse=True)
def _models(module_db: modeldb.Database, garden: Garden, mixed: Trained) -> None:
    module_db.register("mixed", mixed.estimator, sample=mixed.X)
    write_table(module_db, "people", mixed.X)


# --- encodings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["UTF8", "LATIN1", "LATIN9", "WIN1252", "SQL_ASCII", "LATIN2", "WIN1250", "ISO_8859_5"]
)
@pytest.mark.parametrize(
    "form", ["p", "to_json(p)", "to_jsonb(p)", "to_json(p)::text", "ROW(city, color, amount, age)"]
)
def test_texts_in_every_encoding_of_the_client(mixed: Trained, module_url: str, encoding: str, form: str) -> None:
    cities = ["Köln", "Bonn"] if encoding != "ISO_8859_5" else ["Bonn"]
    expected = mixed.estimator.predict_proba(mixed.X[mixed.X["city"].isin(cities)])[:, 1]
    with psycopg.connect(plain(module_url), autocommit=True) as connection:
        connection.execute(f"SET client_encoding = '{encoding}'".encode())
        chosen = ", ".join(f"U&'{city.replace('ö', chr(92) + '00f6')}'" for city in cities)
        query = f"SELECT predict_proba('mixed', {form}, '1') FROM people p WHERE city IN ({chosen}) ORDER BY row_id"
        found = [float(row[0]) for row in connection.execute(query.encode("ascii")).fetchall()]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("encoding", ["LATIN1", "UTF8"])
def test_a_literal_in_the_encoding_of_the_client(mixed: Trained, module_url: str, encoding: str) -> None:
    with psycopg.connect(plain(module_url), autocommit=True) as connection:
        connection.execute(f"SET client_encoding = '{encoding}'".encode())
        row = pd.DataFrame([["Köln", "red", 100.0, 30]], columns=mixed.X.columns)
        expected = mixed.estimator.predict_proba(row)[0, 1]
        codec = {"LATIN1": "latin-1", "UTF8": "utf-8"}[encoding]
        query = "SELECT predict_proba('mixed', '[\"Köln\", \"red\", 100, 30]', '1')".encode(codec)
        assert float(connection.execute(query).fetchall()[0][0]) == pytest.approx(expected)


def test_an_error_with_letters_beyond_ascii_in_it(module_url: str) -> None:
    with psycopg.connect(plain(module_url), autocommit=True) as connection:
        connection.execute(b"SET client_encoding = 'LATIN1'")
        refusal(
            connection, "SELECT predict('mixed', ROW(U&'M\\00fcnchen', 'red', 1.0, 20))", UnseenCategory, "'München'"
        )


# --- search_path and settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["''", "pg_catalog", "pg_temp", "modeldb", "public", "nowhere"])
def test_qualified_names_predict_whatever_the_search_path(garden: Garden, module_url: str, path: str) -> None:
    expected = garden.width.estimator.predict(garden.width.X)
    with psycopg.connect(plain(module_url), autocommit=True) as connection:
        connection.execute(f"SET search_path = {path}".encode())
        for row in ("f", "pg_catalog.to_jsonb(f)", "ROW(f.sepal_length, f.sepal_width, f.petal_length)"):
            query = f"SELECT modeldb.predict('width', {row}) FROM public.flowers f ORDER BY row_id"
            np.testing.assert_allclose(answers(connection, query), expected, rtol=1e-9)
        assert answer(connection, "SELECT modeldb.describe('width') ->> 'model'") == "width"
        assert answer(connection, "SELECT count(*) FROM modeldb.cache()") == 1


def test_objects_of_the_same_name_in_another_schema_are_not_used(garden: Garden, scratch: psycopg.Connection) -> None:
    scratch.execute(
        b"""CREATE SCHEMA trap; SET LOCAL search_path = trap, modeldb, public, pg_catalog;
        CREATE TABLE trap.alias (model text); CREATE TABLE trap.model_version (model text);
        CREATE TABLE trap.artifact (digest text, bytes bigint); CREATE TABLE trap.publication (epoch bigint);
        CREATE FUNCTION trap._epoch() RETURNS bigint LANGUAGE sql AS 'SELECT 99::bigint';
        CREATE FUNCTION trap.record_send(record) RETURNS bytea LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE FUNCTION trap.to_json(anyelement) RETURNS json LANGUAGE sql AS $$ SELECT '{}'::json $$;
        CREATE FUNCTION trap.pg_typeof(anyelement) RETURNS regtype LANGUAGE sql AS $$ SELECT 'record'::regtype $$;
        CREATE FUNCTION trap.equal(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE OPERATOR trap.= (FUNCTION = trap.equal, LEFTARG = oid, RIGHTARG = oid)"""
    )
    expected = garden.width.estimator.predict(garden.width.X)
    for row in ("f", "ROW(f.sepal_length, f.sepal_width, f.petal_length)"):
        found = answers(scratch, f"SELECT modeldb.predict('width', {row}) FROM public.flowers f ORDER BY row_id")
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(
    "setting",
    ["extra_float_digits = -15", "bytea_output = 'escape'", "lc_numeric = 'C'", "DateStyle = 'German'", "jit = on",
     "quote_all_identifiers = on", "standard_conforming_strings = off", "transform_null_equals = on",
     "default_transaction_read_only = on", "default_transaction_isolation = 'serializable'"],
)  # fmt: skip
def test_settings_do_not_change_a_prediction(garden: Garden, module_url: str, setting: str) -> None:
    with psycopg.connect(plain(module_url), autocommit=True) as connection:
        connection.execute(f"SET {setting}".encode())
        for row in ("f", "ARRAY[f.sepal_length, f.sepal_width, f.petal_length]"):
            same = f"predict('width', {row}) = w.width"
            query = f"SELECT count(*) FROM flowers f JOIN right_widths w USING (row_id) WHERE {same}"
            assert answer(connection, query) == 150


@pytest.fixture(scope="module", autouse=True)
def _right(garden: Garden, reader: psycopg.Connection) -> None:
    reader.execute(b"CREATE TABLE right_widths AS SELECT row_id, predict('width', f) AS width FROM flowers f")


# --- tables that change between two predictions --------------------------------------------------------------------

LINE = "SELECT predict('width', n) FROM nursery n"
CHANGES: list[tuple[str, str, list[float]]] = [
    ("a column added", "ALTER TABLE nursery ADD more text DEFAULT 'x'", [1, 2, 3]),
    ("a column added without a default", "ALTER TABLE nursery ADD more float8", [1, 2, 3]),
    ("a column in front dropped", "ALTER TABLE nursery DROP note", [1, 2, 3]),
    ("two columns swapped", "ALTER TABLE nursery RENAME sepal_length TO x; ALTER TABLE nursery RENAME petal_length TO"
     " sepal_length; ALTER TABLE nursery RENAME x TO petal_length", [3, 2, 1]),
    ("another type of the same width", "ALTER TABLE nursery ALTER sepal_length TYPE int8", [1, 2, 3]),
    ("a narrower type", "ALTER TABLE nursery ALTER sepal_length TYPE float4", [1, 2, 3]),
    ("a type of variable width", "ALTER TABLE nursery ALTER petal_length TYPE numeric", [1, 2, 3]),
    ("a column dropped and added again", "ALTER TABLE nursery DROP sepal_length; ALTER TABLE nursery ADD sepal_length"
     " float8 DEFAULT 9", [9, 2, 3]),
    ("a changed value", "UPDATE nursery SET sepal_width = 7", [1, 7, 3]),
    ("another column's type", "ALTER TABLE nursery ALTER note TYPE int4 USING 5", [1, 2, 3]),
    ("the table made anew", "DROP TABLE nursery; CREATE TABLE nursery AS SELECT 4.0::float8 AS petal_length,"
     " 5.0::float8 AS sepal_width, 6.0::float8 AS sepal_length", [6, 5, 4]),
]  # fmt: skip


@pytest.fixture
def nursery(scratch: psycopg.Connection) -> psycopg.Connection:
    scratch.execute(
        b"CREATE TEMP TABLE nursery AS SELECT 'x'::text AS note, 1.0::float8 AS sepal_length,"
        b" 2.0::float8 AS sepal_width, 3.0::float8 AS petal_length"
    )
    return scratch


def width_of(garden: Garden, row: list[float]) -> float:
    return float(garden.width.estimator.predict(pd.DataFrame([row], columns=garden.width.X.columns))[0])


each_change = pytest.mark.parametrize(("change", "row"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])


@each_change
def test_a_table_changed_within_a_transaction(
    garden: Garden, nursery: psycopg.Connection, change: str, row: list[float]
) -> None:
    assert answer(nursery, LINE) == pytest.approx(width_of(garden, [1, 2, 3]))
    nursery.execute(change.encode())
    assert answer(nursery, LINE) == pytest.approx(width_of(garden, row))


@each_change
def test_a_table_changed_within_one_block(
    garden: Garden, nursery: psycopg.Connection, change: str, row: list[float]
) -> None:
    before, after = width_of(garden, [1, 2, 3]), width_of(garden, row)
    execute = "".join(f"EXECUTE $x${part}$x$;" for part in change.split(";"))
    nursery.execute(
        f"""DO $do$ DECLARE found float8; BEGIN
        EXECUTE $x${LINE}$x$ INTO found; ASSERT abs(found - {before!r}) < 1e-9, found;
        {execute}
        EXECUTE $x${LINE}$x$ INTO found; ASSERT abs(found - {after!r}) < 1e-9, found;
        END $do$""".encode()
    )


@each_change
def test_a_table_changed_by_another_session(
    garden: Garden, reader: psycopg.Connection, module_url: str, change: str, row: list[float]
) -> None:
    with psycopg.connect(plain(module_url), autocommit=True) as other:
        other.execute(
            b"DROP TABLE IF EXISTS nursery; CREATE TABLE nursery AS SELECT 'x'::text AS note,"
            b" 1.0::float8 AS sepal_length, 2.0::float8 AS sepal_width, 3.0::float8 AS petal_length"
        )
        assert answer(reader, LINE) == pytest.approx(width_of(garden, [1, 2, 3]))
        other.execute(change.encode())
        assert answer(reader, LINE) == pytest.approx(width_of(garden, row))


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("ALTER TABLE nursery RENAME sepal_width TO other", MissingFeature),
        ("ALTER TABLE nursery DROP sepal_width", MissingFeature),
        ("ALTER TABLE nursery ALTER sepal_width TYPE text", WrongType),
    ],
)
def test_a_table_that_fits_no_more(nursery: psycopg.Connection, change: str, kind: type[modeldb.ModeldbError]) -> None:
    assert answer(nursery, LINE)
    nursery.execute(change.encode())
    refusal(nursery, LINE, kind, "model 'width'", "'sepal_width'")


def test_a_composite_type_changed(garden: Garden, scratch: psycopg.Connection) -> None:
    scratch.execute(b"CREATE TYPE pot AS (sepal_length float8, sepal_width float8, petal_length float8)")
    document = '{"sepal_length": 1, "sepal_width": 2, "petal_length": 3}'
    query = f"SELECT predict('width', jsonb_populate_record(NULL::pot, '{document}'))"
    assert answer(scratch, query) == pytest.approx(width_of(garden, [1, 2, 3]))
    scratch.execute(b"ALTER TYPE pot RENAME ATTRIBUTE sepal_width TO x")
    refusal(scratch, query, MissingFeature, "'sepal_width'")
