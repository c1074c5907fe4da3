"""Tables of all kinds: of others' schemas, with odd names, partitioned, with generated columns, altered afterwards."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.scorers import LINEAR, attach, scorer, wrong_scores

from modeldb.errors import InvalidScorer

PARTITIONED = """
    CREATE TABLE t (id int, part int, a float8, b float8, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
    CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
    CREATE TABLE t2 (b float8, gone text, id int NOT NULL, a float8, part int NOT NULL);
    ALTER TABLE t2 DROP COLUMN gone;
    ALTER TABLE t ATTACH PARTITION t2 FOR VALUES IN (2)"""


def test_rows_of_partitions_are_scored_wherever_they_are_inserted(work: psycopg.Connection) -> None:
    work.execute(PARTITIONED.encode())
    attach(work, "t")
    work.execute("INSERT INTO t (id, part, a, b) SELECT i, 1 + i % 2, i, -i FROM generate_series(1, 20) AS i")
    work.execute(
        "INSERT INTO t1 (id, part, a, b) VALUES (21, 1, 5, 5); INSERT INTO t2 (id, part, a, b) VALUES (22, 2, 6, 5)"
    )
    work.execute("CREATE TABLE t3 (a float8, b float8, part int NOT NULL, id int NOT NULL, score float8)")
    work.execute("ALTER TABLE t ATTACH PARTITION t3 FOR VALUES IN (3); INSERT INTO t VALUES (23, 3, 7, 7)")
    work.execute("UPDATE t SET a = a + 1 WHERE id < 5; UPDATE t SET part = 3 WHERE id = 22")
    assert answer(work, "SELECT count(score) FROM t") == 23
    assert wrong_scores(work) == 0
    work.execute("ALTER TABLE t DETACH PARTITION t2; INSERT INTO t2 (id, part) VALUES (99, 2)")
    assert answers(work, "SELECT score FROM t2 WHERE id = 99") == [None]
    work.execute("SELECT detach_scorer('t'); INSERT INTO t1 (id, part) VALUES (98, 1)")


def test_a_partition_can_have_a_scorer_of_its_own(work: psycopg.Connection) -> None:
    work.execute(PARTITIONED.encode())
    refusal(work, "SELECT attach_scorer('t2', 'm')", InvalidScorer, "it is a partition", "'score'")
    work.execute("ALTER TABLE t ADD COLUMN score float8")
    attach(work, "t2")
    work.execute("INSERT INTO t VALUES (1, 1, 1, 1), (2, 2, 2, 2)")
    assert answers(work, "SELECT score FROM t ORDER BY id") == [None, 6]


def test_the_partition_key_cannot_be_written(work: psycopg.Connection) -> None:
    work.execute("CREATE TABLE t (a float8, b float8, score float8) PARTITION BY RANGE (score)")
    refusal(work, "SELECT attach_scorer('t', 'm')", InvalidScorer, "'score'", "partition")


NAMES = [('"Große Tabelle"', '"B"', '"into"'), ('"a""b"', '"we ""ird"', '"S""core"'), ('"it\'s"', '"%s"', '"$1"')]


@pytest.mark.parametrize(("table", "column", "into"), NAMES)
def test_names_in_mixed_case_and_with_quotes(work: psycopg.Connection, table: str, column: str, into: str) -> None:
    work.execute(f'CREATE TABLE {table} (id int PRIMARY KEY, "A" float8, {column} float8)'.encode())
    bare = into.strip('"').replace('""', '"')
    mapping = {"b": column.strip('"').replace('""', '"')}
    options = {"into": bare, "columns": mapping, "reject_if": f"{into} > 1000", "where": f"{column} > 0"}
    attach(work, table.replace("'", "''"), **options, on_error="null", label=f"{bare} label", enrich="SELECT 1 AS one")
    work.execute(f"INSERT INTO {table} VALUES (1, 2, 3), (2, NULL, 1), (3, 1, -1)".encode())
    assert answers(work, f"SELECT {into} FROM {table} ORDER BY id") == [7, None, None]
    assert answers(work, f'SELECT count("{bare.replace(chr(34), chr(34) * 2)}_error") FROM {table}') == [1]
    work.execute(b"SELECT detach_scorer(%s, %s)", [table, bare])


def test_a_generated_column_is_no_feature_of_a_synchronous_scorer(work: psycopg.Connection) -> None:
    table = "CREATE TABLE t (id int PRIMARY KEY, a float8, c float8, b float8 GENERATED ALWAYS AS (a * 2) STORED)"
    work.execute(table.encode())
    refusal(work, "SELECT attach_scorer('t', 'm')", InvalidScorer, "'b' is generated", "async", "enrich")
    for option in ("where", "reject_if"):
        query = f"""SELECT attach_scorer('t', 'm', columns => '{{"b": "c"}}', "{option}" => 'b > 1')"""
        refusal(work, query, InvalidScorer, "'b' is generated")
    attach(work, "t", columns={"b": "twice"}, enrich="SELECT new.a * 2 AS twice")
    work.execute("INSERT INTO t (id, a) VALUES (1, 1), (2, 3)")
    assert wrong_scores(work) == 0


def test_an_identity_key_and_defaults(work: psycopg.Connection) -> None:
    work.execute("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a float8 DEFAULT 4, b float8)")
    attach(work, "t", columns={"b": "id"})
    work.execute("INSERT INTO t DEFAULT VALUES; INSERT INTO t (a) VALUES (1)")
    assert answers(work, "SELECT score FROM t ORDER BY id") == [9, 4]


def test_a_composite_key_is_found(work: psycopg.Connection) -> None:
    work.execute("CREATE TABLE t (z int, a float8, b float8, k text, PRIMARY KEY (k, z) INCLUDE (a))")
    assert attach(work, "t")["key"] == ["k", "z"]
    work.execute("CREATE TABLE u (a float8, b float8)")
    assert attach(work, "u")["key"] == []
    work.execute("INSERT INTO t VALUES (1, 1, 1, 'x'); INSERT INTO u VALUES (1, 1)")
    assert wrong_scores(work) == wrong_scores(work, "u") == 0


# --- what changes afterwards ----------------------------------------------------------------------------------------


def test_a_table_may_be_renamed_and_moved(scored: psycopg.Connection) -> None:
    scored.execute("ALTER TABLE t RENAME TO renamed; CREATE SCHEMA IF NOT EXISTS elsewhere")
    scored.execute("ALTER TABLE renamed SET SCHEMA elsewhere; INSERT INTO elsewhere.renamed VALUES (1, 1, 1)")
    assert wrong_scores(scored, "elsewhere.renamed") == 0
    found = scorer(scored, "elsewhere.renamed")
    assert (found["table"], found["rows"], found["broken"]) == ("elsewhere.renamed", 1, False)
    scored.execute("SELECT detach_scorer('elsewhere.renamed'); DROP SCHEMA elsewhere CASCADE")


def test_a_table_that_its_own_enrichment_reads_may_be_renamed(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", columns={"b": "rows"}, enrich="SELECT count(*) AS rows FROM t AS p WHERE p.note = new.note")
    work.execute("ALTER TABLE t RENAME TO renamed; INSERT INTO renamed VALUES (1, 1, 0, 'x'), (2, 1, 0, 'x')")
    assert answers(work, "SELECT score FROM renamed ORDER BY id") == [2, 3]


def test_unrelated_columns_come_and_go(scored: psycopg.Connection) -> None:
    scored.execute("INSERT INTO t VALUES (1, 1, 1)")
    scored.execute("ALTER TABLE t ADD COLUMN more text; INSERT INTO t VALUES (2, 1, 1)")
    scored.execute(
        "ALTER TABLE t DROP COLUMN note, DROP COLUMN more, ADD COLUMN late int; INSERT INTO t VALUES (3, 2, 1)"
    )
    scored.execute(
        "ALTER TABLE t ALTER COLUMN late TYPE text, ALTER COLUMN id TYPE bigint; INSERT INTO t VALUES (4, 2, 5)"
    )
    assert wrong_scores(scored) == 0


def test_columns_that_are_read_can_be_neither_dropped_nor_of_another_type(work: psycopg.Connection) -> None:
    work.execute(f"{LINEAR}; ALTER TABLE t ADD COLUMN w int, ADD COLUMN r int, ADD COLUMN e int".encode())
    attach(work, "t", where="w > 0", reject_if="r > 0", enrich="SELECT new.e AS enriched")
    for column in ("a", "b", "w", "r", "e"):
        with pytest.raises(psycopg.errors.DependentObjectsStillExist):
            work.execute(f"ALTER TABLE t DROP COLUMN {column}".encode())
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            work.execute(f"ALTER TABLE t ALTER COLUMN {column} TYPE text".encode())
    work.execute("SELECT detach_scorer('t'); ALTER TABLE t DROP COLUMN a")


def test_a_column_that_is_dropped_with_what_depends_on_it_ends_the_scoring(scored: psycopg.Connection) -> None:
    scored.execute("ALTER TABLE t DROP COLUMN a CASCADE; INSERT INTO t (id) VALUES (1)")
    assert scorer(scored)["broken"] is True
    scored.execute("SELECT detach_scorer('t'); ALTER TABLE t ADD COLUMN a float8")
    attach(scored, "t")
    scored.execute("INSERT INTO t (id, a, b) VALUES (2, 1, 1)")
    assert answers(scored, "SELECT score FROM t ORDER BY id") == [None, 3]


def test_a_column_that_is_renamed_is_reported_at_the_next_insert(scored: psycopg.Connection) -> None:
    scored.execute("ALTER TABLE t RENAME COLUMN a TO other")
    with pytest.raises(psycopg.errors.UndefinedColumn, match='has no field "a"'):
        scored.execute("INSERT INTO t VALUES (1, 1, 1)")
    scored.execute("SELECT detach_scorer('t')")
    attach(scored, "t", columns={"a": "other"})
    scored.execute("INSERT INTO t VALUES (1, 1, 1)")


def test_a_dropped_table_takes_its_scorer_along(scored: psycopg.Connection) -> None:
    old = answer(scored, "SELECT id FROM modeldb.scorer")
    scored.execute("DROP TABLE t")
    assert answers(scored, "SELECT broken FROM scorers") == []
    scored.execute("CREATE TABLE u (a float8, b float8)")
    attach(scored, "u")
    assert answers(scored, 'SELECT "table"::text FROM scorers') == ["u"]
    assert answer(scored, "SELECT count(*) FROM pg_proc WHERE proname = %s", f"_{old}") == 0


def test_a_trigger_that_is_disabled_shows(scored: psycopg.Connection) -> None:
    assert scorer(scored)["broken"] is False
    scored.execute("ALTER TABLE t DISABLE TRIGGER USER")
    assert scorer(scored)["broken"] is True
    trigger = answer(scored, "SELECT tgname FROM pg_trigger WHERE tgrelid = 't'::regclass AND tgname ~ 'score$'")
    scored.execute(f"ALTER TABLE t ENABLE ALWAYS TRIGGER {trigger}".encode())
    assert scorer(scored)["broken"] is False


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("column", ["s", "l", "v", "at", "s_error", "id", "a", "w"])
@pytest.mark.parametrize("change", ["RENAME {} TO other", "DROP {} CASCADE"])
def test_a_column_that_is_gone_shows(work: psycopg.Connection, change: str, column: str, mode: str) -> None:
    """The key is of no use to a synchronous scorer."""
    work.execute(f"{LINEAR}; ALTER TABLE t ADD w bool".encode())
    given = {"where": "w", "label": "l", "model_version": "v", "scored_at": "at", "on_error": "null", "mode": mode}
    attach(work, "t", into="s", **given)
    assert answers(work, "SELECT broken FROM scorers") == [False]
    work.execute(f"ALTER TABLE t {change.format(column)}".encode())
    assert answers(work, "SELECT broken FROM scorers") == [(column, mode) != ("id", "sync")]
