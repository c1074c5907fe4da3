"""The tensors of one row, filled again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modeldb.runtime import DTYPES
from modeldb.signature import Input, Signature

np.seterr(over="ignore")  # a number too large for float32 becomes infinite, and is found out as such


class Buffer:
    """One input of the graph for one row."""

    def __init__(self, entry: Input, signature: Signature) -> None:
        self.entry = entry
        self.positions = entry.features
        self.features = [signature.features[position] for position in entry.features]
        self.tensor = np.zeros((1, *entry.shape), dtype=DTYPES[entry.dtype])
        self.flat = self.tensor.reshape(-1)
        self.zeros = np.zeros_like(self.flat)
        self.whole = entry.features == tuple(range(len(signature.features)))
        single = any(feature.type == "float4" for feature in self.features) and entry.dtype == "float64"
        self.rounded = np.array([feature.type == "float4" for feature in self.features]) if single else None
        self.fill = self._fill_text if entry.dtype == "string" else self._fill_numbers
        self.check_finite = entry.dtype in ("float32", "float64")
        self.closed = any(feature.categories is not None for feature in self.features)

    def _fill_numbers(self, row: Sequence[Any]) -> bool:
        """True when every value is ordinary; otherwise the row is to be examined."""
        found = row if self.whole else [row[position] for position in self.positions]
        if not self.check_finite and None in found:  # a tensor of integers or booleans has nothing for NULL
            return False
        self.flat[:] = found
        if self.rounded is not None:
            np.copyto(self.flat, self.flat.astype(np.float32), where=self.rounded)
        # NaN and infinities times zero are NaN, which equals nothing
        return not self.closed and (not self.check_finite or self.flat.dot(self.zeros) == 0.0)

    def _fill_text(self, row: Sequence[Any]) -> bool:
        ordinary = True
        for at, (feature, position) in enumerate(zip(self.features, self.positions, strict=True)):
            value = row[position]
            self.flat[at] = feature.missing if value is None else value
            if value is None or (feature.categories is not None and value not in feature.categories):
                ordinary = False
        return ordinary
