"""A private PostgreSQL: a server of one's own, with PL/Python, that nobody else can reach.

It runs as the OS user postgres when root starts it and as the caller otherwise, listens on a socket in a folder of mode
0700 and on no TCP port, and keeps everything below one folder. Other PostgreSQL servers on the machine are not touched.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from modeldb.errors import ClusterError
from modeldb.folders import check_private, disk_bytes, locked, make_folder
from modeldb.postmaster import accepts_connections, end_processes, find_processes, postmaster_pid
from modeldb.programs import Account, Programs

if TYPE_CHECKING:
    from modeldb.database import Database

DATABASE = "modeldb"
SUPERUSER = "postgres"
PORT = 5432  # names the socket file; nothing listens on TCP
SOCKET = f".s.PGSQL.{PORT}"
SOCKET_PATH_LIMIT = 107  # bytes in sockaddr_un.sun_path, less the final NUL
START_SECONDS = 300  # recovery after a crash may take long
STOP_SECONDS = 20
LOG_LIMIT = 10 * 2**20

SETTINGS = """\
# Written by modeldb at every start. For settings of your own use ALTER SYSTEM, which overrides this file.
listen_addresses = ''
port = {port}
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
cluster_name = 'modeldb {name}'
log_line_prefix = '%m [%p] %q%u@%d '
"""
CRON = """\
shared_preload_libraries = 'pg_cron'
cron.database_name = '{database}'
cron.use_background_workers = on
"""
NOT_DURABLE = """\
fsync = off
full_page_writes = off
"""
# Who gets past the folder's permissions is the owner of the cluster or root.
HBA = "local all all trust\n"


def default_home() -> Path:
    """The folder of clusters and environments: MODELDB_HOME, or /var/lib/modeldb for root, or one in the home."""
    if home := os.environ.get("MODELDB_HOME"):
        return Path(home).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/modeldb")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "modeldb"


def local(home: Path | str | None = None) -> Cluster:
    """The private cluster below home, which is MODELDB_HOME when not given; connect() on it starts it."""
    return Cluster(home)


@dataclass(frozen=True)
class ClusterStatus:
    """What there is of a private cluster. pid and server_version are None when not running or not installed."""

    running: bool
    pid: int | None
    data_dir: Path
    socket_dir: Path
    server_version: str | None
    url: str
    disk_bytes: int


class Cluster:
    """A private PostgreSQL below home, which is MODELDB_HOME when not given.

    durable=False is for throw-away data: faster, and lost when the machine crashes. Every method raises ClusterError
    (MD905) when it cannot do its work.
    """

    def __init__(self, home: Path | str | None = None, *, name: str = "main", durable: bool = True) -> None:
        self.home = Path(home).absolute() if home is not None else default_home()
        self.name = name
        self.durable = durable
        self.folder = self.home / "cluster" / name
        self.data_dir = self.folder / "data"
        self.log_file = self.folder / "postgres.log"

    @classmethod
    @contextmanager
    def temporary(cls) -> Iterator[Cluster]:
        """A running throw-away cluster in a folder of its own, deleted at the end, also when this process is killed."""
        home = Path(tempfile.mkdtemp(prefix="modeldb-"))
        if os.geteuid() == 0:
            home.chmod(0o755)  # the server's user has to get through
        cluster = cls(home, name="temporary", durable=False)
        with _deleted_at_the_end(cluster):
            cluster.up()
            yield cluster

    # --- life ------------------------------------------------------------------------------------------------------

    def up(self) -> None:
        """Start the cluster if it is not running, make it if there is none, and make its database modeldb if missing.

        Safe to call at any time and from several processes at once; repairs what a killed server has left behind.
        """
        with self._locked():
            if postmaster_pid(self.data_dir) is None:
                self._start()
            self._wait_until_ready()
            self._create_database(DATABASE)

    def down(self) -> None:
        """Stop the cluster, ending its connections. Does nothing when it is not running."""
        if not self.data_dir.exists():
            return
        with self._locked():
            self._stop()

    def delete(self) -> None:
        """Stop the cluster and delete it with all its data. Does nothing when there is none."""
        if not self.folder.exists():
            return
        with self._locked():
            self._stop()
            shutil.rmtree(self.folder)
            if self.socket_dir.parent != self.folder:
                shutil.rmtree(self.socket_dir, ignore_errors=True)
            self._lock_file.unlink()

    def status(self) -> ClusterStatus:
        """What there is of the cluster, without starting it."""
        pid = postmaster_pid(self.data_dir)
        try:
            version: str | None = self._programs.version
        except ClusterError:
            version = None
        size = disk_bytes(self.folder)
        return ClusterStatus(pid is not None, pid, self.data_dir, self.socket_dir, version, self.url(), size)

    # --- use -------------------------------------------------------------------------------------------------------

    def url(self, database: str = DATABASE, user: str | None = None) -> str:
        """The URL of a database of the cluster, for SQLAlchemy and for libpq; user is postgres when not given."""
        role = quote(user or SUPERUSER, safe="")
        return f"postgresql://{role}@/{quote(database, safe='')}?host={quote(str(self.socket_dir))}&port={PORT}"

    def psql_command(self) -> list[str]:
        """The program psql of the cluster's version, to be run with psql_environment()."""
        return [str(self._programs / "psql")]

    def psql_environment(self, database: str = DATABASE) -> dict[str, str]:
        """Variables by which psql and its kin find the cluster; options such as -U and -d still win."""
        return {"PGHOST": str(self.socket_dir), "PGPORT": str(PORT), "PGUSER": SUPERUSER, "PGDATABASE": database}

    def connect(self, database: str = DATABASE) -> Database:
        """modeldb.connect() to a database of the cluster; starts the cluster and makes the database when need be."""
        from modeldb.database import connect

        self.up()
        if database != DATABASE:
            with self._locked():
                self._create_database(database)
        return connect(self.url(database))

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the server's log; empty when there is none."""
        try:
            with self.log_file.open("rb") as log:
                log.seek(max(0, self.log_file.stat().st_size - 300 * lines))
                return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    # --- where things are ------------------------------------------------------------------------------------------

    @cached_property
    def socket_dir(self) -> Path:
        """The folder of the socket: the cluster's own, or one in /tmp when that is too long for a socket's address."""
        own = self.folder / "socket"
        if len(os.fsencode(own / SOCKET)) <= SOCKET_PATH_LIMIT:
            return own
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        return Path(f"/tmp/modeldb-{self._account.uid}-{digest}")

    @cached_property
    def _account(self) -> Account:
        return Account.current()

    @cached_property
    def _programs(self) -> Programs:
        """The programs of the version that made the data, or the newest when there is none."""
        return Programs.find(self._data_version())

    @property
    def _lock_file(self) -> Path:
        return self.folder.with_suffix(".lock")

    def _data_version(self) -> str | None:
        """The major version that made the data, or None when there is none."""
        try:
            return (self.data_dir / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return None

    # --- starting --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._make_folders()
        self._clear_remains()
        if self._data_version() is None:
            self._initdb()
        self._write_settings()
        if self._pg_ctl("start", "--wait", "--timeout", str(START_SECONDS), "--log", str(self.log_file)):
            raise self._not_started()

    def _wait_until_ready(self) -> None:
        """Returns at once, unless somebody started the server and was interrupted before it was ready."""
        deadline = time.monotonic() + START_SECONDS
        while not accepts_connections(self.data_dir):
            if postmaster_pid(self.data_dir) is None or time.monotonic() > deadline:
                raise self._not_started()
            time.sleep(0.05)

    def _not_started(self) -> ClusterError:
        hint = f"The whole log is {self.log_file}"
        return ClusterError("The private cluster did not start.", detail=self.log_tail(), hint=hint)

    def _make_folders(self) -> None:
        make_folder(self.folder, self._account)
        if self._account.run(["test", "-w", self.folder]).returncode:
            raise self._unreachable()
        make_folder(self.socket_dir, self._account)
        check_private(self.socket_dir, self._account)

    def _unreachable(self) -> ClusterError:
        barred = [path for path in self.folder.parents if self._account.run(["test", "-x", path]).returncode]
        return ClusterError(
            f"The OS user {self._account.name} cannot reach {self.folder}.",
            detail=f"{barred[-1]} is closed to it." if barred else "The folder belongs to another user.",
            hint="Set MODELDB_HOME to a folder that is not below a private one, such as /var/lib/modeldb.",
        )

    def _clear_remains(self) -> None:
        """Make way for a new server where one was killed: its backends may live on, and its lock files do."""
        end_processes(find_processes(self.data_dir, self._account))
        self._run(["rm", "-f", self.data_dir / "postmaster.pid", self.socket_dir / f"{SOCKET}.lock"])
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_LIMIT:
            self._run(["mv", "-f", self.log_file, self.log_file.with_suffix(".log.1")])

    def _initdb(self) -> None:
        """Make the data in a folder that gets its name when it is whole, so that an interrupted one is never used."""
        unfinished = self.data_dir.with_suffix(".unfinished")
        self._run(["rm", "-rf", unfinished])
        initdb = self._programs / "initdb"
        options = ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8"]
        self._run([initdb, "--pgdata", unfinished, *options, "--data-checksums", "--no-sync"])
        self._run(["tee", unfinished / "pg_hba.conf"], stdin=HBA)
        self._run(["tee", "-a", unfinished / "postgresql.conf"], stdin="include 'modeldb.conf'\n")
        self._run(["touch", unfinished / "modeldb.conf"])
        # Before the first start, so that pg_cron finds its database.
        postgres = self._programs / "postgres"
        self._run([postgres, "--single", "-D", unfinished, "postgres"], stdin=f"CREATE DATABASE {DATABASE}\n")
        if self.durable:
            self._run([initdb, "--pgdata", unfinished, "--sync-only"])
        self._run(["mv", "-T", unfinished, self.data_dir])

    def _write_settings(self) -> None:
        text = SETTINGS.format(port=PORT, socket_dir=str(self.socket_dir).replace("'", "''"), name=self.name)
        if self._programs.has_library("pg_cron"):
            text += CRON.format(database=DATABASE)
        if not self.durable:
            text += NOT_DURABLE
        self._run(["tee", self.data_dir / "modeldb.conf"], stdin=text)

    def _create_database(self, name: str) -> None:
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    # --- stopping and helpers --------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Stop the server: at once for its idle backends, by force for those that do not react."""
        for mode in ("fast", "immediate"):
            if postmaster_pid(self.data_dir) is None:
                break
            self._pg_ctl("stop", "--wait", "--timeout", str(STOP_SECONDS), "--mode", mode)
        pid = postmaster_pid(self.data_dir)
        if pid is not None:
            raise ClusterError(f"The private cluster's server, process {pid}, does not stop.", detail=self.log_tail())
        end_processes(find_processes(self.data_dir, self._account))

    def _pg_ctl(self, *arguments: str) -> int:
        return self._account.run([self._programs / "pg_ctl", "--pgdata", self.data_dir, *arguments]).returncode

    def _run(self, command: Sequence[str | Path], *, stdin: str = "") -> None:
        """Run as the server's user: nothing that the server's user could have put there is written to by root."""
        done = self._account.run(command, stdin=stdin)
        if done.returncode:
            raise ClusterError(f"{Path(command[0]).name} failed.", detail=(done.stdout + done.stderr).strip())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Serialise the changes of this cluster among processes."""
        make_folder(self.folder.parent)
        with locked(self._lock_file):
            yield


@contextmanager
def _deleted_at_the_end(cluster: Cluster) -> Iterator[None]:
    """Delete a throw-away cluster at the end of the block; a second process does it when this one is killed."""
    code = "import sys; sys.stdin.read(); from modeldb.cluster import _delete_temporary as delete; delete(sys.argv[1:])"
    guard = subprocess.Popen(
        [sys.executable, "-c", code, str(cluster.home), cluster.name],
        stdin=subprocess.PIPE,  # which ends when this process does
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield
    finally:
        _delete_temporary([str(cluster.home), cluster.name])
        guard.communicate()


def _delete_temporary(arguments: Sequence[str]) -> None:
    home, name = arguments
    Cluster(home, name=name).delete()
    shutil.rmtree(home, ignore_errors=True)
