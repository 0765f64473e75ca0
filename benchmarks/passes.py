"""What the optimiser saves: the same questions with and without each pass, in one run and in virtual time.

    python -m benchmarks.passes [questions]

Models are simulated and take a random time (log-normal, mean about 1 s); every figure follows from the seed. `answers`
are those that are the same with the pass and without it, and must be all. The second table is about streaming: `ideal`
is the longest chain of calls that must wait for each other, by the times these calls took.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import sys
from collections import defaultdict

from archc import api
from archc.calls import Request
from archc.passes import ORDER
from archc.planning.plan import Plan
from archc.runtime.run import Run
from archc.source import Source
from tests.fakes import Scripted, answer, with_concurrency, with_n

QUESTIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
MODELS = "models: {m: {backend: simulated}}\n"
VOTE = "  - extract: {kind: number}\n  - vote\n"
SPECS = {
    "drop_dead": "  - generate: {model: m, n: 8}\n  - critique: {model: m, by: each}\n" + VOTE,
    "choose_early": "  - generate: {model: m, n: 8}\n  - score: {model: m}\n" + VOTE,
    "run_beside": "  - generate: {model: m, n: 4}\n  - write_tests: {model: m}\n  - evaluate: {model: m}\n",
    "stop_early, p=0.9": "  - generate: {model: m, n: 32, batch: 4}\n" + VOTE,
    "stop_early, p=0.9, one by one": "  - generate: {model: m, n: 32, batch: 1}\n" + VOTE,
    "stop_early, p=0.5": "  - generate: {model: m, n: 32, batch: 4}\n" + VOTE,
    "stop_early, first_k": "  - generate: {model: m, n: 16, batch: 4}\n  - verify: {model: m, first_k: 1}\n",
}
STREAMS = {
    "score": "  - generate: {model: m, n: 16}\n  - score: {model: m}\n  - select: score\n",
    "verify": "  - generate: {model: m, n: 16}\n  - verify: {model: m}\n",
    "critique, refine": "  - generate: {model: m, n: 16}\n  - critique: {model: m, by: each}\n  - refine: {model: m}\n",
}


def takes(request: Request) -> float:
    """Seconds of a call, always the same for the same call."""
    return random.Random(repr((request.messages, request.seeds))).lognormvariate(-0.3, 0.8)


class World(Scripted):
    """A model that is right with probability `right`, judges that see it, and how long each candidate took."""

    def __init__(self, right: float) -> None:
        super().__init__(self._say, self._take)
        self._right = right
        self.chains: dict[str, float] = defaultdict(float)

    def _take(self, request: Request) -> float:
        seconds = takes(request)
        about = re.search(r"draft (\d+)", request.messages[-1].content)
        self.chains[about[1] if about else str(request.seeds[0])] += seconds
        return seconds

    def _say(self, request: Request, i: int) -> str:
        shown, schema = request.messages[-1].content, request.schema or ""
        is_right = "is 42" in shown
        if "results" in schema:
            return json.dumps({"results": [{"test": n, "passed": is_right} for n in (1, 2, 3)]})
        if "score" in schema:
            return json.dumps({"explanation": "", "score": 5})
        if "verdict" in schema:
            return json.dumps({"explanation": "", "verdict": "correct" if is_right else "incorrect"})
        if "tests" in schema:
            return json.dumps({"tests": ["The answer is a number.", "The answer is even.", "The answer is 42."]})
        about = re.search(r"draft (\d+)", shown)
        rng = random.Random(repr((request.messages, request.seeds[i])))
        said = 42 if rng.random() < self._right else rng.randrange(5)
        return f"This is draft {about[1] if about else request.seeds[i]}. The answer is {said}."


def compiled(pipeline: str, skip: tuple[str, ...] = (), budget: str = "") -> Plan:
    """For a server with room for all, and a request for each sample."""
    plan = api.compile(Source("benchmark.yaml", f"{MODELS}{budget}pipeline:\n{pipeline}"), skip=skip)
    return with_n(with_concurrency(plan, 4096), False)


def runs(plan: Plan, right: float) -> list[tuple[Run, World]]:
    """Every question by itself."""
    worlds = [World(right) for _ in range(QUESTIONS)]
    return [(answer(plan, world, f"question {i}"), world) for i, world in enumerate(worlds)]


def passes() -> None:
    """Each pass beside the same without it."""
    print(f"{'pass':<32} {'answers':>9} {'calls':>7} {'without':>8} {'ratio':>6} ", end="")
    print(f"{'seconds':>8} {'without':>8} {'ratio':>6}")
    for name, pipeline in SPECS.items():
        right = 0.5 if "0.5" in name or "first_k" in name else 0.9
        skip = next(run.__name__ for run in ORDER if name.startswith(run.__name__))
        new, old = ([run for run, _ in runs(compiled(pipeline, s), right)] for s in ((), (skip,)))
        same = sum(a.answer == b.answer for a, b in zip(new, old, strict=True))
        calls = [sum(run.spent.calls for run in some) for some in (new, old)]
        seconds = [statistics.fmean(run.seconds for run in some) for some in (new, old)]
        print(
            f"{name:<32} {same:>4}/{QUESTIONS:<4} {calls[0]:>7} {calls[1]:>8} {calls[0] / calls[1]:>6.2f}"
            f" {seconds[0]:>8.2f} {seconds[1]:>8.2f} {seconds[0] / seconds[1]:>6.2f}"
        )


def streaming() -> None:
    """How long it takes beside the longest chain of calls, with streams and where a tight budget forbids them."""
    print(f"\n{'streaming':<32} {'ideal s':>8} {'seconds':>8} {'ratio':>6} {'without':>8} {'ratio':>6}")
    for name, pipeline in STREAMS.items():
        flowing = runs(compiled(pipeline), 0.9)
        waiting = runs(compiled(pipeline, budget="budget: {tokens: 60_000}\n"), 0.9)
        ideal = statistics.fmean(max(world.chains.values()) for _, world in flowing)
        assert [run.digest for run, _ in flowing] == [run.digest for run, _ in waiting]
        new, old = (statistics.fmean(run.seconds for run, _ in some) for some in (flowing, waiting))
        print(f"{name:<32} {ideal:>8.2f} {new:>8.2f} {new / ideal:>6.2f} {old:>8.2f} {old / ideal:>6.2f}")


if __name__ == "__main__":
    passes()
    streaming()
