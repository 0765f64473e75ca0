"""The highest place of a smooth function of a few numbers, by Newton's method."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Function = Callable[[Sequence[float]], tuple[float, list[float], list[list[float]]]]
"""The value at a place, the slope, and the curvature."""

_STEPS = 200
_STEEP = 1e10
"""A damping at which a step does nothing any more."""


def climb(function: Function, start: Sequence[float], limit: float = math.inf) -> list[float]:
    """Where the function is highest, from `start` upwards and no further than `limit` from 0 in any direction.

    Each step is damped (Levenberg and Marquardt) until it leads up, so the value never falls.
    """
    at, damping = list(start), 1e-3
    value, slope, curve = function(at)
    for _ in range(_STEPS):
        steep = [[-x + (damping * (1 + abs(x)) if i == j else 0) for j, x in enumerate(r)] for i, r in enumerate(curve)]
        step = solve(steep, slope)
        there = [max(-limit, min(limit, x + d)) for x, d in zip(at, step or slope, strict=True)]
        if step and (found := function(there))[0] >= value:
            moved = max(abs(x - y) for x, y in zip(there, at, strict=True))
            at, (value, slope, curve), damping = there, found, damping / 10
            if moved < 1e-12:
                break
        elif (damping := damping * 10) > _STEEP:
            break
    return at


def solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float] | None:
    """The solution of a positive definite system, by Cholesky's method; None if it is not positive definite."""
    size, root = len(right), [[0.0] * len(right) for _ in right]
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i][j] - math.fsum(root[i][k] * root[j][k] for k in range(j))
            if i == j and not rest > 0:
                return None
            root[i][j] = math.sqrt(rest) if i == j else rest / root[j][j]
    half: list[float] = []
    for i in range(size):
        half.append((right[i] - math.fsum(root[i][k] * half[k] for k in range(i))) / root[i][i])
    found = [0.0] * size
    for i in reversed(range(size)):
        found[i] = (half[i] - math.fsum(root[k][i] * found[k] for k in range(i + 1, size))) / root[i][i]
    return found
