"""What races save, and at what price: how far the winner of a search is below the best point, beside what was measured.

python -m benchmarks.races [--seeds N] [--firsts 264,8,6,4] [--budget ITEMS]

The landscapes and the space of `benchmarks.search` under 30 calls, the default sampler, 264 items of unequal
difficulty. Each search tries 60 architectures, or with `--budget` as many as so many measured items are enough for. A
first rung of 264 is no race. Nothing is asked of any model: whether an architecture answers an item is drawn.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
from collections.abc import Sequence
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from archc.searching import trial as trials
from archc.searching.leaderboard import ranked
from archc.searching.objective import aim_of
from archc.searching.samplers import DEFAULT, Setting, sampler
from archc.searching.study import Study
from archc.searching.trial import Trial
from benchmarks.landscapes import LANDSCAPES
from benchmarks.search import Cap, Problem, caps_of

CALLS, ITEMS, TRIALS = 30, 264, 60
_SPREAD = 1.5
"""The standard deviation of the items' difficulty, as log-odds."""
_STEEP = 1.35
"""How much steeper the log-odds of an average item are, so that the mean is about the landscape's value."""


class Course:
    """Stands in for the one that asks models: draws whether a point answers an item."""

    def __init__(self, problem: Problem, seed: int, budget: int) -> None:
        rng = Random(f"items {seed}")
        self.problem, self.seed, self.left, self.measured = problem, seed, budget, 0
        self.hard = [rng.gauss(0, _SPREAD) for _ in range(ITEMS)]

    async def measure(self, trial: Trial, upto: int) -> bool:
        """Whether there was room for it."""
        missing = range(trial.items, upto)
        if len(missing) > self.left:
            return False
        key: Any = trial.plan
        value = self.problem.values[key.point]
        odds = math.log(value / (1 - value)) * _STEEP
        for at in missing:
            share = 1 / (1 + math.exp(-odds - self.hard[at]))
            correct = Random(f"{self.seed} {key.point} {at}").random() < share
            trial.records.append(_record(correct))
        self.left -= len(missing)
        self.measured += len(missing)
        return True


def _record(correct: bool) -> dict[str, Any]:
    nothing = dict.fromkeys(("calls", "tokens", "prompt_tokens", "completion_tokens", "usd", "seconds"), 0)
    return {"correct": correct, "score": float(correct), "status": "ok", "abstained": False, "cached": True, **nothing}


def _plan(cap: Cap, point: Any) -> Any:
    """As much of a plan as a trial looks at."""
    bound = SimpleNamespace(lo=0, hi=0)
    return SimpleNamespace(
        point=cap.domain.key(point), cost=SimpleNamespace(calls=bound, tokens=bound, usd=None), depth=bound
    )


async def searched(cap: Cap, land: str, seed: int, first: int, budget: int | None) -> tuple[float, ...]:
    """The items measured, the share of all of them, the trials in full, and the regret of the winner."""
    problem = cap.problem(land, seed)
    order: Any = SimpleNamespace(
        **{"first": first, "eta": 3.0, "alpha": 0.05, "seed": seed, "abreast": 4, "start": ()},
        **{"trials": None if budget else TRIALS, "split": (range(ITEMS), ()), "aim": aim_of((), (), ())},
        **{"domain": cap.domain, "plan": lambda point: _plan(cap, point), "seed_of": lambda _: 0},
    )
    course: Any = Course(problem, seed, budget or TRIALS * ITEMS)
    engine: Any = SimpleNamespace(stopped=False)
    study = Study(order, sampler(DEFAULT, Setting(cap.domain, seed)), course, engine)
    await study.run(lambda _: None)
    begun = sum(trial.items > 0 for trial in study.trials)
    board: Sequence[Any] = ranked(study.trials, order.aim)
    found = problem.values[board[0].plan.point] if board else 0.0
    return course.measured, course.measured / ITEMS / begun, len(board), 100 * (problem.best - found)


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--seeds", type=int, default=20)
    reader.add_argument("--firsts", default=f"{ITEMS},8,6,4")
    reader.add_argument("--budget", type=int)
    given = reader.parse_args()
    [cap] = caps_of((CALLS,))
    print("| first rung | items measured | of all items of each | in full | below the best, points (standard error) |")
    print("|---|---|---|---|---|")
    with patch.object(trials, "run_key", lambda plan, seed: str(plan.point)):
        for first in map(int, given.firsts.split(",")):
            rows = [
                asyncio.run(searched(cap, land, seed, first, given.budget))
                for land in LANDSCAPES
                for seed in range(given.seeds)
            ]
            measured, share, full, regret = (statistics.fmean(column) for column in zip(*rows, strict=True))
            error = statistics.stdev(row[-1] for row in rows) / len(rows) ** 0.5 if len(rows) > 1 else 0.0
            print(
                f"| {first} | {measured:,.0f} | 1/{1 / share:.1f} | {full:.1f} | {regret:.1f} ({error:.1f}) |",
                flush=True,
            )


if __name__ == "__main__":
    main()
