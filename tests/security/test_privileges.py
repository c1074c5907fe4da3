"""Every privilege that modeldb grants, against a list that a person has read."""

from __future__ import annotations

from pathlib import Path

import modeldb

GOLDEN = Path(__file__).with_name("privileges.txt")
QUERY = """
SELECT grantee || ' ' || string_agg(privilege, ',' ORDER BY privilege) || ' on ' || name AS line FROM (
    SELECT a.grantee::regrole::text AS grantee, a.privilege_type AS privilege,
        'function ' || p.oid::regprocedure AS name
    FROM pg_proc p, aclexplode(p.proacl) a WHERE p.pronamespace = 'modeldb'::regnamespace
    UNION ALL
    SELECT a.grantee::regrole::text, a.privilege_type, 'relation ' || c.relname
    FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'modeldb'::regnamespace
    UNION ALL
    SELECT a.grantee::regrole::text, a.privilege_type, 'schema ' || n.nspname
    FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname IN ('modeldb', 'modeldb_scorers')
) AS grants
WHERE grantee <> 'modeldb_owner'
GROUP BY grantee, name ORDER BY grantee, name
"""


def test_privileges_are_the_listed_ones(module_db: modeldb.Database) -> None:
    with module_db.transaction() as connection:
        connection.exec_driver_sql("SET LOCAL search_path = pg_catalog")
        found = "".join(row[0] + "\n" for row in connection.exec_driver_sql(QUERY))
    assert found == GOLDEN.read_text(), f"if every change is meant, write this to {GOLDEN.name}:\n{found}"
