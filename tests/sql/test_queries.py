"""predict() wherever SQL takes an expression."""

from __future__ import annotations

import numpy as np
import psycopg
import pytest
from support.answers import answer, answers
from support.flowers import Garden

WIDTH = "predict('width', f)"
SPECIES = "predict_label('species', f)"


@pytest.fixture(scope="module", autouse=True)
def _flowers(garden: Garden) -> None:
    """The module's models."""


def widths(garden: Garden) -> np.ndarray:
    return np.asarray(garden.width.estimator.predict(garden.width.X))


def test_where(garden: Garden, reader: psycopg.Connection) -> None:
    expected = int((widths(garden) > 1.5).sum())
    assert answer(reader, f"SELECT count(*) FROM flowers f WHERE {WIDTH} > 1.5") == expected


def test_order_by_and_limit(garden: Garden, reader: psycopg.Connection) -> None:
    found = answers(reader, f"SELECT row_id FROM flowers f ORDER BY {WIDTH} DESC, row_id LIMIT 5")
    assert found == (np.argsort(-widths(garden), kind="stable")[:5] + 1).tolist()


def test_group_by_a_prediction(garden: Garden, reader: psycopg.Connection) -> None:
    rows = reader.execute(f"SELECT {SPECIES}, count(*) FROM flowers f GROUP BY 1 ORDER BY 1".encode()).fetchall()
    labels, counts = np.unique(garden.species.estimator.predict(garden.X), return_counts=True)
    assert rows == list(zip(labels.tolist(), counts.tolist(), strict=True))


def test_having_and_aggregate_filter(garden: Garden, reader: psycopg.Connection) -> None:
    query = f"""SELECT count(*) FILTER (WHERE {WIDTH} > 1), max({WIDTH}), avg({WIDTH}) FROM flowers f
                HAVING sum({WIDTH}) > 0"""
    [(above, highest, mean)] = reader.execute(query.encode()).fetchall()
    found = widths(garden)
    assert above == (found > 1).sum()
    np.testing.assert_allclose([highest, mean], [found.max(), found.mean()], rtol=1e-12)


def test_window(garden: Garden, reader: psycopg.Connection) -> None:
    found = answers(reader, f"SELECT sum({WIDTH}) OVER (ORDER BY row_id) FROM flowers f ORDER BY row_id")
    np.testing.assert_allclose(found, np.cumsum(widths(garden)), rtol=1e-9)


def test_lateral_and_a_correlated_subquery(garden: Garden, reader: psycopg.Connection) -> None:
    lateral = f"SELECT p.width FROM flowers f, LATERAL (SELECT {WIDTH} AS width) p ORDER BY f.row_id"
    inner = "SELECT predict('width', f) FROM flowers f WHERE f.row_id = o.row_id"
    correlated = f"SELECT ({inner}) FROM flowers o ORDER BY row_id"
    for query in (lateral, correlated):
        np.testing.assert_allclose(answers(reader, query), widths(garden), rtol=1e-12)


def test_a_join_has_a_null_row_where_nothing_matches(garden: Garden, reader: psycopg.Connection) -> None:
    query = """SELECT predict('width', f), predict_label('species', f), predict_proba('species', f),
                      predict_proba('species', f, 'setosa'), predict_json('species', f)
               FROM generate_series(150, 151) AS i LEFT JOIN flowers f ON f.row_id = i ORDER BY i"""
    matched, unmatched = reader.execute(query.encode()).fetchall()
    assert None not in matched
    assert unmatched == (None,) * 5


def test_insert_update_and_delete(garden: Garden, scratch: psycopg.Connection) -> None:
    scratch.execute(f"CREATE TEMP TABLE scored AS SELECT f.*, {WIDTH} AS guess FROM flowers f WHERE false".encode())
    scratch.execute(f"INSERT INTO scored SELECT f.*, {WIDTH} FROM flowers f".encode())
    np.testing.assert_allclose(answers(scratch, "SELECT guess FROM scored ORDER BY row_id"), widths(garden))
    scratch.execute(b"UPDATE scored f SET guess = 2 * predict('width', f)")
    np.testing.assert_allclose(answers(scratch, "SELECT guess FROM scored ORDER BY row_id"), 2 * widths(garden))
    left = answers(scratch, f"DELETE FROM scored f WHERE {WIDTH} > 1 RETURNING row_id")
    assert len(left) == (widths(garden) > 1).sum()


ROUTINES = [
    ("SQL function", "LANGUAGE sql STABLE AS $$ SELECT predict('width', f) $$"),
    ("SQL function, not inlined", "LANGUAGE sql VOLATILE AS $$ SELECT 1; SELECT predict('width', f) $$"),
    ("SQL function with a parsed body", "LANGUAGE sql STABLE RETURN predict('width', f)"),
    ("PL/pgSQL expression", "LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN predict('width', f); END $$"),
    ("PL/pgSQL query", "LANGUAGE plpgsql AS $$ DECLARE w float8; BEGIN SELECT predict('width', f) INTO w; RETURN w;"
                       " END $$"),
    ("PL/pgSQL dynamic", "LANGUAGE plpgsql AS $$ DECLARE w float8; BEGIN EXECUTE 'SELECT predict(''width'', $1)' INTO w"
                         " USING f; RETURN w; END $$"),
    ("PL/pgSQL record", "LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN SELECT f.petal_length, f.sepal_width,"
                        " f.sepal_length INTO r; RETURN predict('width', r); END $$"),
    ("PL/Python", "LANGUAGE plpython3u AS $$ values = [f['sepal_length'], f['sepal_width'], f['petal_length']]; "
                  "return plpy.prepare('SELECT predict($1, $2) AS w', ['text', 'float8[]']).execute(['width', values])"
                  "[0]['w'] $$"),
]  # fmt: skip


@pytest.mark.parametrize("definition", [d for _, d in ROUTINES], ids=[name for name, _ in ROUTINES])
def test_within_a_function(garden: Garden, scratch: psycopg.Connection, definition: str) -> None:
    scratch.execute(f"CREATE FUNCTION guess(f flowers) RETURNS float8 {definition}".encode())
    found = answers(scratch, "SELECT guess(f) FROM flowers f ORDER BY row_id")
    np.testing.assert_allclose(found, widths(garden), rtol=1e-12)


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_prepared_statements(garden: Garden, scratch: psycopg.Connection, mode: str) -> None:
    scratch.execute(f"SET LOCAL plan_cache_mode = {mode}".encode())
    scratch.execute(b"PREPARE guess (text, bigint) AS SELECT predict($1, f) FROM flowers f WHERE row_id = $2")
    for row in (1, 2, 150):
        assert answer(scratch, f"EXECUTE guess('width', {row})") == pytest.approx(widths(garden)[row - 1], rel=1e-12)
    scratch.execute(b"DEALLOCATE guess")


def test_a_trigger_that_scores_each_new_row(garden: Garden, scratch: psycopg.Connection) -> None:
    scratch.execute(
        b"""CREATE TABLE arrivals (LIKE flowers, guess float8);
        CREATE FUNCTION score() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN NEW.guess := predict('width', NEW); RETURN NEW; END $$;
        CREATE TRIGGER score BEFORE INSERT OR UPDATE ON arrivals FOR EACH ROW EXECUTE FUNCTION score();
        INSERT INTO arrivals SELECT * FROM flowers"""
    )
    np.testing.assert_allclose(answers(scratch, "SELECT guess FROM arrivals ORDER BY row_id"), widths(garden))
    changed = answer(scratch, "UPDATE arrivals SET sepal_length = 5 WHERE row_id = 1 RETURNING guess")
    assert changed == pytest.approx(answer(scratch, "SELECT predict('width', a) FROM arrivals a WHERE row_id = 1"))


def test_copy_out(garden: Garden, reader: psycopg.Connection) -> None:
    query = f"COPY (SELECT {WIDTH} FROM flowers f ORDER BY row_id) TO STDOUT"
    with reader.cursor().copy(query.encode()) as copy:
        found = [float(row[0]) for row in copy.rows()]
    np.testing.assert_allclose(found, widths(garden), rtol=1e-12)


def test_a_row_security_policy(garden: Garden, scratch: psycopg.Connection) -> None:
    scratch.execute(
        b"""CREATE TABLE guarded AS SELECT * FROM flowers;
        ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
        CREATE POLICY wide ON guarded USING (predict('width', guarded) > 1);
        GRANT SELECT ON guarded TO modeldb_user; SET LOCAL ROLE modeldb_user"""
    )
    assert answer(scratch, "SELECT count(*) FROM guarded") == (widths(garden) > 1).sum()


def test_inherited_tables_with_their_columns_in_another_order(garden: Garden, scratch: psycopg.Connection) -> None:
    scratch.execute(
        b"""CREATE TABLE parent (row_id bigint, petal_length float8, sepal_length float8, sepal_width float8);
        CREATE TABLE child (more text, sepal_width float8, sepal_length float8, petal_length float8, row_id bigint);
        ALTER TABLE child INHERIT parent;
        INSERT INTO parent SELECT row_id, petal_length, sepal_length, sepal_width FROM flowers WHERE row_id <= 75;
        INSERT INTO child SELECT 'x', sepal_width, sepal_length, petal_length, row_id FROM flowers WHERE row_id > 75"""
    )
    found = answers(scratch, "SELECT predict('width', p) FROM parent p ORDER BY row_id")
    np.testing.assert_allclose(found, widths(garden), rtol=1e-12)


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW", "TABLE"])
def test_views_of_predictions(garden: Garden, scratch: psycopg.Connection, kind: str) -> None:
    scratch.execute(f"CREATE {kind} guesses AS SELECT row_id, {WIDTH} AS width FROM flowers f".encode())
    np.testing.assert_allclose(answers(scratch, "SELECT width FROM guesses ORDER BY row_id"), widths(garden))


def test_a_cursor(garden: Garden, scratch: psycopg.Connection) -> None:
    scratch.execute(f"DECLARE walk CURSOR FOR SELECT {WIDTH} FROM flowers f ORDER BY row_id".encode())
    found = [answer(scratch, "FETCH walk") for _ in range(150)]
    np.testing.assert_allclose(found, widths(garden), rtol=1e-12)


def test_a_model_by_column(garden: Garden, reader: psycopg.Connection) -> None:
    query = """SELECT predict_label(m, f) FROM flowers f, unnest(ARRAY['species', 'width', 'species/1']) AS m
               WHERE row_id = 150 ORDER BY m"""
    species = garden.species.estimator.predict(garden.X)[149]
    first, second, third = answers(reader, query)
    assert (first, second) == (species, species)
    assert float(third) == pytest.approx(widths(garden)[149])


@pytest.mark.parametrize(
    "row",
    [
        "ROW(f.sepal_length + 0 * random(), f.sepal_width, f.petal_length)",
        "ROW((SELECT max(sepal_length) FROM flowers g WHERE g.row_id = f.row_id), f.sepal_width, f.petal_length)",
        "ARRAY[f.sepal_length + 0 * random(), f.sepal_width, f.petal_length]",
        "(SELECT g FROM flowers g WHERE g.row_id = f.row_id + floor(random())::int)",
        "json_build_array(f.sepal_length, (SELECT f.sepal_width + 0 * random()), f.petal_length)::text",
    ],
)
def test_a_row_that_prevents_inlining(garden: Garden, reader: psycopg.Connection, row: str) -> None:
    found = answers(reader, f"SELECT predict('width', {row}) FROM flowers f ORDER BY row_id")
    np.testing.assert_allclose(found, widths(garden), rtol=1e-12)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX ON flowers (predict('width', flowers))",
        "CREATE INDEX ON flowers (predict('width', ARRAY[sepal_length, sepal_width, petal_length]))",
        "CREATE INDEX ON flowers (row_id) WHERE predict('width', ARRAY[sepal_length, sepal_width, petal_length]) > 1",
        "ALTER TABLE flowers ADD w float8 GENERATED ALWAYS AS (predict('width', ARRAY[sepal_length, 1, 1])) STORED",
    ],
)
def test_an_index_or_generated_column_is_refused_since_a_promotion_would_break_it(
    scratch: psycopg.Connection, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InvalidObjectDefinition):
        scratch.execute(statement.encode())


@pytest.mark.parametrize(
    "call", ["predict({}, f)", "predict_label({}, f)", "predict_proba({}, f)", "predict_json({}, f)"]
)
@pytest.mark.parametrize("null", ["NULL", "NULL::text"])
def test_a_null_model_gives_null(reader: psycopg.Connection, call: str, null: str) -> None:
    assert answer(reader, f"SELECT {call.format(null)} FROM flowers f LIMIT 1") is None


NULL_ROWS = [
    "NULL::flowers",
    "NULL::jsonb",
    "NULL::json",
    "NULL::text",
    "NULL",
    "NULL::float8[]",
    "'null'",
    "'null'::jsonb",
]


@pytest.mark.parametrize("row", NULL_ROWS)
@pytest.mark.parametrize(
    "call",
    ["predict('width', {})", "predict_label('species', {})", "predict_proba('species', {})",
     "predict_proba('species', {}, 'setosa')", "predict_json('species', {})"],
)  # fmt: skip
def test_a_null_row_gives_null(reader: psycopg.Connection, call: str, row: str) -> None:
    assert answer(reader, f"SELECT {call.format(row)}") is None


def test_the_probability_of_a_null_class_is_null(reader: psycopg.Connection) -> None:
    assert answer(reader, "SELECT predict_proba('species', f, NULL) FROM flowers f LIMIT 1") is None
