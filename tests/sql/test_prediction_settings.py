"""What else decides predictions than rows and versions: configure(), and who makes the rows."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from support.answers import answer, answers
from support.models import Trained
from support.tables import write_table

import modeldb

Session = Callable[..., psycopg.Connection]


def test_incremental_predictions_follow_what_was_configured(
    db: modeldb.Database, session: Session, diabetes: Trained
) -> None:
    write_table(db, "patients", diabetes.X.head(20))
    db.register("diabetes", diabetes.estimator, sample=diabetes.X)
    sql = session()
    sql.execute("UPDATE patients SET bmi = NULL WHERE row_id = 3")
    db.create_predictions("seen", "diabetes", "patients", "row_id", on_error="null", incremental=True)
    assert answer(sql, "SELECT error FROM seen WHERE prediction IS NULL").startswith("feature 'bmi' is NULL")
    assert db.refresh_predictions("seen").scored == 0
    db.configure("diabetes", on_null="null")
    assert db.refresh_predictions("seen").scored == 20
    assert answers(sql, "SELECT error FROM seen WHERE prediction IS NULL") == [None]
    assert db.refresh_predictions("seen").scored == 0


def test_rows_that_postgresql_makes_by_itself_are_made_as_far_as_they_can_be(
    db: modeldb.Database, session: Session, diabetes: Trained
) -> None:
    """As pg_restore does, for which one bad row must not be the end of the view."""
    write_table(db, "patients", diabetes.X.head(20))
    db.register("diabetes", diabetes.estimator, sample=diabetes.X)
    db.create_predictions("seen", "diabetes", "patients", "row_id")
    sql = session()
    sql.execute("UPDATE patients SET bmi = NULL WHERE row_id = 3")
    sql.execute("REFRESH MATERIALIZED VIEW seen_stored")
    assert answers(sql, "SELECT row_id FROM seen WHERE prediction IS NULL") == [3]
    row = sql.execute("SELECT sqlstate, error FROM refresh_predictions('seen')").fetchone()
    assert row is not None
    assert row[0] == "MD204"
    assert "row_id = 3" in row[1]
