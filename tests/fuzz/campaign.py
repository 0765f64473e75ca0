"""A fuzz campaign: many mutated and generated inputs for one target, or for all.

python -m tests.fuzz.campaign --target arch --runs 100000 --seed 1
`tests/fuzz/guided.py` does the same, guided by coverage.

Crashes, hangs and slow inputs are written to a folder, by default `fuzz-found/`.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import FrameType

from tests.fuzz.generated import generated
from tests.fuzz.mutation import mutated
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

SLOW_S = 1.0
"""CPU seconds that no input may take."""
HANG_S = 10.0
MEMORY = 3 << 30


class Hang(BaseException):
    """Raised within an input that takes too long."""


@contextmanager
def watched(seconds: float = HANG_S) -> Iterator[None]:
    """Raises Hang after so many CPU seconds."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def an_input(rng: Random, target: str, grown: list[bytes]) -> bytes:
    """Mutated or generated; those that came far are mutated again."""
    pool = seeds()[target]
    if target in ("arch", "condition", "written") and rng.random() < 0.3:
        made = generated(rng, "condition" if target == "condition" else "start", rng.choice((20, 40, 60)))
        return mutated(rng, [made]) if rng.random() < 0.5 else made
    return mutated(rng, grown if grown and rng.random() < 0.3 else pool)


class Campaign:
    """Runs one target, and counts."""

    def __init__(self, target: str, folder: Path) -> None:
        self.target, self.folder = target, folder
        self.stages: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.worst = (0.0, b"")

    def one(self, data: bytes) -> str:
        """Runs one input; gives the stage it reached, or what went wrong."""
        began = time.process_time()
        try:
            with watched():
                stage = TARGETS[self.target](data)
        except Hang:
            stage = self._keep("hang", data, f"more than {HANG_S} s")
        except Exception as error:  # noqa: BLE001, that is what is looked for
            *_, last = traceback.extract_tb(error.__traceback__)
            stage = self._keep(
                f"crash-{type(error).__name__}-{Path(last.filename).stem}-{last.lineno}", data, repr(error)
            )
        seconds = time.process_time() - began
        if seconds > self.worst[0]:
            self.worst = (seconds, data)
        if SLOW_S < seconds < HANG_S:
            self._keep("slow", data, f"{seconds:.2f} s")
        self.stages[stage] += 1
        return stage

    def _keep(self, what: str, data: bytes, text: str) -> str:
        self.found[what] += 1
        if self.found[what] <= 5:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{what}-{hashlib.sha256(data).hexdigest()[:12]}.{self.target}"
            path.write_bytes(data)
            print(f"{path}: {text[:200]}", file=sys.stderr)
        return what

    def run(self, runs: int, seed: int) -> None:
        """So many inputs."""
        rng = Random(f"{self.target} {seed}")
        grown: list[bytes] = []
        for data in seeds()[self.target]:
            self.one(data)
        began = time.process_time()
        for _ in range(runs - len(seeds()[self.target])):
            data = an_input(rng, self.target, grown)
            if self.one(data) in ("lowered", "planned", "closed") and len(data) < 4096 and rng.random() < 0.1:
                grown[rng.randrange(200) if len(grown) >= 200 else len(grown) :] = [data]
        self.report(time.process_time() - began)

    def report(self, seconds: float) -> None:
        total = self.stages.total()
        reached = ", ".join(f"{stage} {100 * count / total:.1f}%" for stage, count in self.stages.most_common())
        print(
            f"{self.target}: {total:,} inputs in {seconds:.0f} CPU s; {reached}; slowest {self.worst[0]:.2f} s",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=[*TARGETS, "all"], default="all")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"))
    given = parser.parse_args()
    gc.set_threshold(100_000)  # as the command line does
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for target in TARGETS if given.target == "all" else [given.target]:
        Campaign(target, given.found).run(given.runs, given.seed)


if __name__ == "__main__":
    main()
