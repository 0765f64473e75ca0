"""The journal: durable calls a second, latency of a look-up, two processes at once, bytes and CPU a call.

`python -m benchmarks.journal` prints a table. A call is a reservation and a settlement with a text of 1 kB, both on
disk before they return. The disk decides, so compare the lines, not the machines.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import random
import tempfile
import time
from pathlib import Path

from archc.calls import Completion, Spend, Usage
from archc.runtime.journal import Journal
from archc.runtime.records import Attempt, Outcome

CALLS = 4_000
WORDS = ("reason", "apple", "seven", "therefore", "the", "of", "and", "so", "half", "left", "each", "gives", "42")


def text(number: int) -> Completion:
    rng = random.Random(number)
    return Completion(" ".join(rng.choices(WORDS, k=250)), usage=Usage(300, 250))


def key(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


async def buy(journal: Journal, number: int) -> None:
    attempt = Attempt("run", "q", "generate", "m", (), Spend(1, 300, 1024), (key(number),))
    claim = await journal.reserve(attempt)
    if claim.keys:
        await journal.settle(claim, Outcome("ok", Spend(1, 300, 250), {key(number): text(number)}, "model"))


async def bought(path: Path, at_once: int, numbers: range) -> tuple[float, float]:
    """Seconds and CPU seconds."""
    journal = Journal(path)
    waiting = iter(numbers)

    async def worker() -> None:
        for number in waiting:
            await buy(journal, number)

    began, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(worker())
    took = time.perf_counter() - began, time.process_time() - cpu
    journal.close()
    return took


def rival(path: str, first: int) -> None:
    asyncio.run(bought(Path(path), 64, range(first, first + CALLS // 2)))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for at_once in (1, 16, 64, 512):
            calls = CALLS // 8 if at_once == 1 else CALLS
            seconds, cpu = asyncio.run(bought(Path(folder) / f"j{at_once}", at_once, range(calls)))
            print(f"{at_once:4} at once: {calls / seconds:8,.0f} calls/s, {1e6 * cpu / calls:5.0f} µs CPU a call")
        path = Path(folder) / "j64"
        size = sum(file.stat().st_size for file in path.parent.glob("j64*"))
        print(f"size: {size / CALLS:,.0f} bytes a call, of texts of 1.4 kB")
        journal, rng = Journal(path), random.Random(1)
        keys = [key(rng.randrange(CALLS)) for _ in range(20_000)]
        began = time.perf_counter()
        for one in keys:
            journal.find([one])
        print(f"look-up: {1e6 * (time.perf_counter() - began) / len(keys):.0f} µs")
        journal.close()
        shared = Path(folder) / "shared"
        Journal(shared).close()
        for what, firsts in (("other calls", (0, CALLS)), ("the same calls", (10**6, 10**6))):
            began = time.perf_counter()
            rivals = [multiprocessing.Process(target=rival, args=(str(shared), first)) for first in firsts]
            for process in rivals:
                process.start()
            for process in rivals:
                process.join()
            seconds = time.perf_counter() - began
            print(f"two processes, {what}: {CALLS / seconds:,.0f} calls/s together, with their start")


if __name__ == "__main__":
    main()
