"""Arrays of double precision numbers as they lie in PostgreSQL's memory: what _memory() gives, and _numbers() takes.

The layout is that of ArrayType in array.h, less the length word in front, which a bytea does not show: the number of
dimensions, the offset of the values or zero where none is NULL, the type of the elements, lengths and lower bounds; a
bitmap of what is not NULL, if something is; then the values, aligned, without those that are NULL.
"""

from __future__ import annotations

import math
import struct

import numpy as np

from modeldb.runtime import Array
from modeldb.server.values import FLOAT8

_LENGTH_WORD, _ALIGNMENT = 4, 8
_HEADERS = {dimensions: struct.Struct(f"=iiI{2 * dimensions}i") for dimensions in (1, 2)}
START = _HEADERS[1].size
"""Where the values of an array of one dimension begin, when none is NULL."""


def write(numbers: Array, present: Array | None) -> bytes:
    """An array of one dimension. present: (n,) boolean, where the numbers stand, NULL elsewhere; None: everywhere."""
    if present is None:
        return _HEADERS[1].pack(1, 0, FLOAT8, len(numbers), 1) + numbers.tobytes()
    bits = np.packbits(present, bitorder="little").tobytes()
    bits += bytes(-(_LENGTH_WORD + START + len(bits)) % _ALIGNMENT)
    offset = _LENGTH_WORD + START + len(bits)
    return _HEADERS[1].pack(1, offset, FLOAT8, len(present), 1) + bits + numbers.tobytes()


def read(data: bytes, *lengths: int) -> tuple[Array, Array | None]:
    """The numbers of an array of one or two such lengths, and which of them are not NULL (None: all).

    What stands for NULL is NaN. Raises ValueError when the array is another one. The numbers may not be aligned.
    """
    header = _HEADERS[len(lengths)]
    dimensions, offset, element, *sizes = header.unpack_from(data)
    if (dimensions, element, sizes[: len(lengths)]) != (len(lengths), FLOAT8, list(lengths)):
        raise ValueError(f"an array of {sizes[: len(lengths)]} came where {list(lengths)} was to come")
    count = math.prod(lengths)
    if not offset:
        return np.frombuffer(data, np.float64, count, header.size).reshape(lengths), None
    bits = np.frombuffer(data, np.uint8, (count + 7) // 8, header.size)
    present = np.unpackbits(bits, count=count, bitorder="little").astype(bool)
    found = np.full(count, np.nan)
    found[present] = np.frombuffer(data, np.float64, int(present.sum()), offset - _LENGTH_WORD)
    return found.reshape(lengths), present.reshape(lengths)
