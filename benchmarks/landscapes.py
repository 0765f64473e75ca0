"""Landscapes: how good the points of search/archon-itas.arch might be, by seed, as a share of right answers.

Each is a function of (generators, samples, widths of three layers of fusers, verification); its coefficients are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

Choices = tuple[int, int, int, int, int, str]
Landscape = Callable[[Choices], float]


def diminishing(rng: Random) -> Landscape:
    """Everything helps, and ever less; nothing depends on anything else."""
    more = [_saturating(rng, rng.uniform(0.03, 0.15)) for _ in range(5)]
    check = {"none": 0.0, "verifier": rng.uniform(-0.04, 0.08), "unit_tests": rng.uniform(-0.04, 0.08)}
    return lambda c: 0.35 + sum(f(x) for f, x in zip(more, _units(c), strict=True)) + check[c[5]]


def interacting(rng: Random) -> Landscape:
    """Each pair helps or hurts each other, too; too much of some things hurts."""
    more = [_saturating(rng, rng.uniform(0.02, 0.12)) for _ in range(5)]
    too_much = [rng.choice([0.0, 0.0, rng.uniform(0.02, 0.10)]) for _ in range(5)]
    pairs = {(i, j): rng.gauss(0, 0.08) for i in range(5) for j in range(i)}
    check = {kind: [rng.gauss(0, 0.05) for _ in range(5)] for kind in ("verifier", "unit_tests")}

    def value(c: Choices) -> float:
        u = _units(c)
        alone = sum(f(x) - t * x * x for f, t, x in zip(more, too_much, u, strict=True))
        paired = sum(w * u[i] * u[j] for (i, j), w in pairs.items())
        checked = sum(w * (x - 0.4) for w, x in zip(check.get(c[5], [0.0] * 5), u, strict=True))
        return 0.45 + alone + paired + checked

    return value


def ridge(rng: Random) -> Landscape:
    """Candidates and fusers must match: along a narrow ridge it is good everywhere, and best somewhere."""
    wanted, slope, end = rng.uniform(1.0, 2.6), rng.uniform(0.3, 0.8), rng.uniform(0.2, 0.9)
    check = {"none": 0.0, "verifier": rng.uniform(-0.03, 0.05), "unit_tests": rng.uniform(-0.03, 0.05)}

    def value(c: Choices) -> float:
        fusers = math.log1p(c[2] + c[3] + c[4])
        off = math.log(c[0] * c[1]) - wanted - slope * (fusers - 2.0)
        return 0.72 - 0.09 * off * off - 0.10 * (fusers / math.log(25) - end) ** 2 + check[c[5]]

    return value


def deceptive(rng: Random) -> Landscape:
    """More is better, but best of all is a small corner that is reached by going down."""
    more = [_saturating(rng, rng.uniform(0.02, 0.07)) for _ in range(5)]
    kind = rng.choice(["verifier", "unit_tests"])
    height, width = rng.uniform(0.20, 0.26), rng.uniform(0.25, 0.4)

    def value(c: Choices) -> float:
        u = _units(c)
        near = math.exp(-(u[0] ** 2 + (u[1] - 0.5) ** 2 + 0.25 * (u[2] - 0.25) ** 2 + 0.25 * u[3] ** 2) / width**2)
        return 0.40 + sum(f(x) for f, x in zip(more, u, strict=True)) + height * near * (c[5] == kind)

    return value


def plateau(rng: Random) -> Landscape:
    """Many points do the same: generators beyond a few add nothing, only the last layer counts, steps are coarse."""
    enough, most = rng.randint(3, 8), rng.choice([6, 8, 10, 12, 16])
    gain, layers = rng.uniform(0.1, 0.2), [rng.uniform(0, 0.12) for _ in range(3)]
    check = {"none": 0.0, "verifier": rng.uniform(0, 0.06), "unit_tests": rng.uniform(0, 0.06)}

    def value(c: Choices) -> float:
        candidates = min(min(c[0], enough) * c[1], most)
        depth = (c[2] > 0) + (c[3] > 0) + (c[4] > 0)
        last = c[4] or c[3] or c[2]
        return 0.4 + gain * (candidates // 2 * 2) / most + layers[depth - 1] + 0.06 * (last >= 4) + check[c[5]]

    return value


LANDSCAPES: dict[str, Callable[[Random], Landscape]] = {
    f.__name__: f for f in (diminishing, interacting, ridge, deceptive, plateau)
}


def _units(c: Choices) -> tuple[float, ...]:
    return (c[0] - 1) / 9, (c[1] - 1) / 4, c[2] / 8, c[3] / 8, c[4] / 8


def _saturating(rng: Random, height: float) -> Callable[[float], float]:
    speed = rng.uniform(1.0, 6.0)
    return lambda x: height * (1 - math.exp(-speed * x)) / (1 - math.exp(-speed))
