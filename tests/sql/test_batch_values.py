"""Columns of every type, and values that are missing or odd, as predict_batch() reads them."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answers, refusal
from support.batch import EVERY, differing

from modeldb.errors import (
    ModeldbError,
    NonFiniteFeature,
    NullFeature,
    UnseenCategory,
    WrongType,
)

pytestmark = pytest.mark.usefixtures("batch_models")


NUMBERS = ["int2", "int4", "int8", "float4", "float8", "numeric", "numeric(10, 3)", "oid", "amount", "bool"]
TEXTS = ["text", "varchar", "varchar(9)", "char(9)", "name", "town", "place", "seat", "citext"]


@pytest.fixture
def types(scratch: psycopg.Connection) -> psycopg.Connection:
    scratch.execute(
        """CREATE DOMAIN amount AS numeric(12, 2); CREATE TYPE town AS ENUM ('a', 'b', 'Köln', 'other');
        CREATE DOMAIN place AS varchar(20) NOT NULL; CREATE DOMAIN seat AS town; CREATE EXTENSION citext"""
    )
    return scratch


@pytest.mark.parametrize("kind", NUMBERS)
def test_types_of_numbers(types: psycopg.Connection, kind: str) -> None:
    given = {"bool": ["true", "false"], "float4": ["3.1", "-0.0"], "float8": ["3.1", "1e300"]}
    query = (
        f"SELECT row_number() OVER () AS id, v::{kind} AS v FROM unnest(ARRAY{given.get(kind, ['1', '30000'])}) AS v"
    )
    types.execute(f"CREATE TABLE src AS {query}".encode())
    for columns in ("v AS a, 0.5 AS b", "0.1 AS a, v AS b"):
        assert differing(types, "m", f"SELECT id, {columns} FROM src", "id", "prediction") == []
    for feature in ("x", "y"):
        usual = {"x": "0.25", "y": "1.5::float4", "n": "3", "b": "true", "city": "'a'"} | {feature: "v"}
        columns = ", ".join(f"{expression} AS {name}" for name, expression in usual.items())
        assert differing(types, "kinds", f"SELECT id, {columns} FROM src", "id", "prediction") == []


@pytest.mark.parametrize("kind", NUMBERS)
def test_types_of_numbers_for_tensors_of_integers(types: psycopg.Connection, kind: str) -> None:
    types.execute(f"CREATE TABLE src AS SELECT 1 AS id, {'true' if kind == 'bool' else '1'}::{kind} AS v".encode())
    for columns in ("v AS a, true AS b, 2.5 AS c", "3 AS a, v AS b, 2.5 AS c", "-9 AS a, true AS b, v AS c"):
        assert differing(types, "k", f"SELECT id, {columns} FROM src", "id", "prediction") == []


@pytest.mark.parametrize("kind", TEXTS)
def test_types_of_texts(types: psycopg.Connection, kind: str) -> None:
    types.execute(
        f"""CREATE TABLE src AS SELECT row_number() OVER () AS id, 0.25 AS x, 1.5 AS y, 3 AS n, true AS b,
        v::{kind} AS city FROM unnest(ARRAY['a', 'b', 'Köln', 'other']) AS v""".encode()
    )
    assert differing(types, "kinds", "SELECT * FROM src", "id", "prediction") == []


def test_a_uuid_is_a_text(scratch: psycopg.Connection) -> None:
    source = "SELECT 1 AS id, 0 AS x, 1 AS y, 3 AS n, true AS b, gen_random_uuid() AS city"
    assert differing(scratch, "kinds", source, "id", "prediction") == []


@pytest.mark.parametrize("text", ["", " ", "NULL", 'a"b', "a\\b", "{a,b}", "a\nb\tc", "😀", "a\x01b", "it's"])
def test_texts_with_odd_letters(scratch: psycopg.Connection, text: str) -> None:
    scratch.execute("CREATE TEMP TABLE src AS SELECT 0 AS x, 1 AS y, 3 AS n, true AS b")
    scratch.execute("ALTER TABLE src ADD id text, ADD city text")
    scratch.execute("UPDATE src SET id = %s, city = %s", [text, text])
    assert differing(scratch, "kinds", "SELECT * FROM src", "id", "prediction") == []


UNBINDABLE = [("a", "now()"), ("a", "'1'::text"), ("a", "ARRAY[1]"), ("a", "'1'::jsonb"), ("a", "interval '1 s'")]


@pytest.mark.parametrize(("name", "expression"), UNBINDABLE)
def test_columns_of_other_types_are_refused(reader: psycopg.Connection, name: str, expression: str) -> None:
    source = f"SELECT {expression} AS a, 1 AS b"
    refusal(reader, "SELECT predict_batch('m', %s)", WrongType, f"'{name}'", values=(source,))


# --- values that are missing or odd --------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", ["float8", "float4", "numeric"])
def test_missing_values_anywhere(reader: psycopg.Connection, first: bool, kind: str) -> None:
    odd = "ARRAY[NULL, 'NaN', 1.5]" if first else "ARRAY[1.5, -2.5, 'NaN', NULL]"
    source = f"SELECT i AS id, v AS a, 1 AS b FROM unnest({odd}::{kind}[]) WITH ORDINALITY AS u (v, i)"
    assert differing(reader, "gaps", source, "id", *EVERY) == []
    source = source.replace("v AS a", "NULL::float8 AS a")
    assert differing(reader, "gaps", source, "id", *EVERY) == []


ODD_VALUES = [
    ("gaps", "1 AS a, NULL::float8 AS b", NullFeature, "feature 'b' is NULL"),
    ("gaps", "1 AS a, 'NaN'::float8 AS b", NonFiniteFeature, "feature 'b' is NaN"),
    ("gaps", "1 AS a, 'NaN'::float4 AS b", NonFiniteFeature, "feature 'b' is NaN"),
    ("gaps", "1 AS a, 'NaN'::numeric AS b", NonFiniteFeature, "feature 'b' is NaN"),
    ("gaps", "'Infinity'::float8 AS a, 1 AS b", NonFiniteFeature, "feature 'a' is infinite"),
    ("gaps", "'-Infinity'::float4 AS a, 1 AS b", NonFiniteFeature, "feature 'a' is -infinite"),
    ("gaps", "'Infinity'::numeric AS a, 1 AS b", NonFiniteFeature, "feature 'a' is infinite"),
    ("mixed", "'Bonn' AS city, 'red' AS color, 1 AS amount, NULL::int AS age", NullFeature, "feature 'age' is NULL"),
    ("mixed", "NULL::text AS city, 'red' AS color, 1 AS amount, 30 AS age", NullFeature, "feature 'city' is NULL"),
    ("mixed", "'Rom' AS city, 'red' AS color, 1 AS amount, 30 AS age", UnseenCategory, "feature 'city' is 'Rom'"),
    ("mixed", "'Bonn' AS city, 'red' AS color, 1 AS amount, 30.5 AS age", WrongType, "feature 'age' is int8, 30.5"),
    ("mixed", "'Bonn' AS city, 'red' AS color, 1 AS amount, 1e300 AS age", WrongType, "feature 'age' is int8, 1e+300"),
    ("kinds", "1 AS x, 1 AS y, 'Infinity'::float8 AS n, 1 AS b, 'a' AS city", WrongType, "feature 'n' is int8, inf"),
    ("kinds", "1 AS x, 1 AS y, 'NaN'::float8 AS n, 1 AS b, 'a' AS city", WrongType, "feature 'n' is int8, nan"),
    ("kinds", "1 AS x, 1 AS y, 1 AS n, 2 AS b, 'a' AS city", WrongType, "feature 'b' is bool, 2"),
    ("k", "1.5 AS a, 1 AS b, 1 AS c", WrongType, "feature 'a' is int8, 1.5"),
    ("k", "1e30 AS a, 1 AS b, 1 AS c", WrongType, "feature 'a' is int8, 1e+30"),
    ("k", "NULL::int AS a, 1 AS b, 1 AS c", NullFeature, "feature 'a' is NULL"),
    ("k", "1 AS a, NULL::int AS b, 1 AS c", NullFeature, "feature 'b' is NULL"),
    ("k", "1 AS a, 7 AS b, 1 AS c", WrongType, "feature 'b' is bool, 7"),
    ("k", "1 AS a, 1 AS b, 1e39::float8 AS c", NonFiniteFeature, "feature 'c' is 1e+39"),
    ("k", "'NaN'::float8 AS a, 1 AS b, 1 AS c", WrongType, "feature 'a' is int8"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "columns", "kind", "message"), ODD_VALUES)
def test_an_odd_row_is_named_or_left_out(
    reader: psycopg.Connection, model: str, columns: str, kind: type[ModeldbError], message: str
) -> None:
    """The same error as for a single prediction, which says in DETAIL which row; or a text in the column error."""
    good = {
        "gaps": "1 AS a, 1 AS b",
        "mixed": "'Bonn' AS city, 'red' AS color, 1 AS amount, 30 AS age",
        "kinds": "1 AS x, 1 AS y, 1 AS n, 1 AS b, 'a' AS city",
        "k": "1 AS a, 1 AS b, 1 AS c",
    }[model]
    source = f"SELECT 'good' AS id, {good} UNION ALL SELECT 'b,a\"d', {columns} UNION ALL SELECT 'last', {good}"
    with pytest.raises(psycopg.Error) as alone:
        reader.execute(f"SELECT predict_label('{model}', s) FROM (SELECT {columns}) AS s".encode())
    assert alone.value.sqlstate == kind.sqlstate
    for key, detail in (("'id'", 'In the row with id = b,a"d.'), ("NULL", "")):
        with pytest.raises(psycopg.Error) as batch:
            reader.execute(f"SELECT predict_batch('{model}', %s, {key})".encode(), [source])
        diag = batch.value.diag
        assert diag.sqlstate == kind.sqlstate
        assert message in (diag.message_primary or "")
        assert (diag.message_detail or "").startswith(detail)
        assert "on_error" in (diag.message_hint or "")
    query = f"SELECT row_key, prediction, error FROM predict_batch('{model}', %s, 'id', on_error => 'null')"
    first, second, last = reader.execute(query.encode(), [source]).fetchall()
    assert (first[1] is None, first[2], last[1]) == (False, None, first[1])
    assert second[:2] == ('b,a"d', None)
    assert second[2].startswith(message)
    assert message in (alone.value.diag.message_primary or "")


def test_rows_that_are_all_odd(reader: psycopg.Connection) -> None:
    source = "SELECT NULL::float8 AS a, NULL::float8 AS b FROM generate_series(1, 3)"
    query = "SELECT prediction, label, probability, error FROM predict_batch('gaps', %s, on_error => 'null')"
    message = "feature 'b' is NULL, and was never missing in the sample"
    assert reader.execute(query.encode(), [source]).fetchall() == [(None, None, None, message)] * 3


def test_on_null_null_gives_null_without_an_error(scratch: psycopg.Connection) -> None:
    scratch.execute("SELECT configure('gaps', on_null => 'null')")
    source = "SELECT i AS id, i AS a, CASE WHEN i <> 2 THEN i END AS b FROM generate_series(1, 3) AS i"
    assert differing(scratch, "gaps", source, "id", *EVERY) == []
    assert answers(scratch, "SELECT prediction IS NULL FROM predict_batch('gaps', %s)", source) == [False, True, False]
