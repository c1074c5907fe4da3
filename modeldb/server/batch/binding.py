"""From the columns of a source to the inputs of a graph: the SQL that fetches them, and numpy's view of what came.

Numbers come as one float8[][] per input, in PostgreSQL's own memory layout, so that no value is touched on its way;
texts and the rare tensors of integers and booleans come as JSON, which a C library reads.

Each reader has ``fields``, expressions over a row s with their types; ``collected``, what makes one value of the fields
of many rows; and ``read``, which takes that value apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from modeldb.errors import WrongType
from modeldb.runtime import DTYPES, Array
from modeldb.server import arrays, values
from modeldb.server.batch.source import Column
from modeldb.server.records import bind
from modeldb.signature import Feature, Input, Signature


@dataclass
class Part:
    """One input of the graph for n rows: the values as they came, which were NULL (or None when none), the tensor.

    All are (n, features of the input); what values hold where something was NULL is left open.
    """

    values: Array
    missing: Array | None
    tensor: Array
    size: int
    """Bytes or characters that came for it."""


class Numbers:
    """An input of floating point numbers."""

    def __init__(self, entry: Input, features: Sequence[Feature], columns: Sequence[Column]) -> None:
        self.entry, self.features = entry, features
        self.fields = [(f"s.{column.quoted}", column.bare_type) for column in columns]
        self.casts = [_float_cast(column) for column in columns]
        rounded = [feature.type == "float4" for feature in features]
        self.rounded = np.array(rounded) if any(rounded) and entry.dtype == "float64" else None

    def collected(self, names: Sequence[str]) -> str:
        floats = (f"{name}{cast}" for name, cast in zip(names, self.casts, strict=True))
        return f"modeldb._memory(pg_catalog.array_agg(ARRAY[{', '.join(floats)}]))"

    def read(self, data: bytes, rows: int) -> Part:
        found, present = arrays.read(data, rows, len(self.features))
        tensor = np.array(found, dtype=DTYPES[self.entry.dtype])  # a copy: the bytes are not aligned
        if self.rounded is not None:
            np.copyto(tensor, tensor.astype(np.float32), where=self.rounded)
        return Part(found, None if present is None else ~present, tensor, len(data))


class Texts:
    """An input of strings."""

    def __init__(self, entry: Input, features: Sequence[Feature], columns: Sequence[Column]) -> None:
        self.entry, self.features = entry, features
        self.fields = [(f"s.{column.quoted}::text", "text") for column in columns]

    def collected(self, names: Sequence[str]) -> str:
        return f"pg_catalog.json_build_array({', '.join(f'pg_catalog.array_agg({name})' for name in names)})::text"

    def read(self, data: str, rows: int) -> Part:
        found = np.empty((rows, len(self.features)), dtype=object)
        for at, column in enumerate(orjson.loads(data)):
            found[:, at] = column
        missing = found == None  # noqa: E711  (element by element)
        if not missing.any():
            return Part(found, None, found, len(data))
        tensor = found.copy()
        for at, feature in enumerate(self.features):
            tensor[missing[:, at], at] = feature.missing or ""
        return Part(found, missing, tensor, len(data))


class Whole:
    """An input of integers or booleans, which has nothing for a missing value: zero stands in until it is judged."""

    def __init__(self, entry: Input, features: Sequence[Feature], columns: Sequence[Column]) -> None:
        self.entry, self.features = entry, features
        self.fields = [(f"pg_catalog.json_build_array({', '.join(map(_json, columns))})", "json")]

    def collected(self, names: Sequence[str]) -> str:
        return f"pg_catalog.json_agg({names[0]})::text"

    def read(self, data: str, rows: int) -> Part:
        found = np.empty((rows, len(self.features)), dtype=object)
        found[:] = orjson.loads(data)
        missing = found == None  # noqa: E711  (element by element)
        tensor = np.zeros(found.shape, dtype=DTYPES[self.entry.dtype])
        for at, feature in enumerate(self.features):
            tensor[:, at] = [_or_zero(feature, value) for value in found[:, at]]
        return Part(found, missing if missing.any() else None, tensor, len(data))


def _or_zero(feature: Feature, value: Any) -> Any:
    """The value, or zero for one that the feature cannot have, on which judgement is passed later."""
    try:
        return 0 if value is None else values.converter(feature)(value)
    except WrongType:
        return 0


def inputs(signature: Signature, columns: Sequence[Column]) -> list[Numbers | Texts | Whole]:
    """One reader per input of the graph. Raises MissingFeature (MD202) and WrongType (MD203)."""
    positions = bind(signature.features, [column.name for column in columns])
    bound = [columns[position] for position in positions]
    for feature, column in zip(signature.features, bound, strict=True):
        _check_type(feature, column)
    found: list[Numbers | Texts | Whole] = []
    for entry in signature.inputs:
        kind = Texts if entry.dtype == "string" else Numbers if entry.dtype.startswith("float") else Whole
        features = [signature.features[position] for position in entry.features]
        found.append(kind(entry, features, [bound[position] for position in entry.features]))
    return found


def bound_columns(signature: Signature, columns: Sequence[Column]) -> list[Column]:
    """The columns that the features are bound to, in the order of the features."""
    return [columns[position] for position in bind(signature.features, [column.name for column in columns])]


def _check_type(feature: Feature, column: Column) -> None:
    readable = values.reader(values.base_type(column.oid)) is not None
    if not readable or values.is_number(column.oid) != (feature.type != "text"):
        raise WrongType(
            f"feature {feature.name!r} is {feature.type}, its column {column.type}",
            hint="Cast the column in a query, and give that as the source.",
        )


def _float_cast(column: Column) -> str:
    through = {values.BOOL: "::int4", values.OID: "::int8"}.get(values.base_type(column.oid), "")
    return f"{through}::float8"


def _json(column: Column) -> str:
    through = "::int8" if values.base_type(column.oid) == values.OID else ""  # in JSON an oid is a text
    return f"s.{column.quoted}{through}"


def row(parts: Sequence[Part], readers: Sequence[Any], at: int, count: int) -> list[Any]:
    """The features' values of one row as a single prediction gets them: None for NULL."""
    found: list[Any] = [None] * count
    for part, reader in zip(parts, readers, strict=True):
        for column, position in enumerate(reader.entry.features):
            if part.missing is None or not part.missing[at, column]:
                value = part.values[at, column]
                found[position] = value.item() if isinstance(value, np.generic) else value
    return found
