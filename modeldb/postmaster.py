"""The processes of a PostgreSQL server: which work in a data directory, living or left over by a killed postmaster."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path


def postmaster_pid(data_dir: Path) -> int | None:
    """The process of the data directory's server, or None when there is none, whatever its pid file says."""
    lines = _pid_file(data_dir)
    if not lines or not lines[0].isdigit():
        return None
    pid = int(lines[0])
    return pid if _is_server_process(pid, data_dir.stat()) else None


def accepts_connections(data_dir: Path) -> bool:
    """Whether the data directory's server runs and has finished starting."""
    return postmaster_pid(data_dir) is not None and _pid_file(data_dir)[7:8] in (["ready"], ["standby"])


def find_processes(data_dir: Path) -> list[int]:
    """Server processes that work in a data directory: the postmaster, its children, and those of a dead postmaster."""
    try:
        directory = data_dir.stat()
    except OSError:
        return []
    return [pid for pid in _all_pids() if _is_server_process(pid, directory)]


def end_processes(pids: Sequence[int], *, patience: float = 5.0) -> None:
    """End what a killed postmaster left behind, so that a new one may take over its data directory."""
    for ending in (signal.SIGQUIT, signal.SIGKILL):
        for pid in pids:
            send(pid, ending)
        deadline = time.monotonic() + patience
        while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.02)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]


def _is_server_process(pid: int, data_dir: os.stat_result) -> bool:
    """Every server process works in its data directory and runs the program postgres."""
    try:
        works_in = os.stat(f"/proc/{pid}/cwd")
        program = os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return False  # ended meanwhile, or another user's
    return os.path.samestat(works_in, data_dir) and Path(program.removesuffix(" (deleted)")).name == "postgres"


def _alive(pid: int) -> bool:
    """Whether the process is more than a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _pid_file(data_dir: Path) -> list[str]:
    try:
        return [line.strip() for line in (data_dir / "postmaster.pid").read_text().splitlines()]
    except OSError:
        return []
