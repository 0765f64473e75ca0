"""Estimates with intervals: exact formulas for rates, the bootstrap for everything else."""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Any

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number as measured, and the interval that covers the true one as often as its level says."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def wilson(successes: int, n: int, level: float = 0.95) -> Estimate:
    """The share of `successes` among `n` independent items, with Wilson's score interval (1927).

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n), z the normal quantile of (1 + level)/2. Shares from 0 to 1. Right
    at 0 and `n` too, where a bootstrap is certain of what it cannot know. ValueError unless 0 ≤ successes ≤ n, n > 0.
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} successes among {n}")
    share, square = successes / n, quantile(level) ** 2
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = math.sqrt(square * (share * (1 - share) / n + square / (4 * n * n))) / (1 + square / n)
    low = 0.0 if successes == 0 else middle - half
    return Estimate(share, low, 1.0 if successes == n else middle + half)


def bootstrap(
    values: Sequence[Any],
    seed: int,
    of: Callable[[Sequence[Any]], float] = fmean,
    level: float = 0.95,
    draws: int = 5000,
) -> Estimate:
    """A statistic `of` independent items, the mean if not said, with the BCa interval of Efron (1987).

    Resamples the items with replacement, and corrects the percentiles for bias (z₀) and for skew (acceleration a, by
    leaving out each item once): Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z))). Where the correction is not defined the percentiles
    stand as they are. If all items are equal the interval is a point: take `wilson` or `paired_rates` for rates. `of`
    may raise ValueError for a resample that it cannot judge (all items right, say); those are left out. The same seed
    gives the same interval, in whatever order the items come. ValueError without items or draws, and if more than half
    of the draws cannot be judged.
    """
    if not values or draws < 1:
        raise ValueError(f"{draws} draws of {len(values)} items")
    values = sorted(values, key=repr)
    value, rng = of(values), random.Random(seed)
    drawn = sorted(_judged(of, (rng.choices(values, k=len(values)) for _ in range(draws))))
    if 2 * len(drawn) < draws:
        raise ValueError(f"{draws - len(drawn)} of {draws} resamples have no value")
    z, bias, skew = quantile(level), _bias(drawn, value), _skew(values, of)
    low, high = (_end(drawn, _corrected(one, bias, skew)) for one in (-z, z))
    return Estimate(value, low, high)


def paired_difference(
    a: Sequence[float], b: Sequence[float], seed: int, level: float = 0.95, draws: int = 5000
) -> Estimate:
    """How much more `a` has than `b` on the same items, in their unit: the mean of a − b, by `bootstrap` of the pairs.

    If both are only right or wrong, `paired_rates` is better where few items differ. ValueError if the lengths differ.
    """
    return bootstrap([x - y for x, y in _pairs(a, b)], seed, level=level, draws=draws)


def paired_rates(wins: int, losses: int, n: int, level: float = 0.95) -> Estimate:
    """How much more often one of two is right, of `n` items: only it on `wins` of them, only the other on `losses`.

    (wins − losses)/n, a difference of shares from −1 to 1. The interval is the Wald interval after one more win and one
    more loss among n + 2 (Bonett and Price, 2012), so that it holds where few or none of the items differ, too.
    ValueError if a count is negative, or wins and losses are more than n.
    """
    if min(wins, losses) < 0 or wins + losses > n or n < 1:
        raise ValueError(f"{wins} wins and {losses} losses among {n}")
    won, lost = (wins + 1) / (n + 2), (losses + 1) / (n + 2)
    half = quantile(level) * math.sqrt((won + lost - (won - lost) ** 2) / (n + 2))
    return Estimate((wins - losses) / n, max(-1.0, won - lost - half), min(1.0, won - lost + half))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that a `share` of the values lies below: 0.5 is the median. In the unit of the values.

    Linear between the two nearest (type 7 of Hyndman and Fan, 1996): the value at place share · (n − 1) of the sorted
    values. ValueError without values, or if the share is not from 0 to 1.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"a share of {share} of {len(values)} values")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    under = ordered[math.floor(place)]
    return under + (place % 1) * (ordered[math.ceil(place)] - under)


def quantile(level: float) -> float:
    """How many standard deviations to both sides hold a share of `level`: 1.96 for 0.95.

    That is the normal quantile of (1 + level)/2. ValueError unless 0 < level < 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"a level of {level}")
    return _NORMAL.inv_cdf((1 + level) / 2)


def _pairs(a: Sequence[float], b: Sequence[float]) -> list[tuple[float, float]]:
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values beside {len(b)}")
    return list(zip(a, b, strict=True))


def _judged(of: Callable[[Sequence[Any]], float], samples: Iterable[Sequence[Any]]) -> Iterator[float]:
    for sample in samples:
        with suppress(ValueError):
            yield of(sample)


def _bias(drawn: Sequence[float], value: float) -> float | None:
    """z₀: how many standard deviations the middle of what was drawn is off. None if all lies on one side."""
    below = (bisect_left(drawn, value) + bisect_right(drawn, value)) / (2 * len(drawn))
    return _NORMAL.inv_cdf(below) if 0 < below < 1 else None


def _skew(values: Sequence[Any], of: Callable[[Sequence[Any]], float]) -> float:
    """a = Σd³ / 6(Σd²)^1.5, of the deviations d when each item is left out once."""
    if len(values) < 2:
        return 0.0
    if of is fmean:  # known without computing n means: these are n − 1 times as large, which cancels out
        off = _deviations(values)
    else:
        left = list(_judged(of, ([*values[:i], *values[i + 1 :]] for i in range(len(values)))))
        off = [-d for d in _deviations(left)]
    spread = math.fsum(d * d for d in off) ** 1.5
    return math.fsum(d**3 for d in off) / (6 * spread) if spread else 0.0


def _deviations(values: Sequence[float]) -> list[float]:
    mean = fmean(values) if values else 0.0
    return [value - mean for value in values]


def _end(drawn: Sequence[float], share: float) -> float:
    """Where one more draw would be lower with this chance: n draws cut the line into n + 1 equally likely parts."""
    place = (share * (len(drawn) + 1) - 1) / max(1, len(drawn) - 1)
    return percentile(drawn, min(1.0, max(0.0, place)))


def _corrected(z: float, bias: float | None, skew: float) -> float:
    """The share of the draws that lies below this end of the interval."""
    if bias is None or skew * (bias + z) >= 1:
        return _NORMAL.cdf(z)
    return _NORMAL.cdf(bias + (bias + z) / (1 - skew * (bias + z)))
