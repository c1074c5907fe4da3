"""COPY BINARY and numpy: rows without NULL are one structured array, in the byte order of the network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from psycopg import Copy

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"


def layout(**columns: str) -> np.dtype:
    """The dtype of a row whose columns have these dtypes, such as >i8 for bigint and >f8 for double precision."""
    fields = [("columns", ">i2")]
    for name, dtype in columns.items():
        fields += [(f"length of {name}", ">i4"), (name, dtype)]
    return np.dtype(fields)


def encode(row: np.dtype, **columns: np.ndarray) -> bytes:
    """Rows as COPY wants them between HEADER and TRAILER; each column is (n,)."""
    rows = np.empty(len(next(iter(columns.values()))), row)
    rows["columns"] = len(columns)
    for name, values in columns.items():
        rows[f"length of {name}"] = row[name].itemsize
        rows[name] = values
    return rows.tobytes()


def blocks(copy: Copy, row: np.dtype, rows: int) -> Iterator[np.ndarray]:
    """The rows of a COPY TO STDOUT, so many at a time, as arrays of this dtype.

    psycopg hands out what libpq does, a row at a time: appending it to a bytearray is the fastest that can be done
    with one. A NULL or a text would shift what follows, and numpy refuses a buffer that is not a multiple of the row.
    """
    full = rows * row.itemsize
    buffer = bytearray()
    start = len(HEADER)
    for data in copy:
        buffer += data
        if len(buffer) >= full + start:
            yield np.frombuffer(buffer, row, offset=start)
            buffer, start = bytearray(), 0
    if len(buffer) - start > len(TRAILER):
        yield np.frombuffer(memoryview(buffer)[: -len(TRAILER)], row, offset=start)
