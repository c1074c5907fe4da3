"""The life of a model: versions, aliases, promotion, rollback, retirement, deletion."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.registering import Register

from modeldb.errors import (
    InvalidArgument,
    NothingToRollBack,
    UnknownAlias,
    UnknownModel,
    UnknownVersion,
    VersionInUse,
    VersionRetired,
)


def predicted(sql: psycopg.Connection, model: str = "m") -> float:
    return float(answer(sql, f"SELECT predict('{model}', ROW(1, 0))"))


def test_the_first_version_becomes_champion_and_later_ones_do_when_told(
    sql: psycopg.Connection, register: Register
) -> None:
    assert (register(1.0), predicted(sql)) == (1, 1.0)
    assert (register(2.0), predicted(sql)) == (2, 1.0)
    assert (register(3.0, promote=True), predicted(sql)) == (3, 3.0)
    assert predicted(sql, "m/2") == 2.0


def test_promote_is_idempotent(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    epoch = answer(sql, "SELECT modeldb._epoch()")
    assert answer(sql, "SELECT promote('m', 1)") == 1
    assert answer(sql, "SELECT modeldb._epoch()") == epoch
    assert answer(sql, "SELECT count(*) FROM alias_history") == 1


def test_an_alias_other_than_champion(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    register(2.0)
    assert answer(sql, "SELECT promote('m', 2, 'challenger')") == 2
    assert (predicted(sql), predicted(sql, "m@champion"), predicted(sql, "m@challenger")) == (1.0, 1.0, 2.0)
    sql.execute("SELECT drop_alias('m', 'challenger')")
    refusal(sql, "SELECT predict('m@challenger', ROW(1, 0))", UnknownAlias, "'challenger'")


def test_rollback_walks_back_through_promotions(sql: psycopg.Connection, register: Register) -> None:
    for weight in (1.0, 2.0, 3.0, 4.0):
        register(weight, promote=True)
    assert (answer(sql, "SELECT rollback('m')"), predicted(sql)) == (3, 3.0)
    assert (answer(sql, "SELECT rollback('m', steps => 2)"), predicted(sql)) == (1, 1.0)
    hint = refusal(sql, "SELECT rollback('m')", NothingToRollBack, "'m'", "'champion'")
    assert "alias_history" in hint
    assert predicted(sql) == 1.0


def test_rollback_after_a_promotion_that_followed_a_rollback(sql: psycopg.Connection, register: Register) -> None:
    for weight in (1.0, 2.0, 3.0):
        register(weight, promote=True)
    sql.execute("SELECT rollback('m', steps => 2)")
    sql.execute("SELECT promote('m', 3)")
    assert (answer(sql, "SELECT rollback('m')"), predicted(sql)) == (1, 1.0)
    refusal(sql, "SELECT rollback('m')", NothingToRollBack, "'m'")


def test_rollback_of_too_many_steps_changes_nothing(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    register(2.0, promote=True)
    refusal(sql, "SELECT rollback('m', steps => 2)", NothingToRollBack, "2 step(s)")
    assert predicted(sql) == 2.0


def test_rollback_passes_over_what_was_retired_or_deleted(sql: psycopg.Connection, register: Register) -> None:
    for weight in (1.0, 2.0, 3.0, 4.0):
        register(weight, promote=True)
    sql.execute("SELECT retire('m', 3); SELECT delete_model('m', 2)")
    assert (answer(sql, "SELECT rollback('m')"), predicted(sql)) == (1, 1.0)


def test_rollback_of_an_alias_that_was_dropped_and_made_again(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    register(2.0)
    sql.execute("SELECT promote('m', 1, 'x'); SELECT drop_alias('m', 'x')")
    sql.execute("SELECT promote('m', 2, 'x')")
    refusal(sql, "SELECT rollback('m', 'x')", NothingToRollBack, "'x'")


def test_a_retired_version_does_not_predict_until_it_is_promoted(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    register(2.0)
    assert predicted(sql, "m/2") == 2.0
    sql.execute("SELECT retire('m', 2); SELECT retire('m', 2)")
    hint = refusal(sql, "SELECT predict('m/2', ROW(1, 0))", VersionRetired, "version 2 of model 'm'")
    assert "promote('m', 2)" in hint
    assert answer(sql, "SELECT retired_at IS NOT NULL FROM versions WHERE version = 2")
    sql.execute("SELECT promote('m', 2)")
    assert (predicted(sql), predicted(sql, "m/2")) == (2.0, 2.0)


@pytest.mark.parametrize("call", ["retire('m', 1)", "delete_model('m', 1)"])
def test_a_version_that_an_alias_points_at_stays(sql: psycopg.Connection, register: Register, call: str) -> None:
    register(1.0)
    hint = refusal(sql, f"SELECT {call}", VersionInUse, "version 1 of model 'm'", "champion")
    assert "Promote" in hint
    assert predicted(sql) == 1.0


def test_a_deleted_version_is_unknown_and_its_number_is_not_used_again(
    sql: psycopg.Connection, register: Register
) -> None:
    register(1.0)
    register(2.0)
    assert predicted(sql, "m/2") == 2.0
    sql.execute("SELECT delete_model('m', 2)")
    refusal(sql, "SELECT predict('m/2', ROW(1, 0))", UnknownVersion, "no version 2")
    assert register(5.0) == 3
    refusal(sql, "SELECT predict('m/2', ROW(1, 0))", UnknownVersion, "no version 2")


def test_rollback_never_takes_a_new_version_for_a_deleted_one(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    register(2.0, promote=True)
    sql.execute("SELECT promote('m', 1); SELECT delete_model('m', 2)")
    register(9.0)
    assert (answer(sql, "SELECT rollback('m')"), predicted(sql)) == (1, 1.0)


def test_deleting_a_model_needs_cascade_and_takes_everything(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    register(2.0)
    sql.execute("SELECT promote('m', 2, 'challenger'); SELECT configure('m', on_null => 'null')")
    assert "cascade" in refusal(sql, "SELECT delete_model('m')", InvalidArgument, "'m'")
    sql.execute("SELECT delete_model('m', cascade => true)")
    refusal(sql, "SELECT predict('m', ROW(1, 0))", UnknownModel, "'m'")
    for table in ("model", "model_version", "alias", "artifact", "artifact_chunk", "smoke", "model_setting"):
        assert answer(sql, f"SELECT count(*) FROM modeldb.{table}") == 0
    assert answers(sql, "SELECT alias FROM alias_history WHERE action = 'drop' ORDER BY 1") == [
        "challenger",
        "champion",
    ]


def test_a_model_deleted_and_registered_again_starts_anew(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    register(2.0, promote=True)
    assert predicted(sql) == 2.0
    sql.execute("SELECT delete_model('m', cascade => true)")
    assert (register(7.0), predicted(sql)) == (1, 7.0)
    refusal(sql, "SELECT rollback('m')", NothingToRollBack, "'m'")


def test_weights_that_two_versions_share_go_with_the_last(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    register(1.0, promote=True)
    register(1.0, name="n")
    assert answer(sql, "SELECT count(*) FROM artifact") == 1
    sql.execute("SELECT delete_model('m', 1)")
    assert predicted(sql) == 1.0
    sql.execute("SELECT delete_model('m', cascade => true)")
    assert predicted(sql, "n") == 1.0
    sql.execute("SELECT delete_model('n', cascade => true)")
    assert answers(sql, "SELECT count(*) FROM artifact UNION ALL SELECT count(*) FROM artifact_chunk") == [0, 0]


def test_the_history_and_the_log_tell_what_was_done_in_order(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    register(2.0)
    for call in ("promote('m', 2)", "rollback('m')", "retire('m', 2)", "configure('m', 'null')",
                 "promote('m', 2, 'x')", "drop_alias('m', 'x')", "delete_model('m', 2)"):  # fmt: skip
        sql.execute(f"SELECT {call}".encode())
    log = sql.execute("SELECT action, version, alias, published_by FROM publication ORDER BY epoch").fetchall()
    assert log == [
        ("register", 1, None, "postgres"),
        ("promote", 1, "champion", "postgres"),
        ("register", 2, None, "postgres"),
        ("promote", 2, "champion", "postgres"),
        ("rollback", 1, "champion", "postgres"),
        ("retire", 2, None, "postgres"),
        ("configure", None, None, "postgres"),
        ("promote", 2, "x", "postgres"),
        ("drop", None, "x", "postgres"),
        ("delete", 2, None, "postgres"),
    ]
    history = sql.execute("SELECT alias, version, action FROM alias_history ORDER BY epoch").fetchall()
    assert history == [
        ("champion", 1, "promote"),
        ("champion", 2, "promote"),
        ("champion", 1, "rollback"),
        ("x", 2, "promote"),
        ("x", None, "drop"),
    ]
    assert answer(sql, "SELECT modeldb._epoch() = max(epoch) FROM publication")
