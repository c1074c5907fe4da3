"""One statement is scored by one version, and the next one by what was promoted meanwhile, however they are nested."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, answers
from support.scorers import attach

ENRICH = [None, "SELECT 1 AS one"]
IDS = ["plain", "enriched"]
PARTITIONED = """
    CREATE TABLE t (id int, a float8, b float8) PARTITION BY RANGE (id);
    CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (1000)"""
VERSIONS = "SELECT version FROM t ORDER BY id"
WRONG = "SELECT id FROM t WHERE score IS DISTINCT FROM predict('m/' || version, t)"
INNER = """
    CREATE FUNCTION work.inner_rows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.id < 100 THEN
            IF NEW.id = 2 THEN PERFORM modeldb.promote('m', 2); END IF;
            INSERT INTO work.{} VALUES (NEW.id + 100, NEW.a, NEW.b);
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER inner_rows BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION work.inner_rows()"""


@pytest.fixture(params=ENRICH, ids=IDS)
def enrich(request: pytest.FixtureRequest) -> str | None:
    """What the scorer is attached with."""
    return str(request.param) if request.param else None


@pytest.mark.parametrize("table", ["t", "t1"])
def test_a_procedure_that_fills_partitions(work: psycopg.Connection, enrich: str | None, table: str) -> None:
    """For an insert into a partition no trigger tells that the statement is over."""
    work.execute(PARTITIONED.encode())
    attach(work, "t", enrich=enrich, model_version="version")
    work.execute(
        f"""CREATE PROCEDURE work.fill() LANGUAGE plpgsql AS $$ BEGIN
            FOR i IN 1..4 LOOP
                INSERT INTO work.{table} VALUES (i, 1, 0); COMMIT;
                IF i = 2 THEN PERFORM modeldb.promote('m', 2); COMMIT; END IF;
            END LOOP;
        END $$""".encode()
    )
    work.execute("CALL work.fill()")
    assert answers(work, VERSIONS) == [1, 1, 2, 2]
    assert answers(work, WRONG) == []


@pytest.mark.parametrize("table", ["t", "t1"])
def test_a_statement_after_one_that_failed(work: psycopg.Connection, enrich: str | None, table: str) -> None:
    work.execute(f"{PARTITIONED}; ALTER TABLE t ADD CHECK (a > 0)".encode())
    attach(work, "t", enrich=enrich, model_version="version")
    work.execute(
        f"""DO $$ BEGIN
            BEGIN
                INSERT INTO work.{table} VALUES (1, 1, 0), (2, -1, 0);
            EXCEPTION WHEN check_violation THEN NULL;
            END;
            PERFORM modeldb.promote('m', 2);
            INSERT INTO work.{table} VALUES (3, 1, 0);
            PERFORM modeldb.promote('m', 1);
            INSERT INTO work.{table} VALUES (4, 1, 0), (5, 1, 0);
        END $$""".encode()
    )
    assert answers(work, VERSIONS) == [2, 1, 1]
    assert answers(work, WRONG) == []


@pytest.mark.parametrize("table", ["t", "t1"])
def test_a_trigger_that_inserts_into_the_same_table(work: psycopg.Connection, enrich: str | None, table: str) -> None:
    """The outer statement began before the promotion, which the inner ones see."""
    work.execute(PARTITIONED.encode())
    attach(work, "t", enrich=enrich, model_version="version")
    work.execute(INNER.format(table).encode())
    work.execute("INSERT INTO t SELECT g, g, 1 FROM generate_series(1, 4) AS g")
    assert answers(work, VERSIONS) == [1, 1, 1, 1, 1, 2, 2, 2]
    assert answers(work, WRONG) == []
    work.execute("INSERT INTO t VALUES (5, 1, 1)")
    assert answer(work, "SELECT version FROM t WHERE id = 5") == 2


@pytest.mark.parametrize("table", ["t", "t1"])
def test_a_query_whose_function_inserts_into_the_same_table(
    work: psycopg.Connection, enrich: str | None, table: str
) -> None:
    work.execute(PARTITIONED.encode())
    attach(work, "t", enrich=enrich, model_version="version")
    work.execute(
        f"""CREATE FUNCTION work.add(at int) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN
            IF at = 2 THEN PERFORM modeldb.promote('m', 2); END IF;
            INSERT INTO work.{table} VALUES (at + 100, at, 1);
            RETURN at;
        END $$""".encode()
    )
    work.execute("INSERT INTO t SELECT g, add(g), 1 FROM generate_series(1, 4) AS g")
    assert answers(work, VERSIONS) == [1, 1, 1, 1, 1, 2, 2, 2]
    assert answers(work, WRONG) == []


def test_a_statement_of_many_statements(work: psycopg.Connection, enrich: str | None) -> None:
    """What each of them means to the scorer is not kept for ever, and neither is it forgotten of the first."""
    work.execute(PARTITIONED.encode())
    attach(work, "t", enrich=enrich, model_version="version")
    work.execute("""
        CREATE FUNCTION work.add(at int) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN
            FOR i IN 1..1200 LOOP INSERT INTO work.t1 VALUES (at * 100, 1, 0); END LOOP;
            IF at = 2 THEN PERFORM modeldb.promote('m', 2); END IF;
            RETURN at;
        END $$""")
    work.execute("INSERT INTO t SELECT g, add(g), 1 FROM generate_series(1, 3) AS g")
    assert answers(work, "SELECT DISTINCT version FROM t WHERE id < 100") == [1]
    assert answers(work, WRONG) == []
