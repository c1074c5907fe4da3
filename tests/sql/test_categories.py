"""Encoders that refuse what they were not trained on: the error names the feature and the value, numbers included."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from support.answers import answer, answers, refusal
from support.fixtures import Session
from support.tables import write_table

import modeldb
from modeldb.errors import NullFeature, UnseenCategory

X = pd.DataFrame({"month": np.arange(240) % 12 + 1, "size": np.linspace(0, 5, 240)})
X["grade"] = pd.Series([1.5, 2.5, np.nan] * 80)
Y = X["month"] * 2.0 + X["size"] + X["grade"].fillna(0.0)


@pytest.fixture
def months(db: modeldb.Database) -> modeldb.Database:
    """Model m with one-hot encoded integers and ordinally encoded numbers, NaN among them."""
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="error"), ["month"]),
        (OrdinalEncoder(handle_unknown="error", encoded_missing_value=-1), ["grade"]),
        remainder="passthrough",
    )
    model = make_pipeline(encode, LinearRegression()).fit(X, Y)
    db.register("m", model, sample=X)
    write_table(db, "t", X)
    np.testing.assert_allclose(
        [row["p"] for row in db.query("SELECT modeldb.predict('m', t) AS p FROM t ORDER BY row_id")], model.predict(X)
    )
    np.testing.assert_allclose(db.predict("m", X), model.predict(X))
    return db


def test_known_numbers_pass(months: modeldb.Database, session: Session) -> None:
    assert len(answers(session(), "SELECT predict('m', t) FROM t WHERE grade IS NULL")) == 80
    assert answer(session(), "SELECT predict('m', ROW(12, 1.0, 1.5)) > predict('m', ROW(1, 1.0, 1.5))")


@pytest.mark.parametrize(
    ("row", "feature", "value"),
    [
        ("ROW(13, 1.0, 1.5)", "month", "13"),
        ("ROW(0, 1.0, NULL)", "month", "0"),
        ("ARRAY[1, 1.0, 1.75]", "grade", "1.75"),
        ("""'{"month": 1, "size": 2, "grade": 99}'""", "grade", "99"),
        ("(SELECT t FROM (SELECT 14::bigint AS month, 1.0::float8 AS size, 1.5::float8 AS grade) t)", "month", "14"),
    ],
)
def test_unseen_number_is_named(months: modeldb.Database, session: Session, row: str, feature: str, value: str) -> None:
    refusal(session(), f"SELECT predict('m', {row})", UnseenCategory, "'m'", f"'{feature}'", value)


def test_unseen_number_in_a_table_row(months: modeldb.Database, session: Session) -> None:
    connection = session()
    connection.execute("UPDATE t SET month = 13 WHERE row_id = 7")
    refusal(connection, "SELECT sum(predict('m', t)) FROM t", UnseenCategory, "'m'", "'month'", "13")


def test_null_is_not_an_unseen_category(months: modeldb.Database, session: Session) -> None:
    refusal(session(), "SELECT predict('m', ROW(NULL::int, 1.0, 1.5))", NullFeature, "'month'")


def test_unseen_number_from_python(months: modeldb.Database) -> None:
    with pytest.raises(UnseenCategory, match=r"'month' is 13.* in row 2"):
        months.predict("m", [[1, 1.0, 1.5], [13, 1.0, 1.5]])
