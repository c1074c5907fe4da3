"""modeldb.predict() and its kin in SQLAlchemy's select()."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, MetaData, Table, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column
from support.flowers import Garden

import modeldb


class Base(DeclarativeBase):
    pass


class Flower(Base):
    __tablename__ = "flowers"
    row_id: Mapped[int] = mapped_column(primary_key=True)
    sepal_length: Mapped[float]
    sepal_width: Mapped[float]
    petal_length: Mapped[float]
    petal_width: Mapped[float]


@pytest.fixture
def connection(module_db: modeldb.Database, garden: Garden) -> Iterator[Connection]:
    with module_db.engine.connect() as connection:
        yield connection


@pytest.fixture
def flowers(connection: Connection) -> Table:
    return Table("flowers", MetaData(), autoload_with=connection)


def widths(garden: Garden) -> np.ndarray[Any, Any]:
    return np.asarray(garden.width.estimator.predict(garden.width.X))


def test_a_table(garden: Garden, connection: Connection, flowers: Table) -> None:
    query = select(modeldb.predict("width", flowers)).order_by(flowers.c.row_id)
    np.testing.assert_allclose(connection.scalars(query).all(), widths(garden), rtol=1e-9)


def test_an_alias_beside_its_table(garden: Garden, connection: Connection, flowers: Table) -> None:
    other = flowers.alias("other")
    query = (
        select(modeldb.predict("width", flowers), modeldb.predict("width", other))
        .join_from(flowers, other, other.c.row_id == 151 - flowers.c.row_id)
        .order_by(flowers.c.row_id)
    )
    found = np.array([tuple(row) for row in connection.execute(query)])
    np.testing.assert_allclose(found, np.column_stack([widths(garden), widths(garden)[::-1]]), rtol=1e-9)


@pytest.mark.parametrize("kind", ["subquery", "cte", "lateral"])
def test_a_subquery_with_its_columns_renamed(garden: Garden, connection: Connection, flowers: Table, kind: str) -> None:
    inner = select(
        flowers.c.row_id,
        (flowers.c.petal_length * 1).label("petal_length"),
        flowers.c.sepal_length,
        flowers.c.sepal_width.label("sepal_width"),
    )
    row = getattr(inner, kind)("some")
    query = select(modeldb.predict("width", row)).order_by(row.c.row_id)
    np.testing.assert_allclose(connection.scalars(query).all(), widths(garden), rtol=1e-9)


def test_a_mapped_class_and_its_alias(garden: Garden, connection: Connection) -> None:
    with Session(connection) as session:
        query = select(Flower, modeldb.predict_label("species", Flower)).order_by(Flower.row_id)
        rows = session.execute(query).all()
        assert [label for _, label in rows] == garden.species.estimator.predict(garden.X).tolist()
        assert rows[0][0].sepal_length == garden.X["sepal_length"].iloc[0]
        other = aliased(Flower, name="other")
        found = session.scalars(select(modeldb.predict("width", other)).order_by(other.row_id)).all()
        np.testing.assert_allclose(found, widths(garden), rtol=1e-9)


def test_probabilities_and_json(garden: Garden, connection: Connection, flowers: Table) -> None:
    expected = garden.species.estimator.predict_proba(garden.X)
    every = select(modeldb.predict_proba("species", flowers)).order_by(flowers.c.row_id)
    np.testing.assert_allclose(connection.scalars(every).all(), expected, rtol=1e-9, atol=1e-12)
    one = select(modeldb.predict_proba("species", flowers, "virginica")).order_by(flowers.c.row_id)
    np.testing.assert_allclose(connection.scalars(one).all(), expected[:, 2], rtol=1e-9, atol=1e-12)
    document = connection.scalars(select(modeldb.predict_json("species", flowers)).order_by(flowers.c.row_id)).first()
    assert document is not None
    assert document["label"] == "setosa"


def test_it_is_an_expression_like_any_other(garden: Garden, connection: Connection, flowers: Table) -> None:
    guess = modeldb.predict("width", flowers)
    mean = connection.scalar(select(func.avg(guess)).where(guess > 1))
    assert mean == pytest.approx(widths(garden)[widths(garden) > 1].mean())
    highest = connection.scalars(select(flowers.c.row_id).order_by(guess.desc()).limit(1)).one()
    assert highest == widths(garden).argmax() + 1
    label = modeldb.predict_label("species", flowers)
    counts = connection.execute(select(label, func.count()).group_by(label)).all()
    assert sum(count for _, count in counts) == 150


ROWS = [
    func.row(literal(5.1), literal(3.5), literal(1.4)),
    cast([5.1, 3.5, 1.4], ARRAY(DOUBLE_PRECISION)),
    cast({"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4}, JSONB),
    literal("[5.1, 3.5, 1.4]"),
]


@pytest.mark.parametrize("row", ROWS, ids=["ROW", "array", "jsonb", "text"])
def test_an_expression_for_a_row(garden: Garden, connection: Connection, row: Any) -> None:
    expected = garden.width.estimator.predict(garden.width.X.head(1))[0]
    assert connection.scalar(select(modeldb.predict("width", row))) == pytest.approx(expected)


def test_names_that_need_quotes(garden: Garden, connection: Connection) -> None:
    connection.exec_driver_sql('CREATE TABLE "Odd Table" AS SELECT * FROM flowers')
    odd = Table("Odd Table", MetaData(), autoload_with=connection)
    found = connection.scalars(select(modeldb.predict("width", odd)).order_by(odd.c.row_id)).all()
    np.testing.assert_allclose(found, widths(garden), rtol=1e-9)
    in_schema = Table("flowers", MetaData(), autoload_with=connection, schema="public")
    found = connection.scalars(select(modeldb.predict("width", in_schema)).order_by(in_schema.c.row_id)).all()
    np.testing.assert_allclose(found, widths(garden), rtol=1e-9)
    connection.rollback()
