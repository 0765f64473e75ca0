"""Watch: starts servers, waits until they are well, starts those again that end, and stops them all."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import IO

from archc import errors
from archc.backends.probe import is_up
from archc.diagnostics import RunError
from archc.fleet.servers import Server

LOOK_AGAIN_S = 0.5
"""How long between two looks at a server that is not well yet."""
FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 60.0
TRIES = 3
"""How often a server is started that was never well."""
STOP_S = 20.0
"""How long servers may take to end by themselves when they are told to."""

Tell = Callable[[Server, str], None]
"""Is told what happens to a server."""


class Watched:
    """One server's process, for as long as it is wanted."""

    def __init__(
        self,
        server: Server,
        log: Path,
        environ: Mapping[str, str],
        tell: Tell,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.server = server
        self.log = log
        self.well = asyncio.Event()
        """Set once it has answered."""
        self.starts = 0
        self._environ = {**environ, **server.environ}
        self._tell, self._clock, self._sleep = tell, clock, sleep
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Keeps it running until this is cancelled, which stops it. Raises RunError if it can't be brought up."""
        if await is_up(self.server.url):
            raise RunError(errors.PortTaken(url=self.server.url, model=self.server.name))
        wait = FIRST_BACKOFF_S
        try:
            with self.log.open("ab") as log:
                while True:
                    was_well = await self._once(log)
                    if not was_well and not self.well.is_set() and self.starts >= TRIES:
                        raise RunError(self._dead())
                    wait = FIRST_BACKOFF_S if was_well else min(2 * wait, LONGEST_BACKOFF_S)
                    self._tell(self.server, f"ended; started again in {wait:g} s ({last_line(self.log)})")
                    await self._sleep(wait)
        finally:
            await self._stop()

    async def _once(self, log: IO[bytes]) -> bool:
        """Runs it until it ends; whether it was well."""
        self.starts += 1
        began, command = self._clock(), self.server.command
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that Ctrl-C reaches archc alone, and all that it started can be ended
            )
        except OSError as error:
            problem = error.strerror or str(error)
            raise RunError(errors.UnstartableServer(command=command[0], problem=problem)) from None
        self._tell(self.server, f"started as process {self._process.pid}, with its log in {self.log}")
        ended = asyncio.ensure_future(self._process.wait())
        try:
            while not ended.done() and not await is_up(self.server.url):
                pausing = asyncio.ensure_future(self._sleep(LOOK_AGAIN_S))
                await asyncio.wait({ended, pausing}, return_when=asyncio.FIRST_COMPLETED)
                pausing.cancel()
            if ended.done():
                return False
            self.well.set()
            self._tell(self.server, f"well at {self.server.url} after {self._clock() - began:.1f} s")
            await ended
            return True
        finally:
            ended.cancel()
            if self._process.returncode is not None:  # what it left behind would hold its port and its GPUs
                end_group(self._process, signal.SIGKILL)

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        end_group(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            end_group(process, signal.SIGKILL)
            await process.wait()

    def _dead(self) -> errors.UnstartableServer:
        return errors.UnstartableServer(command=self.server.command[0], problem=f"{last_line(self.log)} ({self.log})")


def end_group(process: asyncio.subprocess.Process, sign: int) -> None:
    """Sends a signal to a process and all that it started, as far as they are there."""
    try:
        os.killpg(process.pid, sign)
    except (ProcessLookupError, PermissionError):
        return


def last_line(log: Path) -> str:
    """The last thing that a server wrote."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "it said nothing"
