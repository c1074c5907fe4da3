"""The processes of a PostgreSQL server: which work in a data directory, living or left over by a killed postmaster.

A process's command line is open to all, its working directory only to its own user: root in a container is refused.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from modeldb.programs import Account

_WORKING_IN = 'for process in /proc/[0-9]*; do [ "$process/cwd" -ef "$0" ] && echo "${process#/proc/}"; done'


def postmaster_pid(data_dir: Path) -> int | None:
    """The process of the data directory's server, or None when there is none, whatever its pid file says."""
    lines = _pid_file(data_dir)
    if not lines or not lines[0].isdigit():
        return None
    program, *arguments = _command_line(int(lines[0])) or [""]
    is_server = Path(program).name == "postgres" and str(data_dir) in arguments
    return int(lines[0]) if is_server else None


def accepts_connections(data_dir: Path) -> bool:
    """Whether the data directory's server runs and has finished starting."""
    return postmaster_pid(data_dir) is not None and _pid_file(data_dir)[7:8] in (["ready"], ["standby"])


def find_processes(data_dir: Path, account: Account) -> list[int]:
    """The account's server processes in a data directory: the postmaster and its children, or those of a dead one."""
    found = account.run(["sh", "-c", _WORKING_IN, data_dir]).stdout.split()
    return [pid for pid in map(int, found) if _is_postgres(pid)]


def end_processes(pids: Sequence[int], *, patience: float = 5.0) -> None:
    """End what a killed postmaster left behind, so that a new one may take over its data directory."""
    for ending in (signal.SIGQUIT, signal.SIGKILL):
        for pid in pids:
            _send(pid, ending)
        deadline = time.monotonic() + patience
        while any(_command_line(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.02)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # ended meanwhile


def _is_postgres(pid: int) -> bool:
    """A postmaster shows how it was called, its children what they do: "postgres: checkpointer"."""
    title = " ".join(_command_line(pid))
    return title.startswith("postgres: ") or Path(title.split(" ")[0]).name == "postgres"


def _command_line(pid: int) -> list[str]:
    """The words of a process's command line; none when it has ended, even if nobody has taken note yet."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return []
    return line.split("\0") if line else []


def _pid_file(data_dir: Path) -> list[str]:
    try:
        return [line.strip() for line in (data_dir / "postmaster.pid").read_text().splitlines()]
    except OSError:
        return []
