"""How a run grows with its calls: time and memory, with the simulated backend, the journal and the trace on.

python -m benchmarks.scaling [CALLS …]

Ten calls a question, 64 questions at a time. Memory is the most that the process ever had, so it should stay flat once
the first 10,000 calls are done; the journal and the trace grow on disk.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import archc
from archc.api import run_loop
from archc.runtime.trace import JsonlFile

SIZES = (1_000, 10_000, 100_000)
SPEC = """
models: {m: {backend: simulated, model: demo}}
pipeline:
  - generate: {model: m, n: 8}
  - extract: {kind: number}
  - vote
  - verify: {model: m, repair: false}
"""


async def measure(questions: int, folder: Path) -> tuple[float, float, int]:
    """Wall and CPU seconds, and how many calls there were."""
    plan = archc.compile(archc.Source("scaling.yaml", SPEC))
    trace = JsonlFile(folder / "trace.jsonl")
    calls = 0
    async with archc.session(plan, journal=folder / "journal", listeners=[trace]) as session:

        async def worker(numbers: Iterator[int]) -> None:
            nonlocal calls
            for i in numbers:
                run = await session.answer(f"What is {i} + 4?", str(i))
                calls += run.spent.calls

        numbers = iter(range(questions))
        began, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker(numbers) for _ in range(64)))
        spent = time.perf_counter() - began, time.process_time() - used
    trace.close()
    return *spent, calls


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or SIZES
    print(f"{'calls':>9} {'wall s':>8} {'CPU µs/call':>12} {'calls/s':>8} {'MiB at most':>12} {'MB on disk':>11}")
    for size in sizes:
        with TemporaryDirectory() as folder:
            wall, cpu, calls = run_loop(measure(size // 10, Path(folder)))
            disk = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{calls:>9} {wall:>8.1f} {cpu / calls * 1e6:>12.0f} {calls / wall:>8.0f} {most:>12.0f} {disk:>11.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
