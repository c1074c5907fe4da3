"""Machine-learning models as data inside PostgreSQL.

``modeldb.connect(url)`` gives the registry and the predictions of a database; ``modeldb.local()`` is a private server.
``modeldb.predict`` and its kin are the SQL functions for SQLAlchemy's ``select()``.

Names are imported when they are first used: the server imports this package too, and must not load a client there.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from modeldb.cluster import Cluster, local
    from modeldb.database import Database, connect
    from modeldb.errors import ModeldbError
    from modeldb.functions import predict, predict_json, predict_label, predict_proba
    from modeldb.registry import ModelVersion
    from modeldb.signature import Signature

_HOMES = {
    "Cluster": "cluster",
    "Database": "database",
    "ModelVersion": "registry",
    "ModeldbError": "errors",
    "Signature": "signature",
    "connect": "database",
    "local": "cluster",
    "predict": "functions",
    "predict_json": "functions",
    "predict_label": "functions",
    "predict_proba": "functions",
}

__all__ = [
    "Cluster",
    "Database",
    "ModelVersion",
    "ModeldbError",
    "Signature",
    "connect",
    "local",
    "predict",
    "predict_json",
    "predict_label",
    "predict_proba",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'modeldb' has no attribute {name!r}")
    return getattr(importlib.import_module(f"modeldb.{_HOMES[name]}"), name)
