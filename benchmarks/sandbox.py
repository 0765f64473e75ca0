"""What a test in the sandbox costs: milliseconds of one test at a time, and tests per second of CPU time.

    python -m benchmarks.sandbox [tests]

CPU time is that of this process and of the workers with all their children, so it does not depend on other load.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from archc.calls import Outcome
from archc.sandbox.pool import Sandbox
from archc.sandbox.walls import WALLS

PROGRAM = "def add(a, b):\n    return a + b\n"
TEST = "def check(candidate):\n    assert candidate(2, 3) == 5\n    assert candidate([1], [2]) == [1, 2]\n"


def cpu() -> float:
    """Seconds that this process and all its descendants have used, those that ended included."""
    seconds, below = dict[int, float](), dict[int, list[int]]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        seconds[int(stat.parent.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
        below.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    total, todo = 0.0, [os.getpid()]
    while todo:
        pid = todo.pop()
        total += seconds[pid]
        todo += below.get(pid, [])
    return total


async def measure(name: str, one: Callable[[], Awaitable[Outcome]], tests: int) -> None:
    for _ in range(10):
        assert (await one()).passed
    before, times = cpu(), []
    for _ in range(tests):
        began = time.perf_counter()
        assert (await one()).passed
        times.append(time.perf_counter() - began)
    used = cpu() - before
    milliseconds = sorted(1000 * t for t in times)
    print(
        f"{name:<22} median {statistics.median(milliseconds):5.2f} ms, best {milliseconds[0]:5.2f} ms, "
        f"{tests / used:4.0f} per core-second"
    )


async def main(tests: int) -> None:
    for wall in WALLS:
        async with Sandbox(1, wall) as sandbox:
            await measure(f"{wall}, test", lambda: sandbox.test(PROGRAM, TEST, "add"), tests)
            await measure(f"{wall}, script", lambda: sandbox.run("print(int(input()) + 1)", "41"), tests)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 400))  # a worker is replaced after 1,000
