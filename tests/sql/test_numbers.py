"""Arrays that leave Python as bytes: what _numbers() takes for one, and what it refuses."""

from __future__ import annotations

import struct

import psycopg
import pytest
from psycopg.sql import SQL
from support.answers import answer, answers

ARRAYS = ["{1}", "{NULL}", "{1,NULL,-0,NaN,Infinity,5e-324}", "{1,2,3,4,5,6,7,8,9}", "{1,2,3,4,5,6,7,8,NULL,NULL}"]
BROKEN = {
    "empty": (b"", 1),
    "no rows": (struct.pack("=iiIii", 1, 0, 701, 0, 1), 0),
    "fewer rows than none": (b"", -1),
    "too short": (struct.pack("=iiIiid", 1, 0, 701, 2, 1, 5.0), 2),
    "too long": (struct.pack("=iiIiidd", 1, 0, 701, 1, 1, 5.0, 6.0), 1),
    "of other size": (struct.pack("=iiIiid", 1, 0, 701, 2**28, 1, 5.0), 1),
    "two dimensions": (struct.pack("=iiIiid", 2, 0, 701, 1, 1, 5.0), 1),
    "of texts": (struct.pack("=iiIiid", 1, 0, 25, 1, 1, 5.0), 1),
    "data elsewhere": (struct.pack("=iiIiid", 1, 4000, 701, 1, 1, 5.0), 1),
    "more numbers than bits": (struct.pack("=iiIiiq", 1, 32, 701, 3, 1, 0b001) + bytes(16), 3),
    "more bits than numbers": (struct.pack("=iiIiiq", 1, 32, 701, 3, 1, 0b111) + bytes(16), 3),
}


@pytest.mark.parametrize("array", ARRAYS)
def test_an_array_of_numbers_comes_back(reader: psycopg.Connection, array: str) -> None:
    query = "SELECT _numbers(_memory(%s::float8[]), %s)::text"
    assert answer(reader, query, array, array.count(",") + 1) == array


@pytest.mark.parametrize("broken", BROKEN)
def test_other_bytes_are_refused(reader: psycopg.Connection, broken: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        reader.execute("SELECT _numbers(%s::bytea, %s)", BROKEN[broken])
    assert refused.value.sqlstate in ("22P03", "54000"), refused.value  # the latter is PostgreSQL's for a size below 0


def test_nobody_may_have_bytes_taken_on_trust(reader: psycopg.Connection) -> None:
    allowed = """SELECT rolname FROM pg_roles WHERE rolname LIKE 'modeldb%' AND NOT rolsuper
        AND has_function_privilege(rolname, 'modeldb._trusted_numbers(bytea)', 'EXECUTE')"""
    assert answers(reader, allowed) == ["modeldb_owner"]


def test_views_of_an_earlier_revision_give_the_same_rows(linear_models: None, clean: psycopg.Connection) -> None:
    clean.execute(
        """CREATE TABLE t AS SELECT i AS id, i / 3.0::float8 AS a, nullif(i, 7)::float8 AS b
            FROM generate_series(1, 9) AS i;
        SELECT create_predictions('p', 'm', 't', 'id', on_error => 'null')"""
    )
    stored = answer(clean, "SELECT stored FROM prediction_set")
    definition = answer(clean, "SELECT pg_get_viewdef(%s::regclass)", stored)
    assert "_score_set(" in definition
    earlier = """SELECT unnest((c).kept_values[1]::integer[]) AS id, unnest((c).prediction::float8[]) AS prediction,
            unnest((c).error::text[]) AS error
        FROM (SELECT modeldb._score_stored('public.p') AS c OFFSET 0) AS chunks
        WHERE (c).failure IS NULL OR modeldb._fail((c).failure)"""
    clean.execute("SET extra_float_digits = 0")
    rows = SQL("SELECT id, prediction, error FROM {} ORDER BY id")
    found, wanted = (clean.execute(rows.format(SQL(source))).fetchall() for source in (f"({earlier}) AS v", stored))
    assert found == wanted
