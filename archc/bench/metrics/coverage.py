"""Coverage: how the share of items with any right sample grows with the samples, and what more of them would give.

An item is a pair (n, c): of `n` samples `c` were right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from archc.bench.metrics._newton import climb
from archc.bench.metrics.pool import pass_at_k

Counts = Sequence[tuple[int, int]]


def coverage(counts: Counts, ks: Sequence[int]) -> list[float]:
    """The mean of pass@k over the items, for each k: the coverage curve (arXiv 2407.21787), shares from 0 to 1.

    Its interval is `bootstrap` over the items. ValueError without items, or unless 1 ≤ k ≤ n for all.
    """
    if not counts:
        raise ValueError("no items")
    return [fmean(pass_at_k(n, c, k) for n, c in counts) for k in ks]


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """The curve exp(a·k^b): with `a` and `b` below 0 it rises to 1."""

    a: float
    b: float

    def at(self, k: float) -> float:
        """The share that it gives for k samples. ValueError if k is not positive."""
        if not k > 0:
            raise ValueError(f"{k} samples")
        return math.exp(self.a * k**self.b)


def power_law(ks: Sequence[float], shares: Sequence[float]) -> PowerLaw:
    """The power law nearest to a coverage curve: log c(k) ≈ a·k^b by least squares (arXiv 2407.21787).

    For given b the best a is known, so only b is searched, from −8 to 0. Spread `ks` evenly in log k. On what is beyond
    the last k it is worse than `beta_binomial`, which knows the items. ValueError with fewer than two ks, a k that is
    not positive, a share that is not in (0, 1], or a curve that is 1 from the start.
    """
    if len(ks) != len(shares) or len(set(ks)) < 2 or min(ks) <= 0 or not all(0 < share <= 1 for share in shares):
        raise ValueError(f"no curve: {list(ks)} and {list(shares)}")
    logs = [math.log(share) for share in shares]
    if not any(logs):
        raise ValueError("all shares are 1")

    def best(b: float) -> tuple[float, float]:
        """How far off it is, and with which a."""
        powers = [(k / min(ks)) ** b for k in ks]
        a = math.fsum(x * y for x, y in zip(powers, logs, strict=True)) / math.fsum(x * x for x in powers)
        return math.fsum((a * x - y) ** 2 for x, y in zip(powers, logs, strict=True)), a

    low, high = -8.0, 0.0
    while high - low > 1e-12:  # a grid that narrows around its best place, so that a local minimum is no trap
        step = (high - low) / 32
        middle = min((low + i * step for i in range(33)), key=lambda b: best(b)[0])
        low, high = max(low, middle - step), min(high, middle + step)
    b = (low + high) / 2
    return PowerLaw(best(b)[1] * min(ks) ** -b, b)


@dataclass(frozen=True, slots=True)
class BetaBinomial:
    """Items whose chance of a right sample is Beta(alpha, beta) distributed."""

    alpha: float
    beta: float

    def at(self, k: float) -> float:
        """The coverage of k samples, 1 − E[(1−p)^k] = 1 − B(alpha, beta + k)/B(alpha, beta), for any k ≥ 0.

        ValueError if k is negative.
        """
        if k < 0:
            raise ValueError(f"{k} samples")
        a, b = self.alpha, self.beta
        return -math.expm1(math.lgamma(b + k) - math.lgamma(b) + math.lgamma(a + b) - math.lgamma(a + b + k))


def beta_binomial(counts: Counts) -> BetaBinomial:
    """The beta-binomial distribution that makes the counts most probable; n may differ from item to item.

    Its coverage goes beyond the samples that there are, and behaves like a power of k for many of them: 1 − c(k) ~
    k^−alpha (arXiv 2502.17578). Where the items differ no more than chance would have it, alpha and beta are large
    (their sum at most e^13), and all items have about the same chance. ValueError unless 0 ≤ c ≤ n for all and 2 ≤ n
    for some item, and if all samples are right or all are wrong: then the counts do not tell how the items differ.
    """
    if any(not 0 <= c <= n for n, c in counts) or max((n for n, _ in counts), default=0) < 2:
        raise ValueError(f"counts {list(counts)}")
    right, total = sum(c for _, c in counts), sum(n for n, _ in counts)
    if right in (0, total):
        raise ValueError(f"{right} of {total} samples are right")
    over, under = _more_than([c for _, c in counts]), _more_than([n - c for n, c in counts])
    whole, share = _more_than([n for n, _ in counts]), right / total

    def likelihood(at: Sequence[float]) -> tuple[float, list[float], list[list[float]]]:
        """With slope and curvature, by the logarithms of alpha and beta: Σlog(α+i) + Σlog(β+i) − Σlog(α+β+i)."""
        a, b = map(math.exp, at)
        (va, ga, ha), (vb, gb, hb), (v, g, h) = _logs(a, over), _logs(b, under), _logs(a + b, whole)
        slope = [a * (ga - g), b * (gb - g)]
        mixed = -a * b * h
        return va + vb - v, slope, [[a * a * (ha - h) + slope[0], mixed], [mixed, b * b * (hb - h) + slope[1]]]

    a, b = climb(likelihood, [math.log(share), math.log(1 - share)], limit=12.0)
    return BetaBinomial(math.exp(a), math.exp(b))


def _more_than(counts: Sequence[int]) -> list[int]:
    """For each i how many of the counts are more than i."""
    exactly = [0] * (max(counts) + 1)
    for count in counts:
        exactly[count] += 1
    return list(accumulate(exactly[:0:-1]))[::-1]


def _logs(x: float, times: Sequence[int]) -> tuple[float, float, float]:
    """Σ timesᵢ·log(x + i), with its first and second derivative."""
    terms = [(x + i, many) for i, many in enumerate(times)]
    value = math.fsum(many * math.log(at) for at, many in terms)
    return value, math.fsum(many / at for at, many in terms), -math.fsum(many / at**2 for at, many in terms)
