"""Within one READ COMMITTED transaction, a statement sees what others committed before it began."""

from __future__ import annotations

import pytest
from support.answers import answer, refusal
from support.fixtures import Session
from support.models import Trained

import modeldb
from modeldb.errors import VersionRetired

ROW = "SELECT predict('m', p) FROM patients p WHERE row_id = 1"


@pytest.mark.parametrize("plan", ["force_generic_plan", "auto"])
@pytest.mark.parametrize("table", [True, False])
def test_promotion_is_seen_by_the_next_statement(
    two: modeldb.Database, session: Session, cancer: Trained, plan: str, table: bool
) -> None:
    reader = session()
    values = ", ".join(f"{value!r}::float8" for value in cancer.X.iloc[0].tolist())
    query = ROW if table else f"SELECT predict('m', ARRAY[{values}])"
    reader.execute(f"SET plan_cache_mode = {plan}".encode())
    reader.execute(f"PREPARE score AS {query}".encode())
    with reader.transaction():
        assert answer(reader, "EXECUTE score") == 0
        assert answer(reader, query) == 0
        for version, expected in [(2, 1), (1, 0), (2, 1)]:
            two.promote("m", version)
            assert answer(reader, "EXECUTE score") == expected
            assert answer(reader, query) == expected
            assert answer(reader, "SELECT version FROM aliases WHERE model = 'm'") == version


def test_all_functions_of_a_statement_agree_after_a_promotion(two: modeldb.Database, session: Session) -> None:
    reader = session()
    query = """SELECT bool_and(predict('m', p) = (predict_proba('m@champion', p, '1') > 0.5)::int
               AND predict_json('m', p) ->> 'version' = '2') FROM patients p"""
    with reader.transaction():
        assert answer(reader, ROW) == 0
        two.promote("m", 2)
        assert answer(reader, query) is True


def test_retirement_is_seen_by_the_next_statement(two: modeldb.Database, session: Session) -> None:
    reader = session()
    reader.execute("BEGIN")
    query = ROW.replace("'m'", "'m/2'")
    assert answer(reader, query) == 1
    two.retire("m", 2)
    refusal(reader, query, VersionRetired, "version 2", "'m'")
