"""Rows as record_send() writes them: int32 count, then (oid, int32 length, bytes) per column; length -1 is NULL.

A layout is compiled once per row type. Neighbouring columns of fixed width are read by one struct together with their
headers, so that one comparison proves that no column is NULL and that none has changed its type.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from modeldb.errors import MalformedInput, MissingFeature, WrongFeatureCount, WrongType
from modeldb.server import values
from modeldb.server.backend import ask
from modeldb.signature import Feature

HEADER = struct.Struct(">Ii")
MAX_DIMENSIONS = 6  # of PostgreSQL's arrays
START = 16
"""Where the first column of a row begins: after the header of ROW(row) and the row's own count."""
BARE = 4
"""Where it begins in what record_send() wrote of the row itself."""


class Stale(Exception):
    """The row type is not what it was when the layout was compiled."""


@dataclass(frozen=True)
class Run:
    """Neighbouring columns of fixed width."""

    unpack_from: Callable[[bytes, int], tuple[Any, ...]]
    size: int
    headers: tuple[bytes, ...]
    readers: tuple[Callable[[bytes], Any], ...]


@dataclass(frozen=True)
class Single:
    """A column of variable width; ``read`` is None where no feature needs it."""

    oid: int
    read: Callable[[bytes], Any] | None


class Layout:
    """How to take the features' values out of a row of one composite type."""

    def __init__(
        self,
        features: Sequence[Feature],
        columns: Sequence[tuple[str, int]],
        *,
        lenient: bool = False,
        start: int = START,
    ) -> None:
        """columns: (name, type oid) of the row type's columns, in order. lenient: judge types value by value.

        NULL in an anonymous record is a text, whatever it stands for.
        """
        self.lenient = lenient
        self.start = start
        self.oids = [oid for _, oid in columns]
        self.bases = [values.base_type(oid) for oid in self.oids]
        self.positions = bind(features, [name for name, _ in columns])
        self.converters = self._converters(features, columns)
        self.parts = list(self._compile())
        self.pick: Callable[[list[Any]], tuple[Any, ...]] = (
            itemgetter(*self.positions) if len(self.positions) > 1 else lambda row: (row[self.positions[0]],)
        )

    def _converters(self, features: Sequence[Feature], columns: Sequence[tuple[str, int]]) -> list[Any] | None:
        needed: list[Any] = []
        for feature, position in zip(features, self.positions, strict=True):
            base = self.bases[position]
            number, like_number = feature.type != "text", base in values.FIXED or base == 1700
            if values.reader(base) is None or (number != like_number and not self.lenient):
                raise WrongType(
                    f"feature {feature.name!r} is {feature.type}, its column {values.type_name(columns[position][1])}",
                    hint="Cast the column in a subquery, or pass the values with ROW(...).",
                )
            needed.append(None if values.direct(feature, base) else values.converter(feature))
        return needed if any(needed) else None

    def _compile(self) -> Any:
        wanted = set(self.positions)
        run: list[tuple[int, str, Callable[[bytes], Any]]] = []
        for position, (oid, base) in enumerate(zip(self.oids, self.bases, strict=True)):
            if base in values.FIXED:
                run.append((oid, values.FIXED[base], values.reader(base) or bytes))
            elif base in values.OPAQUE and position not in wanted:
                run.append((oid, f"{values.OPAQUE[base]}s", bytes))
            else:
                if run:
                    yield _run(run)
                    run = []
                yield Single(oid, values.reader(base) if position in wanted else None)
        if run:
            yield _run(run)

    def read(self, data: bytes) -> Sequence[Any]:
        """The features' values in order, None for NULL. Raises Stale and WrongType (MD203)."""
        row: list[Any] = []
        at = self.start
        for part in self.parts:
            if isinstance(part, Run):
                if at + part.size <= len(data) and (found := part.unpack_from(data, at))[::2] == part.headers:
                    row += found[1::2]
                    at += part.size
                else:
                    at = _walk(part, data, at, row)
            else:
                at = _take(part.oid, part.read, data, at, row)
        return self.choose(row)

    def choose(self, row: list[Any]) -> Sequence[Any]:
        """The features' values out of those of all columns. Raises WrongType (MD203)."""
        picked = self.pick(row)
        if self.converters is None:
            return picked
        return [
            value if convert is None or value is None else convert(value)
            for convert, value in zip(self.converters, picked, strict=True)
        ]


def _run(columns: list[tuple[int, str, Callable[[bytes], Any]]]) -> Run:
    layout = struct.Struct(">" + "".join("8s" + code for _, code, _ in columns))
    headers = tuple(HEADER.pack(oid, struct.calcsize(">" + code)) for oid, code, _ in columns)
    return Run(layout.unpack_from, layout.size, headers, tuple(read for _, _, read in columns))


def _walk(run: Run, data: bytes, at: int, row: list[Any]) -> int:
    """A run with a NULL in it, column by column."""
    for header, read in zip(run.headers, run.readers, strict=True):
        at = _take(int.from_bytes(header[:4], "big"), read, data, at, row)
    return at


def _take(oid: int, read: Callable[[bytes], Any] | None, data: bytes, at: int, row: list[Any]) -> int:
    header = data[at : at + 8]
    if len(header) < 8 or header[:4] != oid.to_bytes(4, "big"):
        raise Stale
    at += 8
    length = int.from_bytes(header[4:], "big", signed=True)
    if length < 0:
        row.append(None)
        return at
    row.append(None if read is None else read(data[at : at + length]))
    return at + length


def bind(features: Sequence[Feature], names: Sequence[str]) -> list[int]:
    """The position of each feature's column: by its name, else by its name in any case where that is unique.

    Raises MissingFeature (MD202).
    """
    exact = {name: position for position, name in enumerate(names)}
    folded: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        folded.setdefault(name.lower(), []).append(position)
    positions = []
    for feature in features:
        like = folded.get(feature.name.lower(), [])
        if feature.name not in exact and len(like) != 1:
            raise missing(feature, list(names))
        positions.append(exact.get(feature.name, like[0] if like else 0))
    return positions


def missing(feature: Feature, names: list[str]) -> MissingFeature:
    return MissingFeature(
        f"feature {feature.name!r} is not in the row",
        detail=f"The row has: {', '.join(names[:50])}{', ...' if len(names) > 50 else ''}.",
        hint=f'Select it AS "{feature.name}", or pass the values by position with ROW(...).',
    )


def columns_of(relation: int) -> list[tuple[str, int]]:
    """(name, type oid) of a row type's columns, dropped ones left out, as record_send() does."""
    query = """SELECT attname, atttypid::bigint AS type FROM pg_catalog.pg_attribute
               WHERE attrelid OPERATOR(pg_catalog.=) $1 AND attnum OPERATOR(pg_catalog.>) 0 AND NOT attisdropped
               ORDER BY attnum"""
    return [(row["attname"], row["type"]) for row in ask(query, ["oid"], [relation])]


def column_types(data: bytes, start: int = START) -> list[int]:
    """The types of the columns of a row that record_send() wrote."""
    found, at = [], start
    for _ in range(int.from_bytes(data[start - 4 : start], "big")):
        oid, length = HEADER.unpack_from(data, at)
        found.append(oid)
        at += 8 + max(length, 0)
    return found


def read_array(features: Sequence[Feature], data: bytes) -> Sequence[Any]:
    """The values of an array that array_send() wrote, by position.

    Raises WrongFeatureCount (MD201) and WrongType (MD203).
    """
    dimensions, _, element = struct.unpack_from(">iiI", data, 12)
    if not 0 <= dimensions <= MAX_DIMENSIONS:
        raise MalformedInput(f"an array of {dimensions} dimensions cannot be read")
    lengths = struct.unpack_from(">" + "i4x" * dimensions, data, 24)
    count = 0 if not lengths else 1
    for length in lengths:
        count *= length
    count_features(features, count)
    read = values.reader(values.base_type(element))
    if read is None:
        raise WrongType(f"an array of {values.type_name(element)} holds no features")
    at, found = 24 + 8 * dimensions, []
    for feature in features:
        (length,) = struct.unpack_from(">i", data, at)
        at += 4
        found.append(None if length < 0 else values.converter(feature)(read(data[at : at + length])))
        at += max(length, 0)
    return found


def count_features(features: Sequence[Feature], given: int) -> None:
    if given != len(features):
        raise WrongFeatureCount(
            f"the model takes {len(features)} features, {given} were given",
            hint=f"In order: {', '.join(f.name for f in features[:50])}{', ...' if len(features) > 50 else ''}.",
        )
