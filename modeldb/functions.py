"""The SQL functions for SQLAlchemy's select(): ``select(t.c.id, modeldb.predict("fraud", t))``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, JSON, ColumnElement, Double, FromClause, Text, func, inspect


def predict(model: str, row: Any) -> ColumnElement[float]:
    """modeldb.predict(model, row): double precision. row: a table, alias, subquery, mapped class or expression."""
    return func.modeldb.predict(model, _row(row), type_=Double)


def predict_label(model: str, row: Any) -> ColumnElement[str]:
    """modeldb.predict_label(model, row): text."""
    return func.modeldb.predict_label(model, _row(row), type_=Text)


def predict_proba(model: str, row: Any, label: str | None = None) -> ColumnElement[Any]:
    """modeldb.predict_proba(model, row[, class]): the probabilities of all classes, or of one."""
    if label is None:
        return func.modeldb.predict_proba(model, _row(row), type_=ARRAY(Double))
    return func.modeldb.predict_proba(model, _row(row), label, type_=Double)


def predict_json(model: str, row: Any) -> ColumnElement[Any]:
    """modeldb.predict_json(model, row): a dict of all that the model says."""
    return func.modeldb.predict_json(model, _row(row), type_=JSON)


def _row(row: Any) -> Any:
    """What stands for a whole row in SQL: the table's or alias's own name."""
    if isinstance(row, ColumnElement):
        return row
    found: Any = row if isinstance(row, FromClause) else getattr(inspect(row, raiseerr=False), "selectable", None)
    if found is None:
        raise TypeError(f"the row is {row!r:.60}, not a table, alias, subquery, mapped class or SQL expression")
    return found.table_valued()
