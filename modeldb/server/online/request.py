"""What attach_scorer() is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from modeldb.errors import InvalidArgument
from modeldb.server.batch.scoring import ON_ERROR

MODES = ("sync", "async")
_NAME_LIMIT = 63  # bytes of a name in PostgreSQL


@dataclass(frozen=True)
class Request:
    """The arguments of attach_scorer()."""

    table: str
    model: str
    into: str
    mode: str
    label: str | None
    model_version: str | None
    scored_at: str | None
    columns: str
    where: str | None
    on_error: str
    reject_if: str | None
    enrich: str | None
    class_: str | None
    key: list[str] | None

    def check(self) -> None:
        """Raise InvalidArgument (MD108) for what is none of the values that there are."""
        needed = {"table": self.table, "model": self.model, "into": self.into, "columns": self.columns}
        if lacking := [what for what, value in needed.items() if value is None]:
            raise InvalidArgument(f"{' and '.join(lacking)} cannot be NULL")
        if self.mode not in MODES:
            raise InvalidArgument(f"mode is {self.mode!r}; it is 'sync' or 'async'")
        if self.on_error not in ON_ERROR:
            raise InvalidArgument(f"on_error is {self.on_error!r}; it is 'raise' or 'null'")
        for name in self.targets.values():
            if not 0 < len(name.encode()) <= _NAME_LIMIT:
                raise InvalidArgument(f"{name!r:.100} cannot be the name of a column: it has to have 1 to 63 bytes")
        if self.mode == "async" and self.reject_if is not None:
            raise InvalidArgument("reject_if is for mode => 'sync': an asynchronous scorer comes after the insert")
        if not isinstance(self.mapping, dict) or not all(isinstance(name, str) for name in self.mapping.values()):
            raise InvalidArgument('columns has to be a JSON object of the form {"feature": "column"}')

    @cached_property
    def mapping(self) -> dict[str, Any]:
        """columns, which comes as JSON: by feature, the column that it is read from."""
        found: dict[str, Any] = orjson.loads(self.columns)
        return found

    @property
    def targets(self) -> dict[str, str]:
        """The columns that are written, by what they are for."""
        error = f"{self.into}_error" if self.on_error == "null" else None
        named = {"into": self.into, "label": self.label, "model_version": self.model_version}
        named |= {"scored_at": self.scored_at, "error": error}
        return {what: name for what, name in named.items() if name is not None}
