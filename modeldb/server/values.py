"""PostgreSQL's binary values as Python's, and Python's as a feature's."""

from __future__ import annotations

import ctypes
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from modeldb.errors import MalformedInput, WrongType
from modeldb.server.backend import ask
from modeldb.signature import Feature

BOOL, TEXT, OID, JSON, FLOAT8, NUMERIC, RECORD, JSONB = 16, 25, 26, 114, 701, 1700, 2249, 3802

FIXED = {16: "?", 20: "q", 21: "h", 23: "i", 26: "I", 700: "f", 701: "d"}
"""struct codes of the number types, by oid."""

OPAQUE = {18: 1, 1082: 4, 1083: 8, 1114: 8, 1184: 8, 1186: 16, 1266: 12, 2950: 16, 790: 8}
"""Widths of types that are only stepped over: dates and times, uuid, money."""

_postgres = ctypes.PyDLL(None)
_postgres.pg_get_client_encoding_name.restype = ctypes.c_char_p
_postgres.GetDatabaseEncodingName.restype = ctypes.c_char_p
_CODECS = {
    "UTF8": "utf-8",
    "SQL_ASCII": "utf-8",
    "EUC_JP": "euc_jp",
    "EUC_KR": "euc_kr",
    "KOI8R": "koi8_r",
    "KOI8U": "koi8_u",
}


def text(data: bytes) -> str:
    """A text that PostgreSQL sent: in the client's encoding, as record_send() has it."""
    if data.isascii():
        return data.decode("ascii")
    name = _postgres.pg_get_client_encoding_name().decode()
    if name == "SQL_ASCII":  # no conversion took place
        name = _postgres.GetDatabaseEncodingName().decode()
    codec = _CODECS.get(name, name.replace("WIN", "cp").replace("LATIN", "latin"))
    try:
        return data.decode(codec, "surrogateescape")
    except LookupError:
        raise MalformedInput(
            f"texts in the client's encoding {name} cannot be read", hint="SET client_encoding = 'UTF8'"
        ) from None


def numeric(data: bytes) -> float:
    """The float64 nearest to a numeric: base-10000 digits after a header of four int16."""
    count, weight, sign, _ = struct.unpack_from(">hhHh", data)
    if sign in (0xC000, 0xD000, 0xF000):
        return {0xC000: float("nan"), 0xD000: float("inf"), 0xF000: float("-inf")}[sign]
    digits = 0
    for digit in struct.unpack_from(f">{count}h", data, 8):
        digits = digits * 10000 + digit
    value = Decimal(digits).scaleb(4 * (weight - count + 1))
    return float(-value if sign == 0x4000 else value)


def reader(oid: int) -> Callable[[bytes], Any] | None:
    """The function that reads a binary value of a type; None for types that no feature can have."""
    if oid in FIXED:
        unpack = struct.Struct(">" + FIXED[oid]).unpack
        return lambda data: unpack(data)[0]
    return _READERS.get(oid)


def _bpchar(data: bytes) -> str:
    return text(data).rstrip(" ")


_READERS: dict[int, Callable[[bytes], Any]] = {
    1700: numeric,
    19: text,
    25: text,
    1042: _bpchar,
    1043: text,
    705: text,
    2950: lambda data: str(uuid.UUID(bytes=data)),
}


@lru_cache(maxsize=1024)
def base_type(oid: int) -> int:
    """The type that a value is really of: a domain's base; text for enums and for text-like types of extensions."""
    if oid in FIXED or oid in _READERS or oid in OPAQUE:
        return oid
    query = """SELECT typtype, typcategory, typbasetype::bigint AS base FROM pg_catalog.pg_type
               WHERE oid OPERATOR(pg_catalog.=) $1"""
    found = ask(query, ["oid"], [oid])
    if found and found[0]["typtype"] == "d":
        return base_type(found[0]["base"])
    if found and (found[0]["typtype"] == "e" or found[0]["typcategory"] == "S"):
        return TEXT
    return oid


def is_number(oid: int) -> bool:
    """Whether a type is one of numbers, as a domain over one is; booleans count as such."""
    base = base_type(oid)
    return base in FIXED or base == NUMERIC


def type_name(oid: int) -> str:
    return str(ask("SELECT pg_catalog.format_type($1, NULL) AS name", ["oid"], [oid])[0]["name"])


def converter(feature: Feature) -> Callable[[Any], Any]:
    """The function that turns a value (never None) into the feature's, or raises WrongType (MD203)."""

    def wrong(value: Any, why: str = "") -> WrongType:
        given = f"{value!r:.60}"
        return WrongType(
            f"feature {feature.name!r} is {feature.type}, {given} is {why or 'not'}",
            hint="Cast the value to the feature's type; describe(model) lists the types.",
        )

    def to_float(value: Any) -> float:
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):  # as JSON has to write them
            return float(value)
        raise wrong(value)

    def to_int(value: Any) -> int:
        if isinstance(value, int) and -(2**63) <= value < 2**63:
            return int(value)
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
            return int(value)
        raise wrong(value, "not a whole number of 64 bits")

    def to_bool(value: Any) -> bool:
        if isinstance(value, bool) or value in (0, 1):
            return bool(value)
        raise wrong(value)

    def to_text(value: Any) -> str:
        if isinstance(value, str):
            return value
        raise wrong(value)

    return {"float8": to_float, "float4": to_float, "int8": to_int, "bool": to_bool, "text": to_text}[feature.type]


def direct(feature: Feature, oid: int) -> bool:
    """Whether a column of this (base) type can be bound to the feature without looking at each value."""
    return {
        "float8": oid in FIXED or oid == 1700,
        "float4": oid in FIXED or oid == 1700,
        "int8": oid in (BOOL, 20, 21, 23, 26),
        "bool": oid == BOOL,
        "text": oid in (19, 25, 705, 1042, 1043, 2950),
    }[feature.type]
