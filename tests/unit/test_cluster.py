"""The private cluster, really started: who can reach it, and what it survives."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from modeldb.cluster import LOG_LIMIT, Cluster, default_home, local
from modeldb.errors import ClusterError
from modeldb.postmaster import find_processes, postmaster_pid
from modeldb.programs import Account, Programs


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the server's user can get through, as it cannot through pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="modeldb-test-"))
    folder.chmod(0o755)
    yield folder
    for found in (folder / "cluster").glob("*/"):
        Cluster(folder, name=found.name).delete()
    shutil.rmtree(folder)


@pytest.fixture
def cluster(home: Path) -> Cluster:
    return Cluster(home, durable=False)


@pytest.fixture(scope="module")
def running() -> Iterator[Cluster]:
    """A cluster that the tests of this module only look at."""
    with Cluster.temporary() as cluster:
        yield cluster


def ask(cluster: Cluster, query: str) -> object:
    """Run a statement; the first value of its result, if it has one."""
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


@contextmanager
def busy(cluster: Cluster, statement: str) -> Iterator[int]:
    """A backend that works on a statement which does not end by itself; its process."""
    connection = psycopg.pq.PGconn.connect(cluster.url().encode())
    connection.send_query(statement.encode())
    time.sleep(0.3)
    yield connection.backend_pid
    connection.finish()


def pid_of(cluster: Cluster) -> int:
    pid = cluster.status().pid
    assert pid is not None
    return pid


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


# --- what it is ----------------------------------------------------------------------------------------------------


def test_up_makes_the_database_and_answers_in_utf8_with_checksums(running: Cluster) -> None:
    query = "SELECT concat_ws(' ', current_database(), current_user, current_setting('server_encoding'), "
    assert ask(running, query + "current_setting('data_checksums'))") == "modeldb postgres UTF8 on"


def test_nothing_listens_on_tcp(running: Cluster) -> None:
    assert ask(running, "SHOW listen_addresses") == ""
    listening = {
        line.split()[9]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
    }
    opened = ["find", f"/proc/{pid_of(running)}/fd", "-lname", "socket:*", "-printf", "%l\n"]
    sockets = set(Account.current().run(opened).stdout.split())
    assert sockets
    assert not {f"socket:[{inode}]" for inode in listening} & sockets


def test_only_the_owner_can_enter_the_folders_of_the_socket_and_the_data(running: Cluster) -> None:
    for folder in (running.folder, running.socket_dir, running.data_dir):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_server_runs_as_postgres_for_root_and_as_the_caller_otherwise(running: Cluster) -> None:
    owner = pwd.getpwuid(Path(f"/proc/{pid_of(running)}").stat().st_uid).pw_name
    assert owner == ("postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)


def test_plpython_works_whatever_python_settings_the_caller_has(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    cluster.up()
    ask(cluster, "CREATE EXTENSION plpython3u")
    body = """import os; return os.getenv("PYTHONHOME")"""
    ask(cluster, f"CREATE FUNCTION home() RETURNS text LANGUAGE plpython3u AS $${body}$$")
    assert ask(cluster, "SELECT home()") is None


def test_pg_cron_is_preloaded_where_it_is_installed(running: Cluster) -> None:
    preloaded = "pg_cron" if Programs.find().has_library("pg_cron") else ""
    assert ask(running, "SHOW shared_preload_libraries") == preloaded


def test_fsync_is_off_only_where_the_data_is_thrown_away(home: Path, running: Cluster) -> None:
    durable = Cluster(home, name="kept")
    durable.up()
    assert ask(durable, "SHOW fsync") == "on"
    assert ask(running, "SHOW fsync") == "off"


def test_url_is_understood_by_libpq_and_quotes_names(running: Cluster) -> None:
    psql = [*running.psql_command(), running.url(), "-XAtc", "SELECT current_database()"]
    assert subprocess.run(psql, capture_output=True, text=True, check=True).stdout.strip() == "modeldb"


def test_options_of_psql_win_over_the_environment(running: Cluster) -> None:
    psql, environment = running.psql_command(), os.environ | running.psql_environment()

    def asked(*options: str) -> str:
        command = [*psql, *options, "-XAtc", "SELECT current_database() || ' ' || current_user"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    assert asked() == "modeldb postgres"
    assert asked("-d", "postgres") == "postgres postgres"
    assert ask(running, "CREATE ROLE guest LOGIN") is None
    assert asked("-U", "guest") == "modeldb guest"


def test_urls_quote_names(running: Cluster) -> None:
    assert running.url("a b/c", user="o'x@y").startswith("postgresql://o%27x%40y@/a%20b%2Fc?host=/")


def test_status_tells_what_runs(running: Cluster) -> None:
    status = running.status()
    assert status.running
    assert status.server_version == Programs.find().version
    assert status.url == running.url()
    assert status.disk_bytes > 10 * 2**20


# --- life ----------------------------------------------------------------------------------------------------------


def test_up_again_leaves_the_running_server_alone(running: Cluster) -> None:
    before = pid_of(running)
    running.up()
    assert pid_of(running) == before


def test_connect_starts_it_and_makes_the_database(cluster: Cluster) -> None:
    database = cluster.connect("another")
    assert database.query("SELECT current_database() AS name") == [{"name": "another"}]
    database.engine.dispose()


def test_local_is_the_cluster_of_the_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELDB_HOME", str(home))
    assert local().data_dir == Cluster(home).data_dir


def test_down_stops_it_and_up_finds_the_data_again(cluster: Cluster) -> None:
    cluster.up()
    ask(cluster, "CREATE TABLE kept AS SELECT 7 AS n")
    cluster.down()
    assert not cluster.status().running
    cluster.down()
    cluster.up()
    assert ask(cluster, "SELECT n FROM kept") == 7


def test_delete_leaves_nothing(cluster: Cluster) -> None:
    cluster.up()
    cluster.delete()
    assert list((cluster.home / "cluster").iterdir()) == []
    cluster.delete()


def test_status_of_a_cluster_that_was_never_made(cluster: Cluster) -> None:
    status = cluster.status()
    assert (status.running, status.pid, status.disk_bytes) == (False, None, 0)
    assert cluster.log_tail() == ""


def test_a_dropped_database_is_made_again(cluster: Cluster) -> None:
    cluster.up()
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE modeldb WITH (FORCE)")
    cluster.up()
    assert ask(cluster, "SELECT current_database()") == "modeldb"


def test_two_ups_at_once_start_one_server(cluster: Cluster) -> None:
    code = f"from modeldb.cluster import Cluster; Cluster({str(cluster.home)!r}, durable=False).up()"
    both = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(2)]
    assert [(starter.communicate()[1], starter.returncode) for starter in both] == [(b"", 0), (b"", 0)]
    assert cluster.status().running


def test_up_while_another_deletes_starts_a_new_one(cluster: Cluster) -> None:
    cluster.up()
    code = f"from modeldb.cluster import Cluster; Cluster({str(cluster.home)!r}).delete()"
    with subprocess.Popen([sys.executable, "-c", code]):
        wait_for(lambda: not cluster.status().running)
        cluster.up()
    assert ask(cluster, "SELECT 1") == 1


# --- what it survives ----------------------------------------------------------------------------------------------


def test_up_after_the_postmaster_was_killed_while_a_backend_works(cluster: Cluster) -> None:
    cluster.up()
    ask(cluster, "CREATE TABLE kept AS SELECT 7 AS n")
    killed = pid_of(cluster)
    with busy(cluster, "DO 'BEGIN LOOP END LOOP; END'") as backend:  # does not notice that its postmaster is gone
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: postmaster_pid(cluster.data_dir) is None)
        assert backend in find_processes(cluster.data_dir, Account.current())
        cluster.up()
        assert backend not in find_processes(cluster.data_dir, Account.current())
    assert pid_of(cluster) != killed
    assert ask(cluster, "SELECT n FROM kept") == 7


def test_up_with_a_pid_file_whose_number_is_now_another_process(cluster: Cluster) -> None:
    cluster.up()
    left_over = (cluster.data_dir / "postmaster.pid").read_text().split("\n", 1)[1]
    cluster.down()
    (cluster.data_dir / "postmaster.pid").write_text(f"{os.getpid()}\n{left_over}")
    assert not cluster.status().running
    cluster.up()
    assert cluster.status().running


def test_an_interrupted_initdb_is_not_used(cluster: Cluster) -> None:
    cluster.up()
    cluster.down()
    cluster.data_dir.rename(cluster.data_dir.with_suffix(".unfinished"))
    (cluster.data_dir.with_suffix(".unfinished") / "postgresql.conf").write_text("broken")
    cluster.up()
    assert ask(cluster, "SELECT 1") == 1


def test_a_backend_that_does_not_react_is_stopped_by_force(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modeldb.cluster.STOP_SECONDS", 1)
    cluster.up()
    ask(cluster, "CREATE EXTENSION plpython3u")
    with busy(cluster, "DO 'while True: pass' LANGUAGE plpython3u"):
        cluster.down()
    assert find_processes(cluster.data_dir, Account.current()) == []


def test_a_temporary_cluster_is_deleted_when_its_process_is_killed() -> None:
    code = (
        "import modeldb.cluster as c; made = c.Cluster.temporary(); print(made.__enter__().home, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tests:
        assert tests.stdout is not None
        home = Path(tests.stdout.readline().decode().strip())
        assert postmaster_pid(home / "cluster/temporary/data") is not None
        tests.kill()
    wait_for(lambda: not home.exists())


def test_a_large_log_is_put_aside_at_the_next_start(cluster: Cluster) -> None:
    cluster.up()
    cluster.down()
    os.truncate(cluster.log_file, LOG_LIMIT + 1)
    cluster.up()
    assert cluster.log_file.stat().st_size < LOG_LIMIT
    assert cluster.log_file.with_suffix(".log.1").exists()


# --- where it can be -----------------------------------------------------------------------------------------------


def test_a_long_home_gets_a_short_private_socket_folder(home: Path) -> None:
    cluster = Cluster(home / ("long" * 30), durable=False)
    try:
        cluster.up()
        assert cluster.socket_dir.parent == Path("/tmp")
        assert stat.S_IMODE(cluster.socket_dir.stat().st_mode) == 0o700
        assert ask(cluster, "SELECT 1") == 1
    finally:
        cluster.delete()
    assert not cluster.socket_dir.exists()


def test_a_socket_folder_that_others_can_enter_is_refused(home: Path) -> None:
    cluster = Cluster(home / ("long" * 30), durable=False)
    cluster.socket_dir.mkdir()
    cluster.socket_dir.chmod(0o777)
    try:
        with pytest.raises(ClusterError, match="is not a private folder"):
            cluster.up()
    finally:
        cluster.socket_dir.rmdir()


def test_a_home_that_the_servers_user_cannot_reach_is_refused_with_a_hint(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700 if os.geteuid() == 0 else 0o500)
    with pytest.raises(ClusterError) as refused:
        Cluster(closed / "modeldb").up()
    assert "Set MODELDB_HOME to a folder" in str(refused.value)
    assert str(closed) in str(refused.value)


def test_the_home_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELDB_HOME", "/somewhere")
    assert default_home() == Path("/somewhere")
    monkeypatch.delenv("MODELDB_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_home() == Path("/var/lib/modeldb" if os.geteuid() == 0 else "/data/modeldb")


# --- what it says --------------------------------------------------------------------------------------------------


def test_a_start_that_fails_shows_the_log(cluster: Cluster) -> None:
    cluster.up()
    ask(cluster, "ALTER SYSTEM SET shared_preload_libraries = 'no_such_library'")
    cluster.down()
    with pytest.raises(ClusterError) as failure:
        cluster.up()
    assert failure.value.sqlstate == "MD905"
    assert 'could not access file "no_such_library"' in str(failure.value.detail)
    assert str(cluster.log_file) in str(failure.value.hint)


def test_a_server_without_plpython_is_refused_with_the_command(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tmp_path / "16/bin/postgres"
    server.parent.mkdir(parents=True)
    server.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 16.2'\n")
    server.chmod(0o755)
    monkeypatch.setenv("MODELDB_PG_BINDIR", str(server.parent))
    with pytest.raises(ClusterError, match="PostgreSQL has no PL/Python") as refused:
        cluster.up()
    assert refused.value.hint == "Run: apt-get install postgresql-16 postgresql-plpython3-16"


def test_data_of_a_version_that_is_not_installed_is_refused(cluster: Cluster) -> None:
    cluster.up()
    cluster.down()
    (cluster.data_dir / "PG_VERSION").write_text("9\n")
    with pytest.raises(ClusterError, match="PostgreSQL 9 is not installed") as refused:
        Cluster(cluster.home).up()
    assert "postgresql-plpython3-9" in str(refused.value.hint)
