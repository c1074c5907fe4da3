"""The memory of a backend that scores whole tables does not depend on how many rows they have."""

from __future__ import annotations

import re
import threading

import psycopg
from support.answers import answer
from support.fixtures import Session
from support.registering import Register

FEW, MANY = 40_000, 200_000
SETUP = f"""
    CREATE TABLE many (id int PRIMARY KEY, a float8, b float8, note text);
    INSERT INTO many SELECT i, random(), random(), 'row ' || i FROM generate_series(1, {MANY}) i;
    CREATE TABLE few (id int PRIMARY KEY, a float8, b float8, note text);
    INSERT INTO few SELECT * FROM many WHERE id <= {FEW}; ANALYZE"""
SETTINGS = "SET work_mem = '1MB'; SET maintenance_work_mem = '1MB'"
"""What PostgreSQL may take for sorting and hashing, which few rows fill already."""
WAYS = {
    "first run": "SELECT create_predictions('of_{0}', 'm', '{0}', 'id', '{{note}}')",
    "concurrent refresh of every row": "SELECT refresh_predictions('of_{0}')",
    "first run in place": "SELECT create_predictions('kept_{0}', 'm', '{0}', 'id', '{{note}}', incremental => true)",
    "every row in place": "SELECT refresh_predictions('kept_{0}', full => true)",
    "predict_batch": "SELECT sum(prediction) FROM predict_batch('m', '{0}', 'id')",
}


class Peak:
    """The most private memory that a backend had during a block, in bytes, asked of the kernel through the server."""

    def __init__(self, watcher: psycopg.Connection, pid: int) -> None:
        self.watcher, self.query = watcher, f"SELECT pg_read_file('/proc/{pid}/status')"
        self.done, self.bytes = threading.Event(), 0
        self.thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self.done.wait(0.02):
            found = re.search(r"RssAnon:\s+(\d+) kB", answer(self.watcher, self.query))
            self.bytes = max(self.bytes, 1024 * int(found[1]) if found else 0)

    def __enter__(self) -> Peak:
        self.thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.done.set()
        self.thread.join()


def test_memory_does_not_grow_with_the_rows(sql: psycopg.Connection, register: Register, session: Session) -> None:
    for weight in (1.0, 2.0):
        register(weight)
    sql.execute(SETUP.encode())
    watcher, found = session(), {}
    for way, query in WAYS.items():
        if "concurrent" in way:
            sql.execute("SELECT promote('m', 2)")
        peaks = []
        for table in ("few", "many"):
            with session() as connection:
                connection.execute(SETTINGS)
                with Peak(watcher, connection.info.backend_pid) as peak:
                    connection.execute(query.format(table).encode())
            peaks.append(peak.bytes)
        found[way] = peaks
    grown = {way: peaks for way, peaks in found.items() if peaks[1] > 1.2 * peaks[0]}
    assert grown == {}
