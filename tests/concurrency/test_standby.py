"""A hot standby predicts, and follows a promotion with the WAL."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from support.models import Trained
from support.tables import write_table

from modeldb.cluster import Cluster
from modeldb.programs import Account, Programs


@contextmanager
def standby_of(primary: Cluster) -> Iterator[str]:
    """The URL of a streaming standby, in a folder below the primary's."""
    programs, account = Programs.find(), Account.current()
    folder = primary.folder / "standby"
    socket = Path(tempfile.mkdtemp(prefix="modeldb-s-"))
    socket.chmod(0o777)

    def run(*command: str | Path) -> None:
        done = account.run(command)
        assert done.returncode == 0, done.stdout + done.stderr

    account.run(["tee", "-a", primary.data_dir / "pg_hba.conf"], stdin="local replication all trust\n")
    with psycopg.connect(primary.url()) as connection:
        connection.execute("SELECT pg_reload_conf()")
    run(programs / "pg_basebackup", "-D", folder, "-R", "-X", "stream", "-c", "fast", "-d", primary.url("postgres"))
    run(
        programs / "pg_ctl",
        "-D",
        folder,
        "-w",
        "-l",
        folder / "log",
        "-o",
        f"-c unix_socket_directories={socket}",
        "start",
    )
    try:
        yield f"postgresql://postgres@/modeldb?host={socket}&port=5432"
    finally:
        run(programs / "pg_ctl", "-D", folder, "-w", "-m", "immediate", "stop")
        socket.rmdir()


def replayed(primary: psycopg.Connection, standby: psycopg.Connection) -> None:
    """Wait until the standby has replayed what the primary has written."""
    row = primary.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    deadline = time.monotonic() + 30
    while standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [row[0]]).fetchone() != (True,):
        assert time.monotonic() < deadline, "the standby does not follow"
        time.sleep(0.01)


def test_standby_predicts_and_follows_promotions(cancer: Trained, cancer2: Trained) -> None:
    with Cluster.temporary() as primary:
        db = primary.connect()
        db.install()
        db.register("m", cancer.estimator, sample=cancer.X)
        db.register("m", cancer2.estimator, sample=cancer2.X)
        write_table(db, "patients", cancer.X)
        expected = {1: cancer.estimator.predict(cancer.X)[0], 2: cancer2.estimator.predict(cancer.X)[0]}
        with (
            standby_of(primary) as url,
            psycopg.connect(url, autocommit=True) as reader,
            psycopg.connect(primary.url(), autocommit=True) as writer,
        ):
            reader.execute("PREPARE score AS SELECT predict('m', p) FROM patients p WHERE row_id = 1")
            for version in (1, 2, 1, 2):
                db.promote("m", version)
                replayed(writer, reader)
                assert [reader.execute("EXECUTE score").fetchone() for _ in range(7)] == [(expected[version],)] * 7
            assert db.rollback("m") == 1
            replayed(writer, reader)
            assert reader.execute("EXECUTE score").fetchone() == (expected[1],)
            assert reader.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        db.engine.dispose()
