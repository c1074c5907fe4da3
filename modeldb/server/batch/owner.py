"""Work as another role, which code that runs there cannot get out of.

This is what PostgreSQL does when a materialized view is refreshed or an index made of an expression: within such a
section SET ROLE and SET SESSION AUTHORIZATION are refused, so that functions in somebody's query have that somebody's
rights and never those of the superuser or the worker who happens to run it; and what they SET ends with it, so that
nobody's search_path is left to those who come after.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

from modeldb.errors import MissingPrivilege

_postgres = ctypes.PyDLL(None)
_LOCAL_USERID_CHANGE, _RESTRICTED_OPERATION = 1, 2  # miscadmin.h


@contextmanager
def acting_as(role: int, *, restricted: bool = True) -> Iterator[None]:
    """Let the block run with the rights of a role, given by oid.

    restricted: also refuse temporary tables and what else could outlive the block. REFRESH MATERIALIZED VIEW restricts
    the view's query by itself and needs a temporary table besides. An error restores the role too.
    """
    user, context = ctypes.c_uint(), ctypes.c_int()
    _postgres.GetUserIdAndSecContext(ctypes.byref(user), ctypes.byref(context))
    flags = _LOCAL_USERID_CHANGE | (_RESTRICTED_OPERATION if restricted else 0)
    settings = _postgres.NewGUCNestLevel()
    _postgres.SetUserIdAndSecContext(ctypes.c_uint(role), context.value | flags)
    try:
        yield
    finally:
        _postgres.AtEOXact_GUC(ctypes.c_bool(False), settings)  # what was SET since then is undone
        _postgres.SetUserIdAndSecContext(user, context.value)


def check_unrestricted() -> None:
    """Raise MissingPrivilege (MD907) to code within such a section of anybody's, PostgreSQL's own included.

    What asks for the rights of the role of the session would take it for the superuser who refreshes or analyzes.
    """
    user, context = ctypes.c_uint(), ctypes.c_int()
    _postgres.GetUserIdAndSecContext(ctypes.byref(user), ctypes.byref(context))
    if context.value & _RESTRICTED_OPERATION:
        raise MissingPrivilege(
            "this cannot be called within what PostgreSQL runs with another role's rights, such as the query of a view "
            "that is refreshed or a trigger of a table whose rows a worker scores",
            hint="Take the call out of the functions that are run there.",
        )
