"""What a database's catalog says of the schema modeldb, to be compared."""

from __future__ import annotations

import psycopg

QUERIES = {
    "columns": """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage::text,
                         pg_get_expr(d.adbin, d.adrelid)
                  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                  WHERE c.relnamespace = 'modeldb'::regnamespace AND c.relkind IN ('r', 'v', 'S') AND a.attnum > 0
                    AND NOT a.attisdropped""",
    "constraints": """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
                      WHERE connamespace = 'modeldb'::regnamespace""",
    "indexes": "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'modeldb'",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'modeldb'",
    "functions": """SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc
                    WHERE pronamespace = 'modeldb'::regnamespace AND proname <> '_epoch'""",
    "relations' privileges": """SELECT relname, relowner::regrole::text, relacl::text FROM pg_class
                                WHERE relnamespace = 'modeldb'::regnamespace AND relkind IN ('r', 'v', 'S')""",
    "functions' privileges": """SELECT oid::regprocedure::text, proowner::regrole::text, proacl::text FROM pg_proc
                                WHERE pronamespace = 'modeldb'::regnamespace""",
    "schema": "SELECT nspowner::regrole::text, nspacl::text FROM pg_namespace WHERE nspname = 'modeldb'",
    "comments": """SELECT pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description
                   FROM pg_description d JOIN pg_depend n ON n.classid = d.classoid AND n.objid = d.objoid
                   WHERE n.refobjid = 'modeldb'::regnamespace""",
}


def snapshot(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Every part of the schema modeldb, in words that do not depend on oids or on the order of creation."""
    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog")  # names come out qualified
        return {
            part: sorted({repr(row) for row in connection.execute(query.encode()).fetchall()})
            for part, query in QUERIES.items()
        }
