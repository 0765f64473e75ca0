"""A hostile chat-completions server that bills: every fault there is, by seed, and a ledger of what was bought.

    async with hostile(tmp_path / "ledger.jsonl", seed=1) as server:
        server.rate = 0.5   # half of the requests meet a fault; 0 is an honest server
        ...                 # server.url, server.injected, server.bill()

What befalls a request depends on the seed, on what is asked, and on how often it was asked before; not on its order
among others. The ledger is what a provider would bill: what it generated, whether or not the client ever got it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from archc.calls import Spend
from tests.faults.bodies import FAULTS
from tests.faults.replies import Answer, End, Part, honest
from tests.faults.truth import Asked, Drawn, Sample


@dataclass(frozen=True)
class Line:
    """One line of the ledger: one completion that was generated. The prompt is on a request's first."""

    key: str
    seed: int
    prompt: int
    completion: int
    fault: str


class Hostile:
    """What the server is told and what it saw."""

    def __init__(self, ledger: Path, seed: int, mix: Sequence[str], bytes_per_token: int) -> None:
        self.url = ""
        self.rate = 0.0
        """The chance of each request to meet a fault."""
        self.injected: Counter[str] = Counter()
        self.met: defaultdict[Sample, list[str]] = defaultdict(list)
        """What befell the requests whose first sample this is, until somebody takes it away."""
        self.truths: dict[Sample, Drawn] = {}
        """All that was ever asked for, as it should come."""
        self.excess = 0
        """Tokens billed by lies."""
        self._ledger = ledger
        self._seed = seed
        self._mix = sorted(mix)
        self._bytes_per_token = bytes_per_token
        self._times: Counter[Sample] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def bill(self) -> list[Line]:
        """All of the ledger."""
        if not self._ledger.exists():
            return []
        return [Line(**json.loads(line)) for line in self._ledger.read_text(encoding="utf-8").splitlines()]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either end closes it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._answer(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def stop(self) -> None:
        """Ends all connections."""
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; whether there may be another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.split("content-length:", 1)[1].split("\r\n", 1)[0])
        asked = Asked(json.loads(await reader.readexactly(length)), self._bytes_per_token)
        rng = Random(f"{self._seed} {asked.samples[0]} {len(asked.samples)} {self._times[asked.samples[0]]}")
        self._times.update(asked.samples)
        await asyncio.sleep(rng.uniform(0.05, 1.0))  # of virtual time
        for part in self._play(asked, rng):
            if not await _do(part, writer, reader):
                return False
        return True

    def _play(self, asked: Asked, rng: Random) -> Sequence[Part]:
        """Chooses what happens, and bills it before the client can know."""
        answer = Answer(asked, {sample: asked.drawn(sample) for sample in asked.samples})
        self.truths |= answer.drawn
        name, parts, billed = "", honest(answer, rng), True
        if rng.random() < self.rate:
            [name] = rng.choices(self._mix, [FAULTS[one].weight for one in self._mix])
            if (played := FAULTS[name].play(answer, rng)) == parts:
                name = ""  # a single choice cannot be out of order
            else:
                parts, billed = played, rng.random() < FAULTS[name].billed
        if name:
            self.injected[name] += 1
            self.met[asked.samples[0]].append(name)
        if billed:
            self.excess += answer.excess
            self._write(answer, name)
        return parts

    def _write(self, answer: Answer, fault: str) -> None:
        lines = [
            Line(sample.key, sample.seed, answer.prompt if i == 0 else 0, tokens, fault)
            for i, (sample, tokens) in enumerate(answer.billed.items())
        ]
        with self._ledger.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(line)) + "\n" for line in lines)


async def _do(part: Part, writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> bool:
    """Plays one part; whether the connection lives on."""
    match part:
        case bytes():
            writer.write(part)
            await writer.drain()
        case End.CLOSE:
            return False
        case End.RESET:
            on_close = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, on_close)
            writer.transport.abort()
            return False
        case End.HANG:
            await reader.read(1)  # the client goes
            return False
        case seconds:
            await asyncio.sleep(seconds)  # of virtual time
    return not writer.is_closing()


def total(lines: Sequence[Line], price: tuple[float, float]) -> Spend:
    """What a bill comes to; the price is in USD for a million tokens of the prompt, and of the completion."""
    prompt, completion = sum(line.prompt for line in lines), sum(line.completion for line in lines)
    return Spend(len(lines), prompt, completion, (prompt * price[0] + completion * price[1]) / 1e6)


@asynccontextmanager
async def hostile(
    ledger: Path, seed: int, mix: Sequence[str] = tuple(FAULTS), bytes_per_token: int = 4
) -> AsyncIterator[Hostile]:
    """Serves on a free port of 127.0.0.1, in this event loop. Honest until `rate` is set."""
    server = Hostile(ledger, seed, mix, bytes_per_token)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=2**22)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()
        await server.stop()
        await listening.wait_closed()
