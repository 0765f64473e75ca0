"""What k samples of an item would give, from one pool of n ≥ k recorded samples of it: no model is asked again.

Each is the mean over all ways to draw k of the n without replacement, so it has no bias for any k up to n. Values are
from 0 to 1, for one item; the mean over items is the metric.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from fractions import Fraction
from statistics import fmean

_MOST_WORK = 3_000_000
"""Multiplications up to which a majority is counted out, about a quarter of a second."""


def pass_at_k(n: int, c: int, k: int) -> float:
    """The probability that any of `k` samples is right, if `c` of `n` were: 1 − C(n−c, k)/C(n, k).

    The unbiased estimator of Chen et al. (arXiv 2107.03374), in whole numbers, rounded once. ValueError unless
    0 ≤ c ≤ n and 1 ≤ k ≤ n.
    """
    ways = _ways(n, k, c)
    return (ways - math.comb(n - c, k)) / ways


def pass_hat_k(n: int, c: int, k: int) -> float:
    """The probability that all of `k` samples are right, if `c` of `n` were: C(c, k)/C(n, k), written pass^k.

    From τ-bench (arXiv 2406.12045). ValueError unless 0 ≤ c ≤ n and 1 ≤ k ≤ n.
    """
    return math.comb(c, k) / _ways(n, k, c)


def best_of_k(scores: Sequence[float], right: Sequence[bool], k: int) -> float:
    """The probability that the best scored of `k` samples is right; each of equally scored best ones is as likely.

    By score, best first: Σ C(n−i, k−1)·rightᵢ / C(n, k) (arXiv 2404.00725), where samples with one score stand for
    their mean. That is what shuffling them would give on average. ValueError unless scores and right have one length n,
    1 ≤ k ≤ n, and all scores are numbers.
    """
    groups: dict[float, list[bool]] = {}
    for score, one in zip(_numbers(scores, len(right)), right, strict=True):
        groups.setdefault(score, []).append(one)
    ways, under, total = _ways(len(scores), k), 0, Fraction(0)
    for score in sorted(groups):
        group = groups[score]
        best = math.comb(under + len(group), k) - math.comb(under, k)
        total += Fraction(sum(group) * best, len(group))
        under += len(group)
    return float(total / ways)


def majority_at_k(
    answers: Sequence[Hashable | None], right: Sequence[bool], k: int, seed: int = 0, draws: int = 2000
) -> float:
    """The probability that the most frequent answer of `k` samples is right; a tie goes to each as often.

    That is self-consistency (arXiv 2203.11171) with ties to the first seen, as a draw has any order. A sample without
    an answer (None) has no vote; if none of the k has one, the vote is wrong. Samples of one answer that are not
    equally right count with their mean. Exact, by counting for each number of votes t the draws in which an answer has
    t and no other has more; where that is too much work, by `weighted_majority_at_k` with all weights 1. ValueError
    unless answers and right have one length n and 1 ≤ k ≤ n.
    """
    ways, counts = _ways(len(answers), k), Counter(one for one in answers if one is not None)
    share = Counter(answer for answer, one in zip(answers, right, strict=True) if one)
    if _work(counts.values(), k) > _MOST_WORK:
        return weighted_majority_at_k(answers, [1.0] * len(answers), right, k, seed, draws)
    total, wins = Fraction(0), {}
    for answer in share.keys() & counts.keys():
        votes = counts[answer]
        if votes not in wins:
            others = Counter(counts.values())
            others[votes] -= 1
            wins[votes] = _wins(votes, [*others.elements()], len(answers) - counts.total(), k)
        total += Fraction(share[answer], votes) * wins[votes]
    return float(total / ways)


def weighted_majority_at_k(
    answers: Sequence[Hashable | None],
    weights: Sequence[float],
    right: Sequence[bool],
    k: int,
    seed: int = 0,
    draws: int = 2000,
) -> float:
    """The probability that the answer with the most weight among `k` samples is right; a tie goes to each as often.

    Of the winning answer, the heaviest sample counts (arXiv 2206.02336). A sample without an answer has no vote. All
    subsets are tried if they are at most `draws`, else that many at random by `seed`, with a standard error of at most
    1/(2·√draws). ValueError unless answers, weights and right have one length n, 1 ≤ k ≤ n, draws ≥ 1, and no weight is
    negative or infinite.
    """
    n = len(answers)
    if any(not 0 <= weight < math.inf for weight in weights) or not len(weights) == len(right) == n or draws < 1:
        raise ValueError(f"{n} answers, {len(right)} verdicts, {draws} draws, weights {list(weights)}")
    samples = list(zip(answers, weights, right, strict=True))
    if _ways(n, k) <= draws:
        return fmean(_elected(subset) for subset in itertools.combinations(samples, k))
    rng = random.Random(seed)
    return fmean(_elected(rng.sample(samples, k)) for _ in range(draws))


def _ways(n: int, k: int, c: int = 0) -> int:
    """In how many ways k of n can be drawn."""
    if not 1 <= k <= n or not 0 <= c <= n:
        raise ValueError(f"{k} of {n} samples, {c} of them right")
    return math.comb(n, k)


def _numbers(values: Sequence[float], n: int) -> Sequence[float]:
    if len(values) != n or any(math.isnan(value) for value in values):
        raise ValueError(f"{len(values)} scores of {n} samples: {list(values)}")
    return values


def _elected(samples: Iterable[tuple[Hashable | None, float, bool]]) -> float:
    """How probable it is that a vote among these samples is right."""
    groups: dict[Hashable, list[tuple[float, bool]]] = {}
    for answer, weight, right in samples:
        if answer is not None:
            groups.setdefault(answer, []).append((weight, right))
    if not groups:
        return 0.0
    totals = {answer: math.fsum(weight for weight, _ in group) for answer, group in groups.items()}
    most = max(totals.values())
    tied = [groups[answer] for answer, total in totals.items() if total == most]
    return fmean(fmean(right for weight, right in group if weight == max(group)[0]) for group in tied)


def _work(counts: Iterable[int], k: int) -> int:
    """About how many multiplications `_wins` needs."""
    at_least = [0] * (k + 1)
    for count in counts:
        for votes in range(1, min(count, k) + 1):
            at_least[votes] += 1
    return sum(groups * k * min(groups, k // votes) * votes for votes, groups in enumerate(at_least) if votes)


def _wins(votes: int, others: Sequence[int], silent: int, k: int) -> Fraction:
    """In how many draws of k an answer with so many samples wins, those with j ties counted as 1/(j + 1)."""
    total = Fraction(0)
    for most in range(1, min(votes, k) + 1):
        own = math.comb(votes, most)
        for ties, ways in enumerate(_without_more(most, others, silent, k - most)):
            total += Fraction(own * ways, ties + 1)
    return total


def _without_more(most: int, others: Sequence[int], silent: int, k: int) -> list[int]:
    """In how many ways k samples can be drawn with no answer more than `most` times, by how many have just so many."""
    free = silent + sum(count for count in others if count < most)
    table = [[math.comb(free, size) for size in range(k + 1)]]
    for count in others:
        if count < most:
            continue
        fewer = [math.comb(count, i) for i in range(most)]
        grown = [_product(row, fewer, k) for row in table] + [[0] * (k + 1)]
        for ties, row in enumerate(table):
            for size in range(k + 1 - most):
                grown[ties + 1][size + most] += row[size] * math.comb(count, most)
        table = grown if any(grown[-1]) else grown[:-1]
    return [row[k] for row in table]


def _product(a: Sequence[int], b: Sequence[int], degree: int) -> list[int]:
    """The product of two polynomials, up to a degree."""
    made = [0] * (degree + 1)
    for i, x in enumerate(a):
        if x:
            for j, y in enumerate(b[: degree + 1 - i]):
                made[i + j] += x * y
    return made
