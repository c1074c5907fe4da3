"""PostgreSQL's programs on this machine, and running them as an OS user that PostgreSQL accepts: it refuses root."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldb.errors import ClusterError

DEBIAN_PROGRAMS = Path("/usr/lib/postgresql")
SERVER_USER = "postgres"


@dataclass(frozen=True)
class Account:
    """The OS user that the server runs as."""

    name: str
    uid: int
    gid: int

    @classmethod
    def current(cls) -> Account:
        """postgres when root asks, because the server refuses to run as root; otherwise the caller.

        Raises ClusterError (MD905) when root asks and there is no such user.
        """
        if os.geteuid() != 0:
            return cls(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid())
        try:
            entry = pwd.getpwnam(SERVER_USER)
        except KeyError:
            raise ClusterError(f"There is no OS user {SERVER_USER}.", hint=install_hint()) from None
        return cls(SERVER_USER, entry.pw_uid, entry.pw_gid)

    def run(self, command: Sequence[str | Path], *, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program as this user in a clean environment; its output is kept in the result."""
        as_root = os.geteuid() == 0
        return subprocess.run(
            [str(part) for part in command],
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            umask=0o077,
            start_new_session=True,  # Ctrl-C in the caller's terminal must not reach the server
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},  # PYTHONHOME, for one, kills every backend
            user=self.uid if as_root else None,
            group=self.gid if as_root else None,
            extra_groups=[] if as_root else None,
        )


@dataclass(frozen=True)
class Programs:
    """The folder of one PostgreSQL version's programs."""

    folder: Path

    @classmethod
    def find(cls, major: str | None = None) -> Programs:
        """The programs of the newest version that has PL/Python, or of a given major version.

        MODELDB_PG_BINDIR, then Debian's versions, then pg_config on PATH. Raises ClusterError (MD905) when none fits.
        """
        candidates = [cls(folder) for folder in _folders()]
        fitting = [found for found in candidates if major in (None, found.major) and found.has_library("plpython3")]
        if fitting:
            return fitting[0]
        wanted = f"PostgreSQL {major}" if major else "PostgreSQL"
        if any(major in (None, found.major) for found in candidates):
            raise ClusterError(f"{wanted} has no PL/Python on this machine.", hint=install_hint(major))
        raise ClusterError(f"{wanted} is not installed on this machine.", hint=install_hint(major))

    @property
    def version(self) -> str:
        """The full version, such as 15.20."""
        said = subprocess.run([self / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        found = re.search(r"\d+[.\w]*", said)
        return found.group() if found else said.strip()

    @property
    def major(self) -> str:
        """The major version, such as 15: what a data directory is bound to."""
        return re.split(r"\D", self.version)[0]

    def has_library(self, name: str) -> bool:
        """Whether the server can load a library, such as plpython3 or pg_cron."""
        if (self.folder.parent / "lib" / f"{name}.so").exists():
            return True
        config = self / "pg_config"
        if not config.exists():
            return False
        said = subprocess.run([config, "--pkglibdir"], capture_output=True, text=True, check=True).stdout
        return (Path(said.strip()) / f"{name}.so").exists()

    def __truediv__(self, program: str) -> Path:
        return self.folder / program


def install_hint(major: str | None = None) -> str:
    """The command that installs the server and its PL/Python."""
    versions = [folder.parent.name for folder in _folders() if folder.parent.name.isdigit()]
    number = major or next(iter(versions), None)
    if number is None:
        return 'Run "make up" in a clone of modeldb, which installs PostgreSQL and its PL/Python with apt.'
    return f"Run: apt-get install postgresql-{number} postgresql-plpython3-{number}"


def _folders() -> list[Path]:
    """Folders that hold a server, the preferred one first."""
    override = os.environ.get("MODELDB_PG_BINDIR")
    if override:
        return [Path(override)]
    versions = [path for path in DEBIAN_PROGRAMS.glob("*/bin") if (path / "postgres").exists()]
    folders = sorted(versions, key=lambda path: [int(n) for n in re.findall(r"\d+", path.parent.name)], reverse=True)
    config = shutil.which("pg_config")
    if config:
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True).stdout
        folder = Path(said.strip())
        if (folder / "postgres").exists() and folder not in folders:
            folders.append(folder)
    return folders
