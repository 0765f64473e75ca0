"""The sandbox: untrusted programs and tests, run by a pool of warm workers."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from archc.calls import USUAL_LIMITS, ExecutionStatus, Limits, Outcome
from archc.diagnostics import RunError
from archc.errors import NoSandbox
from archc.sandbox.walls import WALLS, Interpreter, Wall, command, this_python, why_not
from archc.sandbox.worker import Lost, Worker

_JOBS = 1000
"""After so many jobs a worker is replaced by a new one."""
_TRIES = 2
_HELP = "apt install bubblewrap, or use Linux 5.13 or newer with Landlock; `archc doctor` shows what is there"
_XCPU = -24
"""How a process ends that used up its CPU time."""

_PROBE = b"""
import os, socket
tries = [os.fork, os.pipe, socket.socket, lambda: os.kill(1, 0)]
tries += [lambda: open("/etc/passwd"), lambda: open("/tmp/x", "w")]
def refused(attempt):
    try:
        attempt()
    except OSError:
        return True
print("safe" if input() == "in" and all(map(refused, tries)) else "not safe")
"""
"""Tries what must be refused."""


class Sandbox:
    """Runs untrusted Python, as many programs at once as there are workers.

    Each runs in a new process without network, files, other processes or secrets, and within its limits. What a test
    says is decided in another process than the tested program's. Use it as `async with Sandbox() as sandbox`.
    """

    def __init__(
        self,
        workers: int | None = None,
        wall: Wall | None = None,
        python: Interpreter | None = None,
        before: Sequence[str] = (),
    ) -> None:
        """One worker a core and the strongest wall that works, unless told.

        `before` are words to put before a worker's command, such as `("nice", "-n", "5")`.
        """
        self._count = workers
        self._walls = (wall,) if wall else WALLS
        self._python = python
        self._before = tuple(before)
        self._command: list[str] = []
        self._free: asyncio.Queue[Worker | None] = asyncio.Queue()
        self._all: set[Worker] = set()
        self.wall: Wall | None = None
        """What keeps the code in, once started."""
        self.says: dict[str, Any] = {}
        """What the first worker found: `landlock`, the version of Landlock, `uid`, and `python`."""

    @property
    def workers(self) -> int:
        """How many programs it runs at once."""
        return self._count or len(os.sched_getaffinity(0))

    async def start(self) -> None:
        """Starts the first worker, the others when there is work for them. Raises RunError if nothing holds code in."""
        reason = why_not()
        for wall in () if reason else self._walls:
            self._command = command(wall, self._python or this_python(), self._before)
            try:
                worker = await self._hired()
                said, end = await worker.job(b"s", _PROBE, b"in", USUAL_LIMITS)
            except Lost as lost:
                reason += f"{'; ' if reason else ''}{wall}: {lost}"
                continue
            if said.get(b"o") == b"safe\n" and end["codes"] == [0]:
                self.wall, self.says = wall, worker.says
                for place in (*[None] * (self.workers - 1), worker):
                    self._free.put_nowait(place)
                return
            reason += f"{'; ' if reason else ''}{wall}: {said.get(b'm', b'').decode(errors='replace').strip()[-200:]}"
            await worker.close()
        raise RunError(NoSandbox(reason=reason, hint=_HELP))

    async def close(self) -> None:
        """Ends all workers, and what runs in them; gives back when they are gone."""
        await asyncio.gather(*(worker.close() for worker in self._all))
        self._all.clear()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()

    async def test(
        self, program: str, test: str, entry: str | None = None, limits: Limits = USUAL_LIMITS, trusted: str = ""
    ) -> Outcome:
        """Whether a program passes a test: asserts, or a function `check` that is given the function `entry`.

        The test runs in a process of its own and finds the program's names there, but calls them as one calls a server:
        plain values go to and fro (numbers, texts, lists, tuples, sets, dicts, and iterators of them). `trusted` runs
        before the test, in its process, for what the program shall not decide, like helpers that the task gives.
        """
        texts = program.encode("utf-8", "replace"), json.dumps({"test": test, "entry": entry, "trusted": trusted})
        said, end = await self._job(b"t", texts[0], texts[1].encode(), limits)
        if b"v" in said and end["cause"] == "ended":
            verdict = json.loads(said[b"v"])
            return Outcome(verdict["status"], verdict["message"], end["seconds"])
        status, message = _ended(end, limits, "the test")
        return Outcome("killed" if status == "passed" else status, message or "the test ended itself", end["seconds"])

    async def run(self, program: str, stdin: str = "", limits: Limits = USUAL_LIMITS) -> Outcome:
        """What a program prints that reads its input from stdin. `passed` means that it came to its end."""
        said, end = await self._job(b"s", program.encode("utf-8", "replace"), stdin.encode("utf-8", "replace"), limits)
        status, message = _ended(end, limits, "the program")
        if status == "error":
            lines = said.get(b"m", b"").decode(errors="replace").strip().splitlines()
            message = lines[-1][:2000] if lines else message
        return Outcome(status, message, end["seconds"], said.get(b"o", b"").decode(errors="replace"))

    async def _job(self, kind: bytes, first: bytes, second: bytes, limits: Limits) -> tuple[dict[bytes, bytes], Any]:
        """Raises RunError if workers are lost again and again."""
        for _ in range(_TRIES):
            worker = await self._free.get()
            try:
                worker = worker or await self._hired()
                result = await worker.job(kind, first, second, limits)
            except Lost as lost:
                reason = str(lost)
                continue
            finally:
                self._returned(worker)
            return result
        raise RunError(NoSandbox(reason=f"its workers end: {reason}", hint=_HELP))

    async def _hired(self) -> Worker:
        worker = await Worker.start(self._command)
        self._all = {w for w in self._all if not w.gone} | {worker}
        return worker

    def _returned(self, worker: Worker | None) -> None:
        """Makes room for the next job: for the same worker, or for a new one if this has failed or worked enough."""
        if worker and not worker.ended and worker.jobs < _JOBS:
            self._free.put_nowait(worker)
            return
        if worker:
            worker.kill()
        self._free.put_nowait(None)


def _ended(end: Any, limits: Limits, what: str) -> tuple[ExecutionStatus, str]:
    code = end["codes"][0]
    if end["cause"] == "timeout" or code == _XCPU:
        return "timeout", f"{what} took longer than {limits.seconds:g} s"
    if end["cause"] == "output":
        return "killed", f"{what} printed more than {limits.output:,} bytes"
    if code < 0:
        return "killed", f"{what} was ended by signal {-code}"
    return ("error", f"{what} ended with status {code}") if code else ("passed", "")
