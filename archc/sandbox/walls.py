"""What keeps untrusted code in: bubblewrap or Landlock, and the command that starts a worker behind it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from archc.sandbox.filters import FILTERS

Wall = Literal["bubblewrap", "landlock"]
WALLS: tuple[Wall, ...] = ("bubblewrap", "landlock")
"""The strongest first: bubblewrap adds namespaces, so that a hole in the filter shows nothing of the machine."""

_HERE = Path(__file__).parent
_SYSTEM = ("/usr", "/lib", "/lib64")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that runs untrusted code: without the packages of any environment."""

    program: str
    folder: str
    """Where its own modules are."""


def this_python() -> Interpreter:
    """The interpreter that runs archc, outside its virtual environment."""
    base = getattr(sys, "_base_executable", sys.executable)
    return Interpreter(str(Path(base).resolve()), str(Path(sysconfig.get_path("stdlib")).parent.parent.resolve()))


def why_not() -> str:
    """Why this system can't hold untrusted code in, whatever is installed; empty if it can."""
    if sys.platform != "linux":
        return f"archc can do it on Linux only, and this is {platform.system()}"
    if platform.machine() not in FILTERS:
        return f"archc has no filter of system calls for {platform.machine()}"
    return ""


def bubblewrap() -> str:
    """Where the program `bwrap` is; empty if it is not installed."""
    return shutil.which("bwrap") or ""


def command(wall: Wall, python: Interpreter, before: Sequence[str] = ()) -> list[str]:
    """The words that start a worker. `before` are words that start another program which then starts it."""
    config = {
        "landlock": wall == "landlock",
        "readable": [*_SYSTEM, python.folder],
        "filter": FILTERS[platform.machine()].hex(),
        "child": (_HERE / "child.py").read_text(encoding="utf-8"),
    }
    zygote = (_HERE / "zygote.py").read_text(encoding="utf-8")
    worker = [python.program, "-I", "-S", "-B", "-c", zygote, json.dumps(config)]
    if wall == "bubblewrap":
        worker = _bubblewrap(python, as_root=os.geteuid() == 0 and not before) + worker
    return [*before, *worker]


def _bubblewrap(python: Interpreter, as_root: bool) -> list[str]:
    """An empty, read-only file system with Python in it; no network, no other process, no /proc, no variables.

    Root needs no user namespace, and within one could not become nobody: the worker does that itself then.
    """
    words = "--unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try --new-session"
    words += " --die-with-parent --cap-drop ALL --clearenv --ro-bind /usr /usr --dev-bind /dev/null /dev/null"
    words += " --cap-add CAP_SETUID --cap-add CAP_SETGID" if as_root else " --unshare-user"
    binds: list[str] = []
    for path in map(Path, _SYSTEM[1:]):
        if path.is_symlink():
            binds += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            binds += ["--ro-bind", str(path), str(path)]
    if not python.folder.startswith("/usr/") and python.folder != "/usr":
        for parent in reversed(Path(python.folder).parents[:-1]):
            binds += ["--perms", "0755", "--dir", str(parent)]  # otherwise only root could pass
        binds += ["--ro-bind", python.folder, python.folder]
    return [bubblewrap() or "bwrap", *words.split(), *binds, "--remount-ro", "/", "--chdir", "/", "--"]
