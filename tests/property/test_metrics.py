"""Random small pools and lists: every metric is what trying all cases gives, by other and slower means."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.bench.metrics.confidence import aurc, auroc, brier, calibration, ece, risk_coverage
from archc.bench.metrics.coverage import beta_binomial, coverage, power_law
from archc.bench.metrics.intervals import bootstrap, paired_rates, percentile, wilson
from archc.bench.metrics.paired import mcnemar
from archc.bench.metrics.pool import best_of_k, majority_at_k, pass_at_k, pass_hat_k, weighted_majority_at_k
from archc.bench.metrics.preference import length_controlled
from archc.bench.metrics.ranking import ndcg

Sample = tuple[Any, float, bool]
SAMPLES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d", None]), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()),
    min_size=1,
    max_size=6,
)
JUDGED = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.25, 0.7, 1.0]), st.booleans()), min_size=1, max_size=6)
PREFERENCES = st.sampled_from([0.0, 0.5, 1.0])


def near(value: float) -> Any:
    return pytest.approx(value, abs=1e-9)


def in_any_order(samples: Sequence[Sample], k: int, win: Callable[[Sequence[Sample]], float]) -> float:
    """The mean over all ways to see k of the samples one after the other."""
    return fmean(win(seen) for seen in itertools.permutations(samples, k))


def first_best(seen: Sequence[Sample]) -> float:
    return max(seen, key=lambda sample: sample[1])[2]


def first_majority(seen: Sequence[Sample]) -> float:
    votes = Counter(answer for answer, _, _ in seen if answer is not None)
    if not votes:
        return 0.0
    winner = max(votes, key=lambda answer: votes[answer])
    return next(right for answer, _, right in seen if answer == winner)


def first_heaviest(seen: Sequence[Sample]) -> float:
    weights: dict[str, float] = {}
    for answer, weight, _ in seen:
        if answer is not None:
            weights[answer] = weights.get(answer, 0.0) + weight
    if not weights:
        return 0.0
    winner = max(weights, key=lambda answer: weights[answer])
    return first_best([sample for sample in seen if sample[0] == winner])


def first_seen_is_fair(samples: Sequence[Sample], k: int) -> float:
    """Among equally heavy answers each wins as often: the first seen would favour one with more samples."""
    total = []
    for subset in itertools.combinations(samples, k):
        names = sorted({answer for answer, _, _ in subset if answer is not None})
        orders = itertools.permutations(names)
        total.append(
            fmean(
                fmean(
                    first_heaviest([s for name in order for s in some if s[0] == name])
                    for some in itertools.permutations(subset)
                )
                for order in orders
            )
        )
    return fmean(total)


# ---- pools


@settings(deadline=None)
@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_any_and_all_of_k_are_what_all_subsets_give(case: tuple[int, int, int]) -> None:
    n, c, k = case
    subsets = list(itertools.combinations([True] * c + [False] * (n - c), k))

    assert pass_at_k(n, c, k) == near(fmean(map(any, subsets)))
    assert pass_hat_k(n, c, k) == near(fmean(map(all, subsets)))


@settings(deadline=None)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_product_that_is_published(case: tuple[int, int, int]) -> None:
    n, c, k = case
    product = 1.0 if n - c < k else 1 - math.prod(1 - k / i for i in range(n - c + 1, n + 1))

    assert pass_at_k(n, c, k) == pytest.approx(product, abs=1e-12)
    assert pass_hat_k(n, c, k) == pytest.approx(1 - pass_at_k(n, n - c, k), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(SAMPLES, st.integers(1, 6))
def test_choices_among_k_are_what_all_orders_give(samples: list[Sample], k: int) -> None:
    k = min(k, len(samples))
    answers, weights, right = [s[0] for s in samples], [s[1] for s in samples], [s[2] for s in samples]

    assert best_of_k(weights, right, k) == near(in_any_order(samples, k, first_best))
    assert majority_at_k(answers, right, k) == near(in_any_order(samples, k, first_majority))


@settings(max_examples=25, deadline=None)
@given(SAMPLES.map(lambda samples: samples[:5]), st.integers(1, 4))
def test_weighted_majorities_are_what_all_orders_give(samples: list[Sample], k: int) -> None:
    k = min(k, len(samples))
    answers, weights, right = [s[0] for s in samples], [s[1] for s in samples], [s[2] for s in samples]

    assert weighted_majority_at_k(answers, weights, right, k) == near(first_seen_is_fair(samples, k))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d", "e", None]), st.booleans()), min_size=1, max_size=12),
    st.integers(1, 12),
)
def test_a_majority_is_one_of_equal_weights(samples: list[tuple[Any, bool]], k: int) -> None:
    answers, right, k = [s[0] for s in samples], [s[1] for s in samples], min(k, len(samples))
    equal = [1.0] * len(samples)

    assert majority_at_k(answers, right, k) == near(weighted_majority_at_k(answers, equal, right, k))


@settings(deadline=None)
@given(st.lists(st.integers(2, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=1, max_size=6))
def test_coverage_and_its_fits_rise(counts: list[tuple[int, int]]) -> None:
    ks = [1, 2]
    shares = coverage(counts, ks)

    assert shares == sorted(shares)
    if 0 < sum(c for _, c in counts) < sum(n for n, _ in counts):
        fit = beta_binomial(counts)
        curve = [fit.at(k) for k in (0, 1, 2, 4, 100, 10_000)]
        assert curve == sorted(curve)
        assert 0 <= curve[0] <= curve[-1] <= 1
    if shares[0] < 1 and shares[0] > 0:
        law = power_law(ks, shares)
        assert law.at(1) <= law.at(2) <= law.at(9) <= 1


# ---- confidence


@settings(deadline=None)
@given(JUDGED)
def test_risk_is_the_mean_over_orders_of_ties(judged: list[tuple[float, bool]]) -> None:
    curves = []
    for order in itertools.permutations(judged):
        best_first = sorted(order, key=lambda pair: -pair[0])
        curves.append([sum(not right for _, right in best_first[:i]) / i for i in range(1, len(judged) + 1)])
    confidence, right = [c for c, _ in judged], [r for _, r in judged]

    assert risk_coverage(confidence, right) == [near(fmean(points)) for points in zip(*curves, strict=True)]
    assert aurc(confidence, right) == near(fmean(map(fmean, curves)))


@settings(deadline=None)
@given(JUDGED)
def test_auroc_is_the_share_of_pairs_in_order(judged: list[tuple[float, bool]]) -> None:
    pairs = [(a, b) for a, r in judged for b, s in judged if r and not s]
    confidence, right = [c for c, _ in judged], [r for _, r in judged]

    if pairs:
        assert auroc(confidence, right) == near(fmean((a > b) + (a == b) / 2 for a, b in pairs))
        assert auroc([-c for c in confidence], right) == near(1 - auroc(confidence, right))


@settings(deadline=None)
@given(JUDGED, st.integers(1, 12))
def test_calibration_loses_no_answer(judged: list[tuple[float, bool]], bins: int) -> None:
    confidence, right = [c for c, _ in judged], [r for _, r in judged]
    table = calibration(confidence, right, bins)

    assert sum(one.count for one in table) == len(judged)
    assert math.fsum(one.count * one.accuracy for one in table) == near(sum(right))
    assert 0 <= ece(confidence, right, bins) <= 1
    assert ece(confidence, right, bins) ** 2 <= brier(confidence, right) + 1e-9
    assert ece(confidence, right, 1) <= ece(confidence, right, bins) + 1e-9


# ---- order and preference


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=5), st.integers(1, 6))
def test_no_order_is_better_than_the_best(gains: list[int], k: int) -> None:
    found = [ndcg(order, k) for order in itertools.permutations(gains)]

    assert all(0 <= one <= 1 + 1e-12 for one in found)
    assert max(found) == near(float(any(gains)))


@settings(deadline=None)
@given(st.lists(st.tuples(PREFERENCES, st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_length_control_turns_with_its_sides(judged: list[tuple[float, int, int]]) -> None:
    wanted, lengths, others = [j[0] for j in judged], [j[1] for j in judged], [j[2] for j in judged]
    there = length_controlled(wanted, lengths, others)
    back = length_controlled([1 - one for one in wanted], others, lengths)

    assert 0 < there.low < there.value < there.high < 1
    assert there.value == pytest.approx(1 - back.value, abs=1e-6)


# ---- intervals and tests


@settings(deadline=None)
@given(st.integers(0, 7), st.integers(0, 7))
def test_mcnemar_is_the_share_of_throws_as_uneven(b: int, c: int) -> None:
    throws = Counter(map(sum, itertools.product((0, 1), repeat=b + c)))
    uneven = sum(many for heads, many in throws.items() if abs(2 * heads - b - c) >= abs(b - c))

    assert mcnemar(b, c) == float(Fraction(uneven, 2 ** (b + c)))


@settings(deadline=None)
@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_ends_are_where_the_score_test_turns(case: tuple[int, int]) -> None:
    successes, n = case
    found, z = wilson(successes, n), 1.959963984540054

    assert 0 <= found.low <= found.value <= found.high <= 1
    for end in (found.low, found.high):
        if 0 < end < 1:
            assert (found.value - end) ** 2 == near(z * z * end * (1 - end) / n)


@settings(deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20))
def test_paired_rates_hold_their_difference(wins: int, losses: int, same: int) -> None:
    n = wins + losses + same
    found, back = paired_rates(wins, losses, n), paired_rates(losses, wins, n)

    assert -1 <= found.low <= found.value <= found.high <= 1
    assert (found.value, found.low, found.high) == (near(-back.value), near(-back.high), near(-back.low))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12), st.integers(0, 99))
def test_a_bootstrap_stays_among_its_items(values: list[float], seed: int) -> None:
    found = bootstrap(values, seed, draws=100)

    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=20))
def test_percentiles_are_the_inclusive_quantiles(values: list[int]) -> None:
    wanted = statistics.quantiles(values, n=10, method="inclusive")

    assert [percentile(values, i / 10) for i in range(1, 10)] == [near(one) for one in wanted]
