"""The shortest way of a row: all features double precision, side by side, none NULL.

Then the values stand 16 bytes apart in what record_send() wrote, each behind its type and length, and one strided copy
turns the bytes around into the input tensor. That no value is NULL shows in the row's length where all its columns are
of fixed width, else in the headers. Columns of other 8-byte types may stand in between.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import calcsize

import numpy as np

from modeldb.server.records import HEADER, Layout
from modeldb.server.scorer import Scorer
from modeldb.server.values import FIXED, FLOAT8, OPAQUE

_WIDTHS = {oid: calcsize(">" + code) for oid, code in FIXED.items()} | OPAQUE


def plain(scorer: Scorer) -> bool:
    """Whether double precision values fill the graph's only input as they are, and only have to be finite."""
    buffer = scorer.buffers[0]
    return buffer.whole and buffer.check_finite and not buffer.closed and buffer.rounded is None


def reader(layout: Layout, scorer: Scorer) -> Callable[[bytes], bool] | None:
    """A function that fills the only buffer, or declines with False; None where the row type has another shape."""
    buffer = scorer.buffers[0]
    first, last = min(layout.positions), max(layout.positions)
    every = [_WIDTHS.get(base) for base in layout.bases]
    widths = every[: last + 1]
    wanted = (
        plain(scorer)
        and all(layout.oids[position] == FLOAT8 for position in layout.positions)
        and None not in widths
        and set(widths[first:]) == {8}
    )
    if not wanted:
        return None
    start = layout.start + sum(8 + (width or 0) for width in widths[:first])
    count = last - first + 1
    headers = b"".join(HEADER.pack(oid, 8) for oid in layout.oids[first : last + 1])
    order = np.array(layout.positions) - first
    in_order = order.tolist() == list(range(count))
    array, header, number, flat, zeros = np.ndarray, np.dtype("V8"), np.dtype(">f8"), buffer.flat, buffer.zeros
    copy, dot, size, values_start = np.copyto, buffer.flat.dot, start + 16 * count, start + 8
    whole = layout.start + sum(8 + width for width in every if width) if None not in every else -1

    def read(data: bytes) -> bool:
        length = len(data)
        if length != whole and (
            length < size or whole > 0 or array(count, header, data, start, 16).tobytes() != headers
        ):
            return False
        found = array(count, number, data, values_start, 16)
        copy(flat, found if in_order else found[order], "same_kind")
        return dot(zeros) == 0.0  # type: ignore[no-any-return]  # NaN and infinities times zero are NaN

    return read
