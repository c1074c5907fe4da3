"""Rows are scored while they are written, however they are written."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.types.json import Jsonb
from support.answers import answer, answers, refusal
from support.batch import Connect
from support.onnx_models import described, linear
from support.scorers import LINEAR, attach, scorer, wrong_scores

from modeldb.errors import MissingFeature, NullFeature, RowRejected

ROWS = "SELECT i, i * 0.5, -i, 'n' || i FROM generate_series(1, 50) AS i"


def copy(connection: psycopg.Connection, table: str, rows: int) -> None:
    with connection.cursor().copy(f"COPY {table} (id, a, b) FROM STDIN".encode()) as into:
        for i in range(rows):
            into.write_row((i, i * 0.25, -i))


def test_an_insert_of_one_row_and_of_many(scored: psycopg.Connection) -> None:
    scored.execute("INSERT INTO t VALUES (0, 1, 2, 'x')")
    assert answer(scored, "SELECT score FROM t") == 4
    scored.execute(f"INSERT INTO t {ROWS}".encode())
    assert answer(scored, "INSERT INTO t VALUES (100, 3, 1) RETURNING score") == 7
    assert wrong_scores(scored) == 0
    assert (scorer(scored)["rows"], scorer(scored)["errors"]) == (52, 0)


def test_a_copy(scored: psycopg.Connection) -> None:
    copy(scored, "t", 1000)
    assert wrong_scores(scored) == 0
    assert answer(scored, "SELECT count(score) FROM t") == scorer(scored)["rows"] == 1000


def test_an_insert_on_conflict_scores_what_is_stored(scored: psycopg.Connection) -> None:
    scored.execute("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)")
    scored.execute("INSERT INTO t VALUES (1, 9, 9), (3, 3, 3) ON CONFLICT DO NOTHING")
    assert answers(scored, "SELECT score FROM t ORDER BY id") == [3, 6, 9]
    scored.execute("INSERT INTO t VALUES (1, 5, 0) ON CONFLICT (id) DO UPDATE SET a = excluded.a")
    assert answer(scored, "SELECT score FROM t WHERE id = 1") == 11
    assert wrong_scores(scored) == 0


def test_a_merge(scored: psycopg.Connection) -> None:
    scored.execute(f"INSERT INTO t {ROWS}".encode())
    scored.execute("""
        MERGE INTO t USING generate_series(41, 60) AS s (i) ON t.id = s.i
        WHEN MATCHED THEN UPDATE SET a = 1000 WHEN NOT MATCHED THEN INSERT (id, a, b) VALUES (i, i, i)""")
    assert answer(scored, "SELECT count(*) FROM t") == 60
    assert wrong_scores(scored) == 0


def test_an_update_of_what_the_model_reads_scores_anew_and_any_other_does_not(scored: psycopg.Connection) -> None:
    scored.execute(f"INSERT INTO t {ROWS}".encode())
    before = scorer(scored)["rows"]
    scored.execute("UPDATE t SET note = 'other'; UPDATE t SET id = id + 1000; UPDATE t SET score = score")
    assert scorer(scored)["rows"] == before
    scored.execute("UPDATE t SET a = a + 1 WHERE id <= 1010")
    assert (scorer(scored)["rows"], wrong_scores(scored)) == (before + 10, 0)


def test_an_update_of_another_column_works_though_the_model_would_fail(scored: psycopg.Connection) -> None:
    scored.execute(
        "ALTER TABLE t DISABLE TRIGGER ALL; INSERT INTO t VALUES (1, NULL, 1); ALTER TABLE t ENABLE TRIGGER ALL"
    )
    scored.execute("UPDATE t SET note = 'still'")
    refusal(scored, "UPDATE t SET b = 2", NullFeature, "'a'")


def test_a_rollback_leaves_nothing(scored: psycopg.Connection) -> None:
    scored.execute("BEGIN; INSERT INTO t VALUES (1, 1, 1); SAVEPOINT s; INSERT INTO t VALUES (2, 2, 2)")
    scored.execute("ROLLBACK TO s; INSERT INTO t VALUES (3, 3, 3)")
    assert answers(scored, "SELECT score FROM t ORDER BY id") == [3, 9]
    scored.execute("ROLLBACK")
    assert answer(scored, "SELECT count(*) FROM t") == 0
    scored.execute("INSERT INTO t VALUES (1, 1, 2)")
    assert wrong_scores(scored) == 0


def test_a_trigger_of_the_users_own_comes_first(scored: psycopg.Connection) -> None:
    scored.execute("""
        CREATE FUNCTION work.double() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.a := NEW.a * 2; RETURN NEW; END';
        CREATE TRIGGER twice BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION work.double();
        INSERT INTO t VALUES (1, 10, 1)""")
    assert answers(scored, "SELECT ARRAY[a, score] FROM t") == [[20, 41]]


# --- where, reject_if, on_error -------------------------------------------------------------------------------------


def test_where_limits_what_is_scored(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", where="note = 'yes' AND a > 1", label="label", scored_at="at")
    work.execute("INSERT INTO t VALUES (1, 2, 0, 'yes'), (2, 2, 0, 'no'), (3, 0, 0, 'yes'), (4, 2, 0, NULL)")
    assert answers(work, "SELECT score FROM t ORDER BY id") == [4, None, None, None]
    work.execute("UPDATE t SET note = 'yes'")
    assert answers(work, "SELECT score FROM t ORDER BY id") == [4, 4, None, 4]
    work.execute("UPDATE t SET note = 'no' WHERE id = 1")
    assert answers(work, "SELECT score IS NULL AND label IS NULL AND at IS NULL FROM t WHERE id = 1") == [True]
    work.execute("INSERT INTO t VALUES (5, NULL, 0, 'yes')")
    assert scorer(work)["rows"] == 4


def test_where_false_spares_a_row_the_models_error(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", where="new.b IS NOT NULL")
    work.execute("INSERT INTO t VALUES (1, 1, NULL), (2, 1, 1)")
    assert answers(work, "SELECT score FROM t ORDER BY id") == [None, 3]


@pytest.mark.parametrize("into", ["score", "fraud_score"])
@pytest.mark.parametrize(
    "expression", ["score > 10", "{into} > 10 AND note <> 'trusted'", "label = '11' OR score > 11"]
)
def test_reject_if_aborts_the_statement(work: psycopg.Connection, into: str, expression: str) -> None:
    work.execute(LINEAR.encode())
    expression = expression.format(into=into)
    attach(work, "t", into=into, reject_if=expression, label="label")
    work.execute("INSERT INTO t VALUES (1, 1, 1, '')")
    refusal(work, "INSERT INTO t VALUES (2, 1, 1, ''), (3, 5, 1, '')", RowRejected, "work.t", into)
    with pytest.raises(psycopg.Error) as caught:
        work.execute("UPDATE t SET a = 100")
    diag = caught.value.diag
    assert (diag.sqlstate, diag.message_detail) == ("MD604", "The score is 201.")
    assert expression in str(diag.message_primary)
    assert (diag.schema_name, diag.table_name, diag.column_name) == ("work", "t", into)
    assert answers(work, "SELECT id FROM t") == [1]


def test_expressions_mean_what_they_say(work: psycopg.Connection) -> None:
    """Percent signs, quotes, sub-queries, and texts that look like the names that are put in."""
    work.execute(f"{LINEAR}; CREATE TABLE limits AS SELECT 10 AS most".encode())
    where = "note <> 'new_1.a new.a WHERE ''x'' $$ \\ \"' AND work.t IS DISTINCT FROM NULL".replace("work.t", "new.id")
    expression = "score > (SELECT most FROM limits) AND id % 2 = 0 AND note NOT LIKE '100%'"
    attach(work, "t", where=where, reject_if=expression)
    work.execute(
        "INSERT INTO t VALUES (1, 9, 9, ''), (2, 9, 9, '100 %'), (3, 1, 1, E'new_1.a new.a WHERE ''x'' $$ \\\\ \"')"
    )
    assert answers(work, "SELECT score FROM t ORDER BY id") == [27, 27, None]
    refusal(work, "INSERT INTO t VALUES (4, 9, 9, '%I')", RowRejected, expression)


STYLES = """
    SET extra_float_digits = -15; SET datestyle = 'SQL, DMY'; SET intervalstyle = 'sql_standard';
    SET timezone = 'Asia/Kolkata'; SET quote_all_identifiers = on; SET standard_conforming_strings = on"""


def test_expressions_mean_the_same_in_sessions_of_all_styles(work: psycopg.Connection, connect: Connect) -> None:
    work.execute("CREATE TABLE t (id int, a float8, b float8, at timestamptz, note text)")
    work.execute(STYLES.encode())
    expressions = [
        "a > float8 '0.12345678901234567' AND at > timestamptz '2026-05-06 07:08:09+00'",
        "at - timestamptz '2026-01-01 00:00:00+00' >= interval '-1 day +02:03:04.5'",
        "note <> E'back\\\\slash'",
    ]
    query = 'SELECT (attach_scorer(%s, %s, "where" => %s)).id'
    work.execute(query.encode(), ["t", "m", " AND ".join(expressions)])  # psycopg cannot read times of that style
    other = connect()
    other.execute("SET search_path = work; SET datestyle = 'Postgres, MDY'; SET standard_conforming_strings = off")
    other.execute("""INSERT INTO t VALUES (1, 0.12345678901234567, 1, '2026-05-07 00:00:00+00', ''),
        (2, 0.12345678901234569, 1, '2026-05-07 00:00:00+00', ''), (3, 1, 1, '2026-05-06 07:08:09+00', ''),
        (4, 1, 1, '2026-05-06 07:08:09.1+00', ''), (5, 1, 1, '2026-05-07 00:00:00+00', E'back\\\\slash')""")
    assert answers(work, "SELECT id FROM t WHERE score IS NOT NULL ORDER BY id") == [2, 4]


def test_on_error_null_accepts_the_row_with_the_reason(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", on_error="null", label="label", model_version="version", scored_at="at", reject_if="score > 100")
    work.execute("INSERT INTO t VALUES (1, 1, 1), (2, NULL, 1), (3, 1, 'Infinity'), (4, 2, 1)")
    row = "SELECT ARRAY[score::text, label, version::text, score_error] FROM t ORDER BY id"
    found = answers(work, row)
    assert [found[0], found[3]] == [["3", "3", "1", None], ["5", "5", "1", None]]
    assert [line[:3] for line in found[1:3]] == [[None, None, None]] * 2
    assert "feature 'a' is NULL" in found[1][3]
    assert "infinite" in found[2][3]
    assert answers(work, "SELECT id FROM t WHERE at IS NOT NULL ORDER BY id") == [1, 4]
    work.execute("UPDATE t SET a = 1 WHERE id = 2")
    assert answer(work, "SELECT ARRAY[score::text, score_error] FROM t WHERE id = 2") == ["3", None]
    found = scorer(work)
    assert (found["rows"], found["errors"]) == (3, 2)


def test_on_error_raise_rejects_the_row_and_names_the_scorer(scored: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error) as caught:
        scored.execute("INSERT INTO t VALUES (1, 1, 1), (2, 'NaN', 1)")
    diag = caught.value.diag
    assert (diag.sqlstate, diag.message_detail) == ("MD205", "Scoring work.t into 'score'.")
    assert "model 'm'" in str(diag.message_primary)
    scored.execute("INSERT INTO t VALUES (3, 1, 1)")
    assert scorer(scored)["errors"] == 1


def test_null_where_the_model_is_configured_to_it(scored: psycopg.Connection) -> None:
    scored.execute("SELECT configure('m', on_null => 'null')")
    scored.execute("INSERT INTO t VALUES (1, NULL, 1), (2, 1, 1)")
    scored.execute("SELECT configure('m', on_null => 'raise')")
    assert answers(scored, "SELECT score FROM t ORDER BY id") == [None, 3]


# --- versions -------------------------------------------------------------------------------------------------------


def test_a_promotion_takes_effect_with_the_next_statement(scored: psycopg.Connection) -> None:
    scored.execute("INSERT INTO t VALUES (1, 1, 0)")
    scored.execute("SELECT promote('m', 2)")
    scored.execute("INSERT INTO t VALUES (2, 1, 0)")
    assert answers(scored, "SELECT score FROM t ORDER BY id") == [2, 3]


def test_a_promotion_takes_effect_within_a_long_transaction(scored: psycopg.Connection, connect: Connect) -> None:
    other = connect()
    other.execute("SET search_path = work, public, modeldb")
    other.execute("BEGIN; INSERT INTO t VALUES (1, 1, 0)")
    scored.execute("SELECT promote('m', 2)")
    other.execute("INSERT INTO t VALUES (2, 1, 0)")
    assert answers(other, "SELECT score FROM t ORDER BY id") == [2, 3]
    scored.execute("SELECT promote('m', 1)")
    other.execute("INSERT INTO t VALUES (3, 1, 0); COMMIT")
    assert answers(scored, "SELECT score FROM t ORDER BY id") == [2, 3, 2]


def test_a_transaction_with_one_snapshot_stays_with_its_version(scored: psycopg.Connection, connect: Connect) -> None:
    other = connect()
    other.execute("SET search_path = work, public, modeldb")
    other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO t VALUES (1, 1, 0)")
    scored.execute("SELECT promote('m', 2)")
    other.execute("INSERT INTO t VALUES (2, 1, 0); COMMIT; INSERT INTO t VALUES (3, 1, 0)")
    assert answers(scored, "SELECT score FROM t ORDER BY id") == [2, 2, 3]


@pytest.mark.parametrize("enrich", [None, "SELECT 1 AS one FROM work.other"], ids=["", "enriched"])
def test_a_statement_is_scored_by_one_version_though_another_is_promoted(
    work: psycopg.Connection, connect: Connect, enrich: str | None
) -> None:
    """The copy is held in its middle while another session promotes."""
    work.execute(f"{LINEAR}; CREATE TABLE other AS SELECT 1 AS x".encode())
    attach(work, "t", enrich=enrich, model_version="version")
    other = connect()
    other.execute("SET search_path = work, public, modeldb")
    with other.cursor().copy("COPY t (id, a, b) FROM STDIN") as into:
        for i in range(20_000):
            into.write_row((i, 1, 0))
            if i == 10_000:
                work.execute("SELECT promote('m', 2)")
    assert answers(work, "SELECT DISTINCT version FROM t") in ([1], [2])
    assert answers(work, "SELECT count(DISTINCT score) FROM t") == [1]
    other.execute("INSERT INTO t VALUES (20000, 1, 0)")
    assert answers(work, "SELECT ARRAY[version, score] FROM t WHERE id = 20000") == [[2, 3]]


def test_a_procedure_that_commits_takes_notice_of_a_promotion(scored: psycopg.Connection) -> None:
    scored.execute("""
        CREATE PROCEDURE work.load() LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO t VALUES (1, 1, 0); COMMIT;
            PERFORM modeldb.promote('m', 2); COMMIT;
            INSERT INTO t VALUES (2, 1, 0);
        END $$""")
    scored.execute("CALL work.load()")
    assert answers(scored, "SELECT score FROM t ORDER BY id") == [2, 3]


def test_a_version_can_be_pinned_or_an_alias_named(work: psycopg.Connection) -> None:
    work.execute(f"{LINEAR}; SELECT promote('m', 2, 'challenger')".encode())
    attach(work, "t", "m/2", into="pinned")
    attach(work, "t", "m@challenger", into="challenger", model_version="version")
    attach(work, "t", into="score")
    work.execute("INSERT INTO t VALUES (1, 1, 0)")
    assert answers(work, "SELECT ARRAY[pinned, challenger, version, score] FROM t") == [[3, 3, 2, 2]]
    work.execute("SELECT promote('m', 1, 'challenger'); INSERT INTO t VALUES (2, 1, 0)")
    assert answers(work, "SELECT ARRAY[pinned, challenger, version, score] FROM t WHERE id = 2") == [[3, 2, 1, 2]]


def test_a_version_that_needs_another_feature_is_reported_at_the_insert(work: psycopg.Connection) -> None:
    work.execute(f"{LINEAR}; ALTER TABLE t ADD COLUMN c float8".encode())
    for names in (("a", "b"), ("b", "a"), ("a", "c")):
        values = [linear(2.0, 1.0), Jsonb(described(*names))]
        work.execute("SELECT register_model('changing', %s, %s::jsonb, promote => false)", values)
    work.execute("SELECT promote('changing', 1)")
    attach(work, "t", "changing")
    work.execute("INSERT INTO t VALUES (1, 10, 1); SELECT promote('changing', 2); INSERT INTO t VALUES (2, 10, 1)")
    assert answers(work, "SELECT score FROM t ORDER BY id") == [21, 12]
    work.execute("SELECT promote('changing', 3)")
    refusal(work, "INSERT INTO t VALUES (3, 10, 1)", MissingFeature, "'c'")
    work.execute("SELECT detach_scorer('t'), delete_model('changing', cascade => true)")


def test_a_model_that_leaves_the_cache_comes_back(scored: psycopg.Connection) -> None:
    attach(scored, "t", "m/2", into="second")
    scored.execute("SET modeldb.cache_mb = 0")
    scored.execute(f"INSERT INTO t {ROWS}".encode())
    assert wrong_scores(scored) == 0
    assert answer(scored, "SELECT count(*) FROM t WHERE second IS DISTINCT FROM predict('m/2', t)") == 0
