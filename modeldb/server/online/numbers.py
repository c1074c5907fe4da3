"""Rows of nothing but double precision columns, which come as an array in PostgreSQL's memory layout."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from modeldb.errors import MalformedInput
from modeldb.server.records import Layout
from modeldb.server.scorer import Scorer
from modeldb.server.strided import plain
from modeldb.server.values import FLOAT8

_HEADER = struct.Struct("=iiIii")  # of one dimension: dimensions, offset of the data, element type, length, lower bound
_LENGTH_WORD = 4  # the length of the whole, which a bytea does not show


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
    buffer, size = scorer.buffers[0], _HEADER.size + 8 * count
    order = None if layout.positions == list(range(count)) else np.array(layout.positions)
    array, number, start, flat, zeros = np.ndarray, np.dtype(np.float64), _HEADER.size, buffer.flat, buffer.zeros
    copy, dot, complete = np.copyto, buffer.flat.dot, bytes(4)

    def read_complete(data: bytes) -> bool:
        if data[4:8] != complete or len(data) != size:  # the offset of the data is zero where no value is NULL
            return read(data)
        found = array(count, number, data, start)
        copy(flat, found if order is None else found[order], "same_kind")
        return dot(zeros) == 0.0 or read(data)  # NaN and infinities times zero are NaN

    return read_complete


def _values(data: bytes, count: int) -> list[Any]:
    """The values of an array of count numbers, None for NULL. Raises MalformedInput (MD210)."""
    dimensions, offset, element, length, _ = _HEADER.unpack_from(data)
    if (dimensions, element, length) != (1, FLOAT8, count):
        raise MalformedInput(f"an array of {length} values came where {count} were to come")
    if not offset:
        return list(struct.unpack_from(f"={count}d", data, _HEADER.size))
    bits = np.unpackbits(np.frombuffer(data, np.uint8, (count + 7) // 8, _HEADER.size), count=count, bitorder="little")
    found = iter(np.frombuffer(data, np.float64, int(bits.sum()), offset - _LENGTH_WORD).tolist())
    return [next(found) if bit else None for bit in bits]
