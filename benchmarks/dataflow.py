"""How close the dataflow comes to its critical path: every call takes the same time d, so the least is depth * d.

python -m benchmarks.dataflow
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import archc
from archc.api import session
from benchmarks.server import server

DELAY_S = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
SPECS = Path(__file__).parent.parent / "specs"
NAMES = ("self-consistency", "best-of-n", "rank-fuse-verify", "mixture-of-agents", "critique-rank-fuse")


async def measure(plan: archc.Plan, questions: int, journal: Path) -> tuple[float, int]:
    """Seconds from the first question to the last answer, and calls made."""
    async with session(plan, journal=journal) as open_session:
        await open_session.answer("a warm-up, so that connections and imports are not measured")
        start = time.perf_counter()
        runs = await asyncio.gather(*(open_session.answer(f"question {i}", str(i)) for i in range(questions)))
    assert all(run.status == "ok" for run in runs)
    return time.perf_counter() - start, sum(run.spent.calls for run in runs)


def main() -> None:
    print(f"every call takes {DELAY_S} s; the journal is on")
    print(f"{'spec':<20} {'questions':>9} {'calls':>6} {'depth':>5} {'least s':>8} {'wall s':>8} {'ratio':>6}")
    with server(DELAY_S) as url, TemporaryDirectory() as folder:
        for name in NAMES:
            entry = f"models.*={{backend: openai, model: m, base_url: {url}, concurrency: 1024}}"
            plan = archc.compile(SPECS / f"{name}.yaml", overrides=[entry])
            least = plan.depth.lo * DELAY_S
            for questions in (1, 64):
                journal = Path(folder) / f"{name}-{questions}.sqlite"
                wall, calls = asyncio.run(measure(plan, questions, journal))
                ratio = wall / least
                print(
                    f"{name:<20} {questions:>9} {calls:>6} {plan.depth.lo:>5} {least:>8.2f} {wall:>8.2f} {ratio:>6.2f}"
                )


if __name__ == "__main__":
    main()
