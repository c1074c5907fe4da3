"""Keys of batch predictions: a type, or a collation, has its own idea of which values are the same."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer
from support.registering import Register

UUID = "0f0e0d0c-0b0a-0908-0706-05040302010"
KEYS = {
    "varchar(3)": ("a", "b", "c"),
    "char(5)": ("a", "b", "c"),
    "numeric(6, 2)": ("1", "2.50", "3"),
    "date": ("2024-01-01", "infinity", "2024-01-03"),
    "uuid": (f"{UUID}1", f"{UUID}2", f"{UUID}3"),
    "int[]": ("{1,2}", "{2,1}", "{}"),
    "mood": ("glad", "sad", "so so"),
    "citext": ("Anna", "Bert", "ANNA"),
    "ltree": ("a.b", "a.c", "a"),
    'text COLLATE "whatever case"': ("Anna", "Bert", "ANNA"),
}
SETUP = """
    CREATE EXTENSION citext; CREATE EXTENSION ltree;
    CREATE TYPE mood AS ENUM ('glad', 'sad', 'so so');
    CREATE COLLATION "whatever case" (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    SET client_min_messages = error"""


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_of_any_type_is_followed(sql: psycopg.Connection, register: Register, kind: str) -> None:
    register(2.0)
    sql.execute(SETUP)
    sql.execute(f"CREATE TABLE rows (k {kind} PRIMARY KEY, a float8, b float8)".encode())
    first, second, other = KEYS[kind]
    sql.execute("INSERT INTO rows VALUES (%s, 1, 0), (%s, 2, 0)", [first, second])
    sql.execute("SELECT create_predictions('whole', 'm', 'rows', 'k')")
    sql.execute("SELECT create_predictions('kept', 'm', 'rows', 'k', incremental => true)")
    changes = ["UPDATE rows SET k = %s, a = 10 WHERE a = 1", "DELETE FROM rows WHERE k = %s"]
    for change, expected in zip(changes, ([4, 20], [4]), strict=True):
        sql.execute(change.encode(), [other])
        for name in ("whole", "kept"):
            assert answer(sql, "SELECT error FROM refresh_predictions(%s)", name) is None
            found = sql.execute(f"SELECT array_agg(prediction ORDER BY prediction) FROM {name}".encode()).fetchone()
            assert found == (expected,)
            joined = f"SELECT count(*) FROM {name} JOIN rows ON {name}.k = rows.k"
            assert answer(sql, joined) == len(expected)
