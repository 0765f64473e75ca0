"""Preferences: what a judge's comparisons of two answers add up to.

A preference is from 0 to 1: 1 if the first of the two wins, 0.5 for a tie. If a judge saw both orders, it is their
mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import pstdev

from archc.bench.metrics._newton import climb, solve
from archc.bench.metrics.intervals import Estimate, bootstrap, quantile
from archc.ops.score import logistic

_PRIOR = 0.01
"""How much a coefficient of the regression is drawn towards 0, so that it stays finite if one wins always."""


def win_rate(preferences: Sequence[float], seed: int, level: float = 0.95) -> Estimate:
    """The mean preference for the first, a share, with the interval of `bootstrap`.

    ValueError without preferences, or for one outside of 0 to 1.
    """
    return bootstrap(_checked(preferences), seed, level=level)


def length_controlled(
    preferences: Sequence[float], lengths: Sequence[float], others: Sequence[float], level: float = 0.95
) -> Estimate:
    """The win rate if both had written answers of the same length, a share (arXiv 2404.04475).

    Fits P(first wins) = σ(θ + φ·tanh(d/s)) by logistic regression, d the difference of the lengths (`lengths` −
    `others`, in any unit) and s its standard deviation, and gives σ(θ). The interval comes from the curvature of the
    likelihood; it is on the safe side where preferences are not only 0 and 1. The paper's term for an instruction's
    difficulty needs the results of many models and is left out. Where all d are equal, length cannot be told from
    quality and is left out too. ValueError unless the lists have one length, not 0, and each preference is from 0 to 1.
    """
    if not len(_checked(preferences)) == len(lengths) == len(others):
        raise ValueError(f"{len(preferences)} preferences, {len(lengths)} and {len(others)} lengths")
    longer = [a - b for a, b in zip(lengths, others, strict=True)]
    spread = pstdev(longer)
    terms = [math.tanh(d / spread) if spread else 0.0 for d in longer]

    def likelihood(at: Sequence[float]) -> tuple[float, list[float], list[list[float]]]:
        theta, phi = at
        value = -_PRIOR / 2 * (theta**2 + phi**2)
        slope, curve = [-_PRIOR * theta, -_PRIOR * phi], [[-_PRIOR, 0.0], [0.0, -_PRIOR]]
        for wanted, term in zip(preferences, terms, strict=True):
            row, log = (1.0, term), theta + phi * term
            value += wanted * log - _softplus(log)
            for i in range(2):
                slope[i] += row[i] * (wanted - logistic(log))
                for j in range(2):
                    curve[i][j] -= row[i] * row[j] * logistic(log) * logistic(-log)
        return value, slope, curve

    best = climb(likelihood, [0.0, 0.0])
    variance = solve([[-x for x in row] for row in likelihood(best)[2]], [1.0, 0.0]) or [math.inf]
    half = quantile(level) * math.sqrt(variance[0])
    return Estimate(logistic(best[0]), logistic(best[0] - half), logistic(best[0] + half))


def _checked(preferences: Sequence[float]) -> Sequence[float]:
    if not preferences or not all(0 <= one <= 1 for one in preferences):
        raise ValueError(f"preferences {list(preferences)}")
    return preferences


def _softplus(x: float) -> float:
    """log(1 + e^x)."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
