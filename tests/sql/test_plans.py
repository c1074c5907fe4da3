"""What the planner makes of predict(), and what the catalog says of every function."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, answers
from support.flowers import Garden
from support.server import plain

CALLS = [
    ("predict('width', f)", "_predict"),
    ("predict('width', ARRAY[f.sepal_length, f.sepal_width, f.petal_length])", "_predict"),
    ("predict('width', to_json(f)::text)", "_predict"),
    ("predict_label('species', f)", "_predict_label"),
    ("predict_proba('species', f)", "_predict_proba"),
    ("predict_proba('species', f, 'setosa')", "_predict_proba"),
    ("predict_json('species', f)", "_predict_json"),
]


def plan(connection: psycopg.Connection, query: str) -> str:
    return "\n".join(answers(connection, f"EXPLAIN (VERBOSE, COSTS OFF) {query}"))


@pytest.mark.parametrize(("call", "inner"), CALLS)
def test_a_call_is_inlined_with_the_epoch_as_a_constant(
    garden: Garden, reader: psycopg.Connection, call: str, inner: str
) -> None:
    epoch = answer(reader, "SELECT modeldb._epoch()")
    found = plan(reader, f"SELECT {call} FROM flowers f")
    assert f" {inner}(" in found
    assert f"'{epoch}'::bigint" in found
    assert "_epoch" not in found


VOLATILITY = {
    "predict": "s", "predict_label": "s", "predict_proba": "s", "predict_json": "s", "describe": "s", "cache": "s",
    "load": "s", "_epoch": "s", "_predict": "s", "_predict_label": "s", "_predict_proba": "s", "_predict_json": "s",
    "_predict_rows": "s", "_load": "s", "_python": "s", "_route": "s", "_who": "s", "_check_unused": "s",
    "_raise_unknown_model": "s", "_raise_unknown_version": "s", "_raise_unknown_alias": "s",
    "_parse": "i", "_nearest": "i",
    "register_model": "v", "promote": "v", "rollback": "v", "retire": "v", "delete_model": "v", "drop_alias": "v",
    "configure": "v", "_gate": "v", "_replay": "v", "_publish": "v", "_write_epoch": "v", "_lock_registry": "v",
    "_lock_registry_and_scorers": "v",
    "_point": "v",
    "_attempt": "v", "_await_runs": "v", "_check_owner": "s", "_check_unrestricted": "s", "_check_unstored": "s",
    "_close": "v", "_create_predictions": "v", "_cron_at_work": "s", "_cron_command": "i", "_cron_forget": "v",
    "_cron_job": "i", "_cron_ready": "s", "_cron_schedule": "v", "_cron_serves": "s", "_cron_unschedule": "v",
    "_describe_predictions": "s", "_drop_predictions": "v", "_due": "s", "_fail": "i", "_fail_scheduled": "v",
    "_forget_predictions": "v", "_memory": "i", "_numbers": "i", "_next": "v", "_next_epoch": "s", "_next_time": "s",
    "_open": "s", "_owner": "s", "_path": "s", "_predictions": "s", "_raise_unknown_predictions": "s",
    "_record_run": "v", "_refresh": "v", "_register_predictions": "v", "_relation": "s", "_run_scheduled": "v",
    "_schedule": "v", "_score": "s", "_score_begin": "v", "_score_end": "v", "_score_snapshot": "v",
    "_score_statement": "s", "_score_set": "s", "_score_stored": "s", "_score_target": "s", "_shown_by": "s",
    "_source": "s", "_take_back_attempt": "v", "_trusted_numbers": "i", "_unschedule": "v", "create_predictions": "v",
    "describe_predictions": "s", "drop_predictions": "v", "predict_batch": "s", "refresh_predictions": "v",
    "schedule_predictions": "v", "unschedule_predictions": "v", "_attach_scorer": "v", "_check_unscored": "s",
    "_compact_activity": "v", "_detach_scorer": "v", "_latency": "i", "_online": "s", "_online_done": "v",
    "_online_error": "s", "_online_label": "s", "_online_numbers": "s", "_online_version": "s", "_queue_state": "s",
    "_drain": "v", "_forget_events": "v", "_pick_scorer": "s", "_queue_rows": "v", "queue_rows": "v",
    "_retry_failures": "v", "_scored": "s", "_scored_position": "s", "_scorer_of": "s", "_waiting": "s",
    "retry_failures": "v", "_sum_latencies": "i", "attach_scorer": "v", "detach_scorer": "v", "enriched": "s",
}  # fmt: skip


def test_the_volatility_of_every_function(reader: psycopg.Connection) -> None:
    query = "SELECT DISTINCT proname, provolatile::text FROM pg_proc WHERE pronamespace = 'modeldb'::regnamespace"
    assert dict(reader.execute(query.encode()).fetchall()) == VOLATILITY


# Before PostgreSQL 17, PL/Python that uses SPI during a parallel query brings the server down, in the leader too.
def test_what_runs_python_keeps_a_query_serial_before_postgresql_17(reader: psycopg.Connection) -> None:
    query = """SELECT DISTINCT proparallel::text FROM pg_proc
               WHERE pronamespace = 'modeldb'::regnamespace AND proname ~ '^_?predict'"""
    assert answers(reader, query) == ["u" if reader.info.server_version < 170000 else "s"]
    query = """SELECT DISTINCT proparallel::text FROM pg_proc JOIN pg_language l ON l.oid = prolang
               WHERE pronamespace = 'modeldb'::regnamespace AND lanname = 'plpython3u' AND proname !~ '^_?predict'"""
    assert answers(reader, query) == ["u"]


PARALLEL = b"""
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
"""
QUERIES = [
    "SELECT sum(predict('width', f)) FROM flowers f",
    "SELECT predict('width', f) FROM flowers f WHERE sepal_length > 5",
    "SELECT count(*) FROM flowers f WHERE predict_proba('species', f, 'setosa') > 0.5",
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_cold_backend_survives_a_query_that_could_run_in_parallel(
    garden: Garden, module_url: str, query: str
) -> None:
    with psycopg.connect(plain(module_url), autocommit=True) as connection:
        connection.execute(PARALLEL)
        assert "Gather" in plan(connection, "SELECT sum(sepal_length) FROM flowers")
        assert ("Gather" in plan(connection, query)) == (connection.info.server_version >= 170000)
        assert answers(connection, query) == answers(connection, query)


def test_every_function_has_a_comment(reader: psycopg.Connection) -> None:
    query = """SELECT oid::regprocedure::text FROM pg_proc
               WHERE pronamespace = 'modeldb'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL"""
    assert answers(reader, query) == []


def test_every_table_view_and_sequence_has_a_comment(reader: psycopg.Connection) -> None:
    query = """SELECT relname FROM pg_class WHERE relnamespace = 'modeldb'::regnamespace AND relkind IN ('r', 'v', 'S')
               AND obj_description(oid, 'pg_class') IS NULL AND relname <> 'alembic_version'"""
    assert answers(reader, query) == []


def test_definers_rights_and_plpgsql_pin_the_search_path(reader: psycopg.Connection) -> None:
    query = """SELECT oid::regprocedure::text FROM pg_proc p
               WHERE pronamespace = 'modeldb'::regnamespace
                 AND (prosecdef OR (SELECT lanname FROM pg_language l WHERE l.oid = prolang) = 'plpgsql')
                 AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp'] ORDER BY 1"""
    # What runs the caller's queries and looks up the caller's names does so by the caller's search_path.
    assert answers(reader, query) == ["_next(refcursor,integer)", "_open(text)", "_path(text)"]
