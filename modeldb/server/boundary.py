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
    _raise(type(error).__name__, error.sqlstate, message, error.detail, error.hint)


def _raise(name: str, state: str | None, message: str, detail: str | None, hint: str | None) -> NoReturn:
    report = type(name, (plpy.Error,), {"__module__": "builtins"})(message)
    report.sqlstate, report.detail, report.hint = state, detail, hint
    raise report from None


def from_spi(error: Any) -> ModeldbError | None:
    """The modeldb error that SQL run through SPI raised, or None when it is PostgreSQL's own."""
    state, message, detail, hint = parts(error)
    kind = by_sqlstate(state)
    return None if kind is None else kind(message.removeprefix(f"{kind.__name__}: "), detail=detail, hint=hint)


def parts(error: Any) -> tuple[str | None, str, str | None, str | None]:
    """SQLSTATE, message, DETAIL and HINT of an error that SPI raised, less the class's name before the message."""
    data: tuple[Any, ...] = getattr(error, "spidata", None) or ()
    _, detail, hint, *_ = (*data, None, None, None)
    prefix = rf"(?:(?:spiexceptions\.)?{type(error).__name__}: )+"
    return sqlstate(error), re.sub(f"^{prefix}", "", str(error)), detail, hint


def sqlstate(error: Any) -> str | None:
    """The SQLSTATE of an error that SPI raised: PostgreSQL packs six bits a character (MAKE_SQLSTATE in elog.h)."""
    code = (getattr(error, "spidata", None) or (None,))[0]
    if not isinstance(code, int):
        return None
    return "".join(chr((code >> 6 * i & 0x3F) + ord("0")) for i in range(5))


def pass_on(error: Any) -> NoReturn:
    """Raise what SPI raised, be it modeldb's own, a cancellation, or an error in somebody's query."""
    if known := from_spi(error):
        fail(known)
    _raise(type(error).__name__, *parts(error))


def guard(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function's errors leave as PostgreSQL's."""

    @functools.wraps(function)
    def guarded(*args: Any) -> Any:
        try:
            return function(*args)
        except ModeldbError as error:
            fail(error)
        except plpy.SPIError as error:
            pass_on(error)

    return guarded
