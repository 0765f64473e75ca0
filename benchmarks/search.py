"""How many evaluations each sampler needs to reach within 1 % of the best of Archon's 9,576 architectures.

python -m benchmarks.search [--quick] [--seeds N] [--samplers gp,tpe,…] [--caps 10,50]

The landscapes (`landscapes.py`) are seeded, a measurement is the share of right answers among 100 questions, and no
point may have more calls at most than the cap says, by the bounds of its plan. A sampler has reached the best when a
point that it proposed is truly within 1 % of it, however it was measured. Medians and quartiles over seeds and landscapes.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from archc import api
from archc.search.domain import Domain, Key
from archc.search.samplers import Setting, Told, names, sampler
from archc.spec.space.points import Point
from benchmarks.landscapes import LANDSCAPES, Choices, Landscape

SPACE = Path(__file__).parent.parent / "search" / "archon-itas.arch"
CAPS = (10, 20, 30, 40, 50)
QUESTIONS = 100
ENOUGH = 0.99
"""The share of the best value that counts as reached."""
MOST = 1000
"""Evaluations after which a sampler is stopped; it counts as having needed so many."""
SLOW = {"tpe": 5, "nsga2": 5, "archon-bo": 5}
"""Samplers that get fewer seeds, since each of their proposals takes long."""
ASKED = [name for name in names() if name != "llm"]
"""All but the one that asks a model."""


def choices(point: Point) -> Choices:
    """The point of the space as what landscapes take."""
    g, s, w1, w2, w3 = (int(str(point[name])) for name in ("g", "s", "w1", "w2", "w3"))
    return g, s, w1, w2, w3, str(point["v"])


def compiled_calls(c: Choices) -> int:
    """The calls of an architecture where no judgement has to be asked for twice: the lower bound of its plan."""
    point: Point = dict(zip(("g", "s", "w1", "w2", "w3", "v"), c, strict=True))
    return api.compile(_source(), choices=point, environ={}).cost.calls.lo


def calls(c: Choices) -> int:
    """The same from parts, since compiling takes 20 ms: what comes first, each layer after its predecessor, the check."""
    g, s, w1, w2, w3, check = c
    total = _start(g * s, w1)
    for before, width in ((w1, w2), (w2, w3)):
        total += _layer(before, width) if width else 0
    return total + _check(w3 or w2 or w1, check)


@cache
def _source() -> api.Source:
    return api.read(SPACE)


@cache
def _alone(candidates: int, w1: int, w2: int = 0, check: str = "none") -> int:
    g, s = next((g, candidates // g) for g in range(1, 11) if candidates % g == 0 and candidates // g <= 5)
    return compiled_calls((g, s, w1, w2, 0, check))


def _start(candidates: int, w1: int) -> int:
    return _alone(candidates, 2) + _alone(6, w1) - _alone(6, 2)


@cache
def _layer(before: int, width: int) -> int:
    return _alone(6, before, width) - _alone(6, before)


@cache
def _check(last: int, check: str) -> int:
    return _alone(6, last, 0, check) - _alone(6, last)


@dataclass(frozen=True)
class Problem:
    """A landscape under a cap."""

    domain: Domain
    values: dict[Key, float]
    best: float

    @staticmethod
    def of(domain: Domain, landscape: Landscape) -> Problem:
        """The true value of every point that may be tried."""
        listed = zip(domain.keys, domain.listed or (), strict=True)
        values = {key: min(0.99, max(0.01, landscape(choices(p)))) for key, p in listed if domain.allows(p)}
        return Problem(domain, values, max(values.values()))

    def measured(self, key: Key, seed: int) -> float:
        """The share of right answers, of a sample of questions."""
        rng, value = Random(f"{seed} {key}"), self.values[key]
        return sum(rng.random() < value for _ in range(QUESTIONS)) / QUESTIONS


def needed(problem: Problem, name: str, seed: int, most: int = MOST) -> int:
    """How many evaluations a sampler takes to reach the best; `most` where it does not."""
    return asyncio.run(_search(problem, name, seed, most))


async def _search(problem: Problem, name: str, seed: int, most: int) -> int:
    asked = sampler(name, Setting(problem.domain, seed))
    for number in range(most):
        points = await asked.ask(1)
        if not points:
            break
        key = problem.domain.key(points[0])
        if problem.values[key] >= ENOUGH * problem.best:
            return number + 1
        asked.tell(Told(number, points[0], (problem.measured(key, seed),), QUESTIONS))
    return most


def domains(caps: tuple[int, ...]) -> Iterator[tuple[int, Domain]]:
    """The space under each cap."""
    whole = Domain(api.space(_source()))
    for cap in caps:
        domain = Domain(whole.space, lambda point, cap=cap: calls(choices(point)) <= cap)  # type: ignore[misc]
        vars(domain).update({name: getattr(whole, name) for name in ("listed", "keys", "places")})
        yield cap, domain


def quartiles(counts: list[int]) -> str:
    """The median with the quartiles around it."""
    low, middle, high = statistics.quantiles(counts, n=4) if len(counts) > 1 else [counts[0]] * 3
    return f"{middle:4.0f} ({low:.0f}-{high:.0f})"


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--quick", action="store_true", help="one seed, two caps")
    reader.add_argument("--seeds", type=int, default=20)
    reader.add_argument("--samplers", default=",".join(ASKED))
    reader.add_argument("--landscapes", default=",".join(LANDSCAPES))
    reader.add_argument("--caps", default=",".join(map(str, CAPS)))
    reader.add_argument("--most", type=int, default=MOST)
    given = reader.parse_args()
    caps = (10, 30) if given.quick else tuple(map(int, given.caps.split(",")))
    seeds = 1 if given.quick else given.seeds
    asked, lands = given.samplers.split(","), given.landscapes.split(",")
    print(f"evaluations to reach 99 % of the best: median (quartiles) over {seeds} seeds; a * has fewer seeds")
    for cap, domain in domains(caps):
        for name in asked:
            count = min(seeds, SLOW.get(name, seeds))
            began, all_counts, cells = time.perf_counter(), [], []
            for land in lands:
                counts = []
                for seed in range(count):
                    problem = Problem.of(domain, LANDSCAPES[land](Random(f"{land} {seed}")))
                    counts.append(needed(problem, name, seed, given.most))
                all_counts += counts
                cells.append(f"{land} {quartiles(counts)}")
            mark = "*" if count < seeds else " "
            took = time.perf_counter() - began
            points = domain.count()
            print(f"cap {cap} ({points} points) {name:10}{mark} all {quartiles(all_counts)} | {' | '.join(cells)} | {took:.0f} s", flush=True)


if __name__ == "__main__":
    main()
