"""The backend as a process: its threads and its memory."""

from __future__ import annotations

from support.answers import answer
from support.fixtures import Session
from support.models import Trained

import modeldb

BLOCKED = """
DO $do$ BEGIN
    CREATE FUNCTION pg_temp.blocked() RETURNS text LANGUAGE plpython3u AS $$
import os
found = []
for task in os.listdir("/proc/self/task"):
    lines = dict(line.split(":", 1) for line in open(f"/proc/self/task/{task}/status"))
    if int(task) != os.getpid() and not int(lines["SigBlk"], 16) >> 9 & 1:
        found.append(lines["Name"].strip())
return ",".join(found)
$$;
END $do$
"""


def test_no_thread_but_the_main_one_takes_signals(db: modeldb.Database, session: Session, diabetes: Trained) -> None:
    db.register("d", diabetes.estimator, sample=diabetes.X)
    connection = session()
    assert answer(connection, "SELECT predict('d', ARRAY[50, 1, 25, 90, 180, 100, 50, 4, 4.5, 90]) > 0") is True
    connection.execute(BLOCKED)
    assert answer(connection, "SELECT pg_temp.blocked()") == ""


def test_temporary_tables_leave_nothing_behind(db: modeldb.Database, session: Session, diabetes: Trained) -> None:
    db.register("d", diabetes.estimator, sample=diabetes.X)
    connection = session()
    names = ", ".join(f'1.0 AS "{name}"' for name in diabetes.X.columns)

    def rounds(count: int) -> int:
        for _ in range(count):
            connection.execute(f"CREATE TEMPORARY TABLE t AS SELECT {names}".encode())
            connection.execute("SELECT predict('d', t) FROM t")
            connection.execute("DROP TABLE t")
        memory = answer(connection, "SELECT pg_read_file('/proc/self/status')")
        return int(memory.split("RssAnon:")[1].split()[0])

    before = rounds(100)
    assert rounds(200) - before < 200 * 40, "more than 40 kB stay per table, most of which are PostgreSQL's own"
