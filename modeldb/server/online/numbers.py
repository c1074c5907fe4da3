"""Rows of nothing but double precision columns, which come as an array in PostgreSQL's memory layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np

from modeldb.errors import MalformedInput
from modeldb.runtime import Array
from modeldb.server import arrays
from modeldb.server.records import Layout
from modeldb.server.scorer import Scorer
from modeldb.server.strided import plain
from modeldb.server.values import FLOAT8

_FEW = 64


def reader(scorer: Scorer, names: Sequence[str]) -> Callable[[bytes], bool]:
    """A function that fills the buffers from _memory(ARRAY[...]) of columns of these names. False: the answer is NULL.

    Raises MissingFeature (MD202) and WrongType (MD203); the function what is wrong with a row.
    """
    layout = Layout(scorer.signature.features, [(name, FLOAT8) for name in names])
    prepare, count = scorer.prepare, len(names)

    def read(data: bytes) -> bool:
        return prepare(layout.choose(_values(data, count)))

    if not plain(scorer):
        return read
    buffer, start, size = scorer.buffers[0], arrays.START, arrays.START + 8 * count
    flat, complete = buffer.flat, bytes(4)
    finite = _finiteness(flat)
    copy = _copier(flat, None if layout.positions == list(range(count)) else np.array(layout.positions), count)

    def read_complete(data: bytes) -> bool:
        if data[4:8] != complete or len(data) != size:  # the offset of the data is zero where no value is NULL
            return read(data)
        copy(data[start:])
        return finite() or read(data)

    return read_complete


def _finiteness(flat: Array) -> Callable[[], bool]:
    """A function that tells whether all numbers of a tensor are finite; it may deny it of enormous ones."""
    if flat.size > _FEW:
        zeros, dot = np.zeros_like(flat), flat.dot
        return lambda: bool(dot(zeros) == 0.0)  # NaN and infinities times zero are NaN
    # BLAS is faster, but not where its code is not in the processor's cache, as for a single insert.
    values = memoryview(flat)  # type: ignore[arg-type]
    return lambda: isfinite(sum(values))


def _copier(flat: Array, order: Array | None, count: int) -> Callable[[bytes], None]:
    """A function that puts so many values into a tensor, in another order if need be."""
    if order is None and flat.dtype == np.float64:
        whole = memoryview(flat).cast("B")  # type: ignore[arg-type]
        return lambda values: whole.__setitem__(slice(None), values)
    number, array, put = np.dtype(np.float64), np.ndarray, np.copyto

    def copy(values: bytes) -> None:
        found = array(count, number, values)
        put(flat, found if order is None else found[order], "same_kind")

    return copy


def _values(data: bytes, count: int) -> list[Any]:
    """The values of an array of count numbers, None for NULL. Raises MalformedInput (MD210)."""
    try:
        found, present = arrays.read(data, count)
    except ValueError as error:
        raise MalformedInput(str(error)) from None
    numbers = found.tolist()
    return numbers if present is None else [n if there else None for n, there in zip(numbers, present, strict=True)]
