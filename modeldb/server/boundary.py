"""Where Python's errors become PostgreSQL's, and back."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, NoReturn

import plpy

from modeldb.errors import ModeldbError, by_sqlstate


def fail(error: ModeldbError, model: str | None = None) -> NoReturn:
    """Raise the error so that PostgreSQL reports its SQLSTATE, DETAIL and HINT.

    PL/Python copies them from any exception that derives from plpy.Error and puts the class's name before the message.
    """
    message = error.message if model is None else f"model {model!r}: {error.message}"
    kind = type(type(error).__name__, (plpy.Error,), {"__module__": "builtins"})
    report = kind(message)
    report.sqlstate, report.detail, report.hint = error.sqlstate, error.detail, error.hint
    raise report from None


def from_spi(error: Any) -> ModeldbError | None:
    """The modeldb error that SQL run through SPI raised, or None when it is PostgreSQL's own."""
    state, message, detail, hint = parts(error)
    kind = by_sqlstate(state)
    return None if kind is None else kind(message.removeprefix(f"{kind.__name__}: "), detail=detail, hint=hint)


def parts(error: Any) -> tuple[str | None, str, str | None, str | None]:
    """SQLSTATE, message, DETAIL and HINT of an error that SPI raised."""
    data: tuple[Any, ...] = getattr(error, "spidata", None) or ()
    _, detail, hint, *_ = (*data, None, None, None)
    return sqlstate(error), re.sub(r"^(?:spiexceptions\.\w+: )+", "", str(error)), detail, hint


def sqlstate(error: Any) -> str | None:
    """The SQLSTATE of an error that SPI raised: PostgreSQL packs six bits a character (MAKE_SQLSTATE in elog.h)."""
    code = (getattr(error, "spidata", None) or (None,))[0]
    if not isinstance(code, int):
        return None
    return "".join(chr((code >> 6 * i & 0x3F) + ord("0")) for i in range(5))


def guard(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function's errors leave as PostgreSQL's. Cancellation and everything foreign passes untouched."""

    @functools.wraps(function)
    def guarded(*args: Any) -> Any:
        try:
            return function(*args)
        except ModeldbError as error:
            fail(error)
        except plpy.SPIError as error:
            if (known := from_spi(error)) is None:
                raise
            fail(known)

    return guarded
