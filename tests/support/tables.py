"""DataFrames as tables of the test's database."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import psycopg
from psycopg import sql

import modeldb
from support.server import plain

_TYPES = {"f8": "float8", "f4": "float4", "i": "int8", "u": "int8", "b": "bool"}


def sql_type(column: pd.Series) -> str:
    """The column type that fits a pandas column."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "fiub":
        return _TYPES.get(dtype.str[1:], _TYPES.get(dtype.kind, "float8"))
    kinds = {type(value) for value in column.dropna()}
    if kinds and kinds <= {bool, np.bool_}:
        return "bool"
    if kinds and kinds <= {int, float, np.int64, np.float64}:
        return "float8"
    return "text"


def write_table(db: modeldb.Database, name: str, frame: pd.DataFrame) -> None:
    """Create a table with the frame's columns, and row_id in the order of its rows; NULL where a value is missing."""
    with psycopg.connect(plain(db.engine.url.render_as_string(hide_password=False))) as connection:
        columns = [sql.SQL("{} {}").format(sql.Identifier(str(c)), sql.SQL(sql_type(frame[c]))) for c in frame.columns]
        connection.execute(
            sql.SQL("CREATE TABLE {} (row_id bigint PRIMARY KEY, {})").format(
                sql.Identifier(name), sql.SQL(", ").join(columns)
            )
        )
        lists = [[_cell(value) for value in frame[c].tolist()] for c in frame.columns]
        with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))) as copy:
            for number, row in enumerate(zip(*lists, strict=True), start=1):
                copy.write_row((number, *row))


def _cell(value: Any) -> Any:
    return None if value is None or value is pd.NA or value != value else value
