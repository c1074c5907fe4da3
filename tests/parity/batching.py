"""What predict_batch() says of a table's rows, against what the functions for one row say of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from modeldb.signature import Signature

ROWS = 130
OUTPUTS = {
    "prediction": sql.SQL("predict({model}, t)"),
    "label": sql.SQL("predict_label({model}, t)"),
    "probability": sql.SQL("(SELECT max(p) FROM unnest(predict_proba({model}, t)) AS p)"),
}


def check_batch(signature: Signature, connection: psycopg.Connection, model: str, table: str) -> None:
    """Raise AssertionError unless each of some rows has the same predictions in a batch as alone.

    Labels are to be equal. Numbers may differ in the last bit: onnxruntime takes several rows' exp() at once, by other
    instructions than that of one row or of what is left over at the end.
    """
    if signature.targets != 1:
        return
    called = sql.Literal(model)
    outputs = [name for name in OUTPUTS if has(signature, name)]
    rows = sql.SQL("SELECT * FROM {} WHERE row_id <= {}").format(sql.Identifier(table), sql.Literal(ROWS))
    single = sql.SQL(", ").join(OUTPUTS[name].format(model=called) for name in outputs)
    alone = connection.execute(sql.SQL("SELECT {} FROM ({}) AS t ORDER BY row_id").format(single, rows)).fetchall()
    query = sql.SQL("SELECT {} FROM predict_batch({}, {}, 'row_id') ORDER BY row_key::bigint").format(
        sql.SQL(", ").join(map(sql.Identifier, outputs)), called, sql.Literal(rows.as_string(connection))
    )
    batch = connection.execute(query).fetchall()
    assert len(batch) == len(alone) == ROWS
    for name, one, many in zip(outputs, zip(*alone, strict=True), zip(*batch, strict=True), strict=True):
        compare(name, one, many, signature)


def has(signature: Signature, name: str) -> bool:
    """Whether predict_batch() gives this of a model."""
    if name == "prediction":
        return signature.numeric
    return signature.task == "classification" and (name == "label" or signature.outputs.probabilities is not None)


def compare(name: str, one: Any, many: Any, signature: Signature) -> None:
    if name == "label" or (signature.task != "regression" and name == "prediction"):
        assert many == one
        return
    np.testing.assert_allclose(many, one, rtol=1e-14, atol=1e-15)
