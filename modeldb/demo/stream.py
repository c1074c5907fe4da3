"""Payments that are inserted while one watches, and the worker that scores them: a thread and a process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple

import numpy as np
import psycopg
from psycopg.conninfo import make_conninfo

from modeldb.database import Database
from modeldb.demo.payments import make_payments
from modeldb.errors import InstallationError, RowRejected

INSERT = "INSERT INTO payments (customer, merchant, amount) VALUES (%s, %s, %s)"
SESSIONS = """
SELECT count(*) >= 2 FROM pg_stat_activity WHERE application_name = 'modeldb worker' AND datname = current_database()
"""
SECONDS_TO_START, SECONDS_TO_STOP = 30.0, 10.0


def target(db: Database) -> str:
    """How to connect to the database: a conninfo string, with the password."""
    with db.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        return make_conninfo(**driver.info.get_parameters(), password=driver.info.password or None)


class Stream:
    """Inserts a payment at a time, each in a transaction of its own, at a rate, in a thread, until it is stopped.

    inserted and rejected count them; a rejected one is one whose scorer raised RowRejected (MD604).
    """

    def __init__(self, conninfo: str, random: np.random.Generator, *, per_second: float) -> None:
        self.inserted = self.rejected = 0
        self._conninfo, self._random, self._per_second = conninfo, random, per_second
        self._stopping = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="payments", daemon=True)

    @contextmanager
    def running(self) -> Iterator[Stream]:
        """Insert during the block. Raises at its end what went wrong."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            self._thread.join()
        if self._failed is not None:
            raise self._failed

    def ended(self) -> bool:
        """Whether it inserts no more: it was stopped, or something went wrong."""
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            with psycopg.connect(self._conninfo, autocommit=True) as connection:
                self._insert_all(connection)
        except psycopg.Error as error:
            self._failed = error

    def _insert_all(self, connection: psycopg.Connection) -> None:
        """Keeps the rate on average: what is late is made up for."""
        began, done = time.monotonic(), 0
        while not self._stopping.is_set():
            for payment, _ in make_payments(self._random, 100):
                if self._stopping.wait(max(0.0, began + done / self._per_second - time.monotonic())):
                    return
                self._insert(connection, astuple(payment))
                done += 1

    def _insert(self, connection: psycopg.Connection, values: tuple[object, ...]) -> None:
        try:
            connection.execute(INSERT, values, prepare=True)
            self.inserted += 1
        except psycopg.Error as error:
            if error.sqlstate != RowRejected.sqlstate:
                raise
            self.rejected += 1


@contextmanager
def worker(conninfo: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process `modeldb worker`, connected, during the block. Raises InstallationError (MD900) if it ends before."""
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, "-m", "modeldb.cli", "worker"]
        process = subprocess.Popen(command, stderr=log, env=os.environ | {"MODELDB_URL": conninfo})
        try:
            _wait_until_connected(conninfo, process)
            yield process
        finally:
            ended = process.poll()
            _stop(process)
            if ended is not None:
                log.seek(0)
                said = log.read().decode(errors="replace")
                raise InstallationError("modeldb worker has ended by itself", detail=said)


def _wait_until_connected(conninfo: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the worker has both of its sessions, or has ended, at most for some seconds."""
    deadline = time.monotonic() + SECONDS_TO_START
    with psycopg.connect(conninfo, autocommit=True) as connection:
        while process.poll() is None and time.monotonic() < deadline:
            if connection.execute(SESSIONS).fetchone() == (True,):
                return
            time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
