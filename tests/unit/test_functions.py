"""The SQL that modeldb.predict() and its kin become."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import ARRAY, JSON, Column, Double, Integer, MetaData, Table, Text, literal_column, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

import modeldb

TABLE = Table("t", MetaData(), Column("id", Integer), Column("a", Double))


class Base(DeclarativeBase):
    pass


class Mapping(Base):
    __tablename__ = "t"
    id: Mapped[int] = mapped_column(primary_key=True)


def compiled(expression: Any) -> str:
    query = select(expression).compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
    return " ".join(str(query).split())


ROWS: list[tuple[str, Any, str]] = [
    ("table", TABLE, "SELECT modeldb.predict('m', t) AS predict_1 FROM t"),
    ("alias", TABLE.alias("u"), "SELECT modeldb.predict('m', u) AS predict_1 FROM t AS u"),
    ("mapped class", Mapping, "SELECT modeldb.predict('m', t) AS predict_1 FROM t"),
    ("aliased class", aliased(Mapping, name="u"), "SELECT modeldb.predict('m', u) AS predict_1 FROM t AS u"),
    (
        "subquery",
        select(TABLE.c.a).subquery("s"),
        "SELECT modeldb.predict('m', s) AS predict_1 FROM (SELECT t.a AS a FROM t) AS s",
    ),
    (
        "cte",
        select(TABLE.c.a).cte("c"),
        "WITH c AS (SELECT t.a AS a FROM t) SELECT modeldb.predict('m', c) AS predict_1 FROM c",
    ),
    ("expression", literal_column("ROW(1, 2)"), "SELECT modeldb.predict('m', ROW(1, 2)) AS predict_1"),
]


@pytest.mark.parametrize(("row", "sql"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_a_row_of_every_kind(row: Any, sql: str) -> None:
    assert compiled(modeldb.predict("m", row)) == sql


@pytest.mark.parametrize(
    ("expression", "call", "kind"),
    [
        (modeldb.predict("m", TABLE), "modeldb.predict('m', t)", Double),
        (modeldb.predict_label("m", TABLE), "modeldb.predict_label('m', t)", Text),
        (modeldb.predict_proba("m", TABLE), "modeldb.predict_proba('m', t)", ARRAY),
        (modeldb.predict_proba("m", TABLE, "1"), "modeldb.predict_proba('m', t, '1')", Double),
        (modeldb.predict_json("m", TABLE), "modeldb.predict_json('m', t)", JSON),
    ],
)
def test_every_function_and_its_type(expression: Any, call: str, kind: type) -> None:
    assert call in compiled(expression)
    assert isinstance(expression.type, kind)


@pytest.mark.parametrize("row", [5, "text", None, [1, 2], object()])
def test_what_is_no_row(row: object) -> None:
    with pytest.raises(TypeError, match="the row is"):
        modeldb.predict("m", row)
