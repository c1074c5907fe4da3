"""What db.register() refuses: the same errors as the gate in the server, whichever side finds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper
from sqlalchemy import text
from support.onnx_models import UNSAFE, linear, serialize

import modeldb
from modeldb.errors import (
    ArtifactTooLarge,
    InvalidArtifact,
    InvalidName,
    LoadFailed,
    ModeldbError,
    SignatureMismatch,
    UnsafeArtifact,
)


@pytest.mark.parametrize("make", UNSAFE.values(), ids=UNSAFE.keys())
def test_an_unsafe_artifact_from_python(module_db: modeldb.Database, make: Any) -> None:
    with pytest.raises(UnsafeArtifact) as caught:
        module_db.register("m", make(), sample=np.ones((5, 2)))
    assert "HINT: " in str(caught.value)
    assert module_db.models() == []


REFUSED_IN_PYTHON: list[tuple[str, str, Any, dict[str, Any], type[ModeldbError]]] = [
    ("a name", "no name", linear(1.0, 2.0), {}, InvalidName),
    ("an empty name", "", linear(1.0, 2.0), {}, InvalidName),
    ("an alias", "m@champion", linear(1.0, 2.0), {}, InvalidName),
    ("no model", "m", b"not onnx", {}, InvalidArtifact),
    ("the wrong width", "m", linear(1.0, 2.0, 3.0), {}, SignatureMismatch),
    ("an unknown task", "m", linear(1.0, 2.0), {"task": "guessing"}, SignatureMismatch),
    ("an unknown operator", "m", serialize([helper.make_node("NoSuch", ["X"], ["Y"])]), {}, LoadFailed),
    ("too many bytes", "m", linear(1.0, 2.0), {"limit": 50}, ArtifactTooLarge),
]


@pytest.mark.parametrize(
    ("name", "model", "options", "kind"), [r[1:] for r in REFUSED_IN_PYTHON], ids=[r[0] for r in REFUSED_IN_PYTHON]
)
def test_what_python_registers_is_refused_by_the_same_errors(
    module_db: modeldb.Database, name: str, model: Any, options: dict[str, Any], kind: type[ModeldbError]
) -> None:
    with module_db.engine.connect() as connection:
        limit = options.get("limit", 10_000)
        connection.execute(text("UPDATE modeldb.settings SET max_artifact_bytes = :limit"), {"limit": limit})
        with pytest.raises(kind) as caught:
            modeldb.connect(connection).register(name, model, sample=np.ones((5, 2)), task=options.get("task"))
        connection.rollback()
    assert type(caught.value) is kind
    assert "HINT: " in str(caught.value)
    assert module_db.models() == []
