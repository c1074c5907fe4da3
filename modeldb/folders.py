"""The folders of a private cluster: made with the right owner and mode, checked, locked and measured."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modeldb.errors import ClusterError
from modeldb.programs import Account


def make_folder(folder: Path, private_to: Account | None = None) -> None:
    """Make a folder, private to an account or open for all to pass, and the folders above it, unless they exist.

    Raises ClusterError (MD905) when the caller may not.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return  # another process was faster
    except OSError as error:
        hint = "Set MODELDB_HOME to a folder that you may write to."
        raise ClusterError(f"{folder} cannot be made: {error.strerror}.", hint=hint) from error
    if private_to is None:
        folder.chmod(0o755)
    elif os.geteuid() == 0:
        os.chown(folder, private_to.uid, private_to.gid)


def check_private(folder: Path, owner: Account) -> None:
    """Refuse a folder that somebody else has made or can enter: whoever reaches the socket is the superuser there."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.uid or found.st_mode & 0o077:
        hint = f"Find out who made it, and delete it: rm -r {folder}"
        raise ClusterError(f"{folder} is not a private folder of {owner.name}.", hint=hint)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock file, which its holder may delete; waits for another process that holds it."""
    while True:
        with file.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _same_file(lock.fileno(), file):  # else it was deleted while this one waited
                yield
                return


def disk_bytes(folder: Path) -> int:
    """What the files below a folder take on disk, in bytes; files that vanish meanwhile count as nothing."""
    files = (os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sum(_file_bytes(file) for file in files)


def _file_bytes(file: str) -> int:
    try:
        return os.lstat(file).st_blocks * 512
    except FileNotFoundError:
        return 0


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
