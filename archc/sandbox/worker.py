"""One worker: a zygote behind a wall, which does one job at a time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Sequence
from typing import Any

from archc.calls import Limits

_JOB = struct.Struct("<cIIdQI")
_FRAME = struct.Struct("<cI")
_GRACE = 5.0
"""Seconds after a job's time until its worker counts as lost."""
_START = 20.0
"""Seconds that a worker may take to be there."""


class Lost(Exception):
    """The worker is not there any more, or never was."""


class Worker:
    """A process that forks a confined child for each job. Any failure, and a cancelled job, ends it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.jobs = 0
        self.ended = False
        """Whether it was told to end."""
        self.says: dict[str, Any] = {}

    @classmethod
    async def start(cls, command: Sequence[str]) -> Worker:
        """Raises Lost, with what it said, if it does not come up."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=pipe, env={}, cwd="/", start_new_session=True
            )
        except OSError as error:
            raise Lost(f"{command[0]}: {error.strerror}") from None
        worker = cls(process)
        try:
            async with asyncio.timeout(_START):
                _, hello = await worker._frame()
            worker.says = json.loads(hello)
        except (TimeoutError, Lost):
            worker.kill()
            complaint = await worker._complaint()
            await worker.close()
            raise Lost(complaint) from None
        except BaseException:
            worker.kill()
            raise
        return worker

    async def job(self, kind: bytes, first: bytes, second: bytes, limits: Limits) -> tuple[dict[bytes, bytes], Any]:
        """Does a job; gives what its children said, by kind, and how it ended. Raises Lost if the worker is gone."""
        self.jobs += 1
        stdin, said, done = self._process.stdin, dict[bytes, bytes](), False
        assert stdin is not None
        head = _JOB.pack(kind, len(first), len(second), limits.seconds, limits.memory, limits.output)
        try:
            async with asyncio.timeout(limits.seconds + _GRACE):
                stdin.writelines((head, first, second))
                await stdin.drain()
                while True:
                    what, text = await self._frame()
                    if what == b"e":
                        done = True
                        return said, json.loads(text)
                    said[what] = said.get(what, b"") + text
        except (TimeoutError, OSError) as error:
            raise Lost(str(error)) from None
        finally:
            if not done:
                self.kill()

    async def _frame(self) -> tuple[bytes, bytes]:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            kind, size = _FRAME.unpack(await stdout.readexactly(_FRAME.size))
            return kind, await stdout.readexactly(size)
        except asyncio.IncompleteReadError:
            raise Lost("the worker ended") from None

    async def _complaint(self) -> str:
        stderr = self._process.stderr
        assert stderr is not None
        lines = (await stderr.read(1 << 16)).decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else f"it ended with status {self._process.returncode}"

    @property
    def gone(self) -> bool:
        """Whether the process is no more."""
        return self._process.returncode is not None

    def kill(self) -> None:
        """Ends the worker and its children at once: without it, the kernel ends them too."""
        self.ended = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> None:
        """Ends the worker and waits until it is gone, and its pipes with it: no event loop may close before."""
        self.kill()
        with contextlib.suppress(TimeoutError, RuntimeError):  # a job that is being cancelled may still read
            async with asyncio.timeout(_GRACE):
                await self._process.communicate()
        await self._process.wait()
