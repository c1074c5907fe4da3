"""What runs inside PostgreSQL: the only code that imports plpy.

SQL reaches it through ``entry(name)``, which the PL/Python wrappers call once per backend and keep in SD.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import modeldb
from modeldb.errors import VersionsDiffer
from modeldb.server import boundary


def check_version(schema: str) -> None:
    """Raise VersionsDiffer (MD903) unless the schema was installed by this version of the package."""
    if modeldb.__version__ != schema:
        boundary.fail(
            VersionsDiffer(
                f"this session runs modeldb {modeldb.__version__}, the schema is of {schema}",
                hint="Reconnect; if it stays, run: modeldb install",
            )
        )


def entry(name: str) -> Callable[..., Any]:
    """The function behind a SQL function. Imports only what this one needs: a prediction does without onnx."""
    if name in ("gate", "replay"):
        from modeldb.server import gate

        return boundary.guard(getattr(gate, name))
    if name in ("load", "cache"):
        from modeldb.server import sessions

        return boundary.guard(getattr(sessions, name))
    if name == "predict_rows":
        from modeldb.server import rows

        return boundary.guard(rows.predict_rows)
    from modeldb.server import predict

    return predict.ENTRIES[name]
