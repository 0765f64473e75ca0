"""How many evaluations each sampler needs to reach within 1 % of the best of Archon's 9,576 architectures.

python -m benchmarks.search [--quick] [--seeds N] [--samplers gp,tpe,…] [--caps 10,50]

The landscapes (`landscapes.py`) are seeded, a measurement is the share of right answers among 100 questions, and no
point has more calls than the cap says, by its plan where no judgement is asked for twice. A sampler has reached the
best when a point that it proposed is truly within 1 % of it, however it was measured. Told are medians and quartiles
over seeds, where a search that did not get there in 400 evaluations counts as 400.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from random import Random

from archc import api
from archc.searching.domain import Domain, Key
from archc.searching.samplers import Setting, Told, names, sampler
from archc.spec.space.points import Point
from benchmarks.landscapes import LANDSCAPES, Choices

SPACE = Path(__file__).parent.parent / "search" / "archon-itas.arch"
CAPS = (10, 20, 30, 40, 50)
QUESTIONS = 100
ENOUGH = 0.99
"""The share of the best value that counts as reached."""
MOST = 400
"""Evaluations after which a sampler is stopped; it counts as having needed so many."""


def choices(point: Point) -> Choices:
    """The point of the space as what landscapes take."""
    g, s, w1, w2, w3 = (int(str(point[name])) for name in ("g", "s", "w1", "w2", "w3"))
    return g, s, w1, w2, w3, str(point["v"])


def compiled_calls(c: Choices) -> int:
    """The calls of an architecture where no judgement has to be asked for twice: the lower bound of its plan."""
    point: Point = dict(zip(("g", "s", "w1", "w2", "w3", "v"), c, strict=True))
    return api.compile(_source(), choices=point, environ={}).cost.calls.lo


def calls(c: Choices) -> int:
    """The same from parts, since compiling takes 20 ms: the start, each layer after its predecessor, the check."""
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

    @cached_property
    def best(self) -> float:
        return max(self.values.values())

    def measured(self, key: Key, seed: int) -> float:
        """The share of right answers, of a sample of questions."""
        rng, value = Random(f"{seed} {key}"), self.values[key]
        return sum(rng.random() < value for _ in range(QUESTIONS)) / QUESTIONS


@dataclass(frozen=True)
class Cap:
    """The space under a cap."""

    calls: int
    domain: Domain
    points: Sequence[tuple[Key, Choices]]

    def problem(self, land: str, seed: int) -> Problem:
        """A landscape with the true value of every point that may be tried."""
        value = LANDSCAPES[land](Random(f"{land} {seed}"))
        return Problem(self.domain, {key: min(0.99, max(0.01, value(c))) for key, c in self.points})


def caps_of(numbers: Sequence[int]) -> Iterator[Cap]:
    whole = Domain(api.space(_source()))
    for number in numbers:
        domain = Domain(whole.space, lambda point, most=number: calls(choices(point)) <= most)  # type: ignore[misc]
        vars(domain).update({name: getattr(whole, name) for name in ("listed", "keys", "places")})
        listed = zip(domain.keys, domain.listed or (), strict=True)
        yield Cap(number, domain, [(key, choices(point)) for key, point in listed if domain.allows(point)])


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


def quartiles(counts: Sequence[int]) -> str:
    """The median with the quartiles around it."""
    low, middle, high = statistics.quantiles(counts, n=4, method="inclusive") if len(counts) > 1 else [counts[0]] * 3
    return f"{middle:.0f} ({low:.0f}-{high:.0f})"


def table(cap: Cap, asked: Sequence[str], seeds: int, most: int) -> Iterator[str]:
    """The rows of a cap, one for each sampler."""
    found: dict[str, dict[str, list[int]]] = {name: {land: [] for land in LANDSCAPES} for name in asked}
    for land in LANDSCAPES:
        for seed in range(seeds):
            problem = cap.problem(land, seed)
            for name in asked:
                found[name][land].append(needed(problem, name, seed, most))
    for name, lands in found.items():
        every = [count for counts in lands.values() for count in counts]
        cells = [quartiles(every), *map(quartiles, lands.values()), str(seeds)]
        yield f"| {cap.calls} | {len(cap.points):,} | `{name}` | {' | '.join(cells)} |"


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--quick", action="store_true", help="one seed, two caps, 40 evaluations")
    reader.add_argument("--seeds", type=int, default=20)
    reader.add_argument("--samplers", default=",".join(name for name in names() if name != "llm"))
    reader.add_argument("--caps", default=",".join(map(str, CAPS)))
    given = reader.parse_args()
    caps = (10, 30) if given.quick else tuple(map(int, given.caps.split(",")))
    print(f"| cap | points | sampler | all | {' | '.join(LANDSCAPES)} | seeds |")
    print("|---|---|---|---|" + "---|" * (len(LANDSCAPES) + 1))
    for cap in caps_of(caps):
        for row in table(cap, given.samplers.split(","), *((1, 40) if given.quick else (given.seeds, MOST))):
            print(row, flush=True)


if __name__ == "__main__":
    main()
