"""Locks: who is alive among those that share a journal, and where sharing would not be safe."""

from __future__ import annotations

import fcntl
import glob
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any


def is_mine(file: IO[Any]) -> bool:
    """Locks an open file for as long as it is open, unless somebody else has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Owner:
    """A lock that lives as long as whoever holds it: a file nobody else can lock, however the process ends."""

    def __init__(self, journal: Path, name: str) -> None:
        self.name = name
        self._path = _lock_path(journal, name)
        while True:
            self._path.touch(mode=0o600)
            self._file = self._path.open()
            if is_mine(self._file) and self._path.exists():
                break
            self._file.close()  # somebody took it for a dead one's before it was locked

    def close(self) -> None:
        """Gives it up."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def is_alive(journal: Path, name: str) -> bool:
    """Whether the owner of that name still holds its lock; what is left of a dead one is removed."""
    path = _lock_path(journal, name)
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def owners(journal: Path) -> list[str]:
    """The names of all that have a lock, or died with one."""
    start = _lock_path(journal, "").name
    return [path.name.removeprefix(start) for path in journal.parent.glob(f"{glob.escape(start)}*")]


def _lock_path(journal: Path, name: str) -> Path:
    return journal.with_name(f"{journal.name}-owner-{name}")


FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
"""By branch, the SQLite in which two processes can't lose what they write (sqlite.org/wal.html#walresetbug)."""

REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "lustre", "glusterfs"})
"""File systems on which SQLite's locks can't be trusted."""


def refuse(path: Path, version: str) -> None:
    """Raises ValueError where the file would not be safe."""
    numbers = tuple(map(int, version.split(".")))
    if not (numbers >= FIXED[0] or any(numbers[:2] == least[:2] and numbers >= least for least in FIXED)):
        raise ValueError(f"SQLite {version} may lose what two processes write: upgrade the package `apsw`")
    kind = file_system(path.absolute(), lambda: Path("/proc/self/mountinfo").read_text())
    if kind in REMOTE:
        raise ValueError(f"it lies on a network file system ({kind}), where locks can't be trusted")


def file_system(path: Path, mounts: Callable[[], str]) -> str:
    """The kind of file system that a path lies on; empty where that can't be told."""
    kinds: dict[Path, str] = {}
    with suppress(OSError):
        for line in mounts().splitlines():
            before, _, after = line.partition(" - ")
            place = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), before.split()[4])
            kinds[Path(place)] = after.split()[0]
    return next((kinds[one] for one in (path, *path.parents) if one in kinds), "")
