"""Every case, predicted in the database row by row and in a batch, agrees with scikit-learn on its 2,000 rows."""

from __future__ import annotations

import psycopg
import pytest
from support.tables import write_table

import modeldb
from parity.batching import check_batch
from parity.cases import CASES, Case
from parity.comparing import as_frame, check, registered
from parity.data import ROWS


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_sql_agrees_with_scikit_learn(case: Case, module_db: modeldb.Database, reader: psycopg.Connection) -> None:
    version, estimator, X = registered(module_db, case)
    frame = as_frame(X, version.signature.names)
    assert len(frame) == ROWS
    write_table(module_db, case.id, frame)
    check(case, version, estimator, X, reader, case.id)
    check_batch(version.signature, reader, case.id, case.id)


def test_there_are_enough_cases_and_each_has_its_name() -> None:
    assert len(CASES) >= 60
    assert len({case.id for case in CASES}) == len(CASES)
