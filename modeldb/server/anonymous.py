"""Anonymous records: ROW(...), by position, and rows of subqueries, by name.

Their type is ``record``, which has no names to look up; only JSON keeps those that a subquery gave. So such a row comes
twice, in binary for its values and as JSON for its names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from modeldb.errors import MalformedInput
from modeldb.server import values
from modeldb.server.records import Layout, Stale, column_types, count_features
from modeldb.signature import Feature

MAX_LAYOUTS = 64


class AnonymousReader:
    """Takes the features' values out of record_send(ROW(row, to_json(row)))."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = features
        self.layouts: dict[tuple[str, ...], Layout] = {}

    def read(self, data: bytes) -> Sequence[Any]:
        """The features' values in order, None for NULL.

        Raises WrongFeatureCount (MD201), MissingFeature (MD202), WrongType (MD203), MalformedInput (MD210).
        """
        document = data[20 + int.from_bytes(data[8:12], "big") :]
        try:
            names = tuple(orjson.loads(document if document.isascii() else values.text(document)))
        except (orjson.JSONDecodeError, TypeError) as error:
            raise MalformedInput(f"the row cannot be read: {error}") from None
        known = self.layouts.get(names)
        if known is not None:
            try:
                return known.read(data)
            except Stale:  # the same names for columns of other types
                pass
        if len(self.layouts) >= MAX_LAYOUTS:
            self.layouts.clear()
        layout = self.layouts[names] = self._layout(names, column_types(data))
        return layout.read(data)

    def _layout(self, names: tuple[str, ...], oids: list[int]) -> Layout:
        if len(names) != len(oids):
            raise MalformedInput(
                "two columns of the row have the same name", hint="Name each column of the subquery, with AS."
            )
        if by_position(names, self.features):
            names = tuple(feature.name for feature in self.features)
        return Layout(self.features, list(zip(names, oids, strict=True)), lenient=True)


def by_position(names: Sequence[str], features: Sequence[Feature]) -> bool:
    """Whether columns are named as PostgreSQL names those of ROW(...): f1, f2, ...

    Raises WrongFeatureCount (MD201), and MalformedInput (MD210) where the features have these names in another order.
    """
    numbered = [f"f{i}" for i in range(1, len(names) + 1)]
    wanted = [feature.name for feature in features]
    if list(names) != numbered or numbered == wanted:
        return False
    if set(wanted) <= set(numbered):
        raise MalformedInput(
            "it is not clear whether f1, f2, ... are names or positions of features",
            hint="Cast the row to a type of its own, or give an array, or a JSON array.",
        )
    count_features(features, len(names))
    return True
