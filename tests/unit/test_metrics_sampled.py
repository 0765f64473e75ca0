"""Metrics of samples and intervals: published numbers, numbers of other implementations, and what must be refused."""

from __future__ import annotations

import gzip
import json
import math
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from archc.bench.metrics import pool
from archc.bench.metrics.coverage import BetaBinomial, PowerLaw, beta_binomial, coverage, power_law
from archc.bench.metrics.intervals import (
    Estimate,
    bootstrap,
    paired_difference,
    paired_rates,
    percentile,
    quantile,
    wilson,
)
from archc.bench.metrics.paired import mcnemar, sign_test
from archc.bench.metrics.pool import best_of_k, majority_at_k, pass_at_k, pass_hat_k, weighted_majority_at_k

DATA = Path(os.environ.get("ARCHC_DATA") or Path(__file__).parents[3] / "shared" / "data") / "oracle"
recorded = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded samples at {DATA}; ARCHC_DATA names the folder")

YES, NO = True, False


def near(value: float) -> Any:
    return pytest.approx(value, abs=1e-6)


# ---- samples of one pool


@pytest.mark.parametrize(
    ("n", "c", "k", "wanted"),
    [(10, 3, 1, 0.3), (10, 3, 5, 0.916667), (200, 1, 100, 0.5), (10, 0, 5, 0.0), (5, 5, 1, 1.0), (10, 8, 3, 1.0)],
)
def test_pass_at_k_has_the_published_values(n: int, c: int, k: int, wanted: float) -> None:
    assert pass_at_k(n, c, k) == near(wanted)


def test_pass_at_k_is_exact_for_many_samples_and_rare_success() -> None:
    assert pass_at_k(10_000, 1, 7) == 7 / 10_000
    assert pass_at_k(10_000, 10_000, 1) == 1.0


@pytest.mark.parametrize(
    ("n", "c", "k", "wanted"), [(8, 6, 1, 0.75), (8, 6, 4, 0.214286), (8, 3, 4, 0.0), (4, 4, 4, 1)]
)
def test_pass_hat_k_has_the_published_values(n: int, c: int, k: int, wanted: float) -> None:
    assert pass_hat_k(n, c, k) == near(wanted)


@pytest.mark.parametrize(("right", "k", "wanted"), [([0, 1, 0, 1, 0, 0], 3, 0.35), ([1, 0, 0, 0], 2, 0.5)])
def test_best_of_k_has_the_published_values(right: list[int], k: int, wanted: float) -> None:
    scores = range(len(right), 0, -1)

    assert best_of_k(scores, [bool(one) for one in right], k) == near(wanted)


def test_best_of_k_takes_ties_as_shuffled() -> None:
    assert best_of_k([1, 1, 0, 0], [YES, NO, YES, YES], 2) == near((1 * 0.5 + 4 * 0.5 + 1 * 1) / 6)
    assert best_of_k([0, 0, 0], [YES, NO, NO], 3) == near(1 / 3)


def test_a_majority_of_one_is_any_sample_and_that_of_all_is_the_vote() -> None:
    answers, right = ["a", "a", "b", "c", None], [YES, YES, NO, NO, NO]

    assert majority_at_k(answers, right, 1) == near(0.4)
    assert majority_at_k(answers, right, 5) == 1.0


def test_ties_of_a_majority_are_shared_and_no_answer_is_wrong() -> None:
    assert majority_at_k(["a", "b", "b", "a"], [YES, NO, NO, YES], 4) == near(0.5)
    assert majority_at_k([None, None, "a"], [NO, NO, YES], 2) == near(2 / 3)
    assert majority_at_k([None, None], [YES, YES], 2) == 0.0


def test_the_heaviest_sample_of_a_weighted_majority_counts() -> None:
    answers, weights = ["a", "a", "b"], [0.3, 0.4, 0.6]

    assert weighted_majority_at_k(answers, weights, [NO, YES, NO], 3) == 1.0
    assert weighted_majority_at_k(answers, weights, [YES, NO, NO], 3) == 0.0
    assert weighted_majority_at_k(answers, [0.1, 0.2, 0.3], [YES, YES, NO], 3) == near(0.5 if 0.1 + 0.2 == 0.3 else 1)


def test_where_counting_is_too_much_work_it_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(5)
    answers = [rng.choice("aaabbcde") for _ in range(60)]
    right = [answer == "a" for answer in answers]
    exact = majority_at_k(answers, right, 9)
    monkeypatch.setattr(pool, "_MOST_WORK", 0)

    assert majority_at_k(answers, right, 9, seed=1) == pytest.approx(exact, abs=0.04)
    assert majority_at_k(answers, right, 9, seed=1) == majority_at_k(answers, right, 9, seed=1)


def lines(name: str) -> Iterator[dict[str, Any]]:
    opened = gzip.open if name.endswith(".gz") else open
    with opened(DATA / name, "rt", encoding="utf-8") as file:
        yield from (json.loads(line) for line in file)


@recorded
def test_recorded_verifiers_give_the_published_shares() -> None:
    rows = [row for row in lines("mav_math_facts.jsonl") if "approvals" in row]
    right = [[bool(one) for one in row["correct"]] for row in rows]
    scores = [[sum(approved) for approved in row["approvals"]] for row in rows]

    assert fmean(pass_at_k(16, sum(r), 1) for r in right) == near(163.75 / 300)
    assert fmean(pass_at_k(16, sum(r), 16) for r in right) == near(0.76)
    assert round(100 * fmean(best_of_k(s, r, 16) for s, r in zip(scores, right, strict=True)), 2) == 65.85
    assert fmean(majority_at_k(row["answer_class"], r, 1) for row, r in zip(rows, right, strict=True)) == near(
        163.75 / 300
    )
    votes = 100 * fmean(majority_at_k(row["answer_class"], r, 16) for row, r in zip(rows, right, strict=True))
    assert votes == pytest.approx(59.27, abs=0.005), "59.00 with ties to the lowest index"


@recorded
def test_recorded_programs_give_the_published_coverage() -> None:
    counts, most_passed = [], []
    for row in lines("humaneval_codegen16b_100x_tests.jsonl.gz"):
        right = [verdict == "1" for verdict in row["base"]]
        if row["entry_point"] == "decode_shift":  # recorded without the function that its tests need: wrong for all
            right = [passed.count("1") == row["tests_valid"].count("1") for passed in row["passes"]]
        samples = row["sample_to_solution"]
        counts.append((100, sum(right[i] for i in samples)))
        most_passed.append(best_of_k([row["passes"][i].count("1") for i in samples], [right[i] for i in samples], 100))
    rising = coverage(counts, [1, 2, 5, 10, 100])

    assert len(counts) == 164
    assert rising == sorted(rising)
    assert [round(rising[0], 3), round(rising[-1], 3)] == [0.204, 0.713]
    assert round(fmean(most_passed), 3) == 0.193


# ---- coverage


def test_a_power_law_is_found_again() -> None:
    law, ks = PowerLaw(-1.3, -0.4), [1, 3, 10, 30, 100]
    found = power_law(ks, [law.at(k) for k in ks])

    assert found.a == near(law.a)
    assert found.b == near(law.b)


def test_a_power_law_is_the_nearest_one() -> None:
    ks, shares = [1, 2, 4, 8, 16, 32], [0.11, 0.2, 0.29, 0.41, 0.49, 0.62]

    def off(a: float, b: float) -> float:
        return math.fsum((a * k**b - math.log(share)) ** 2 for k, share in zip(ks, shares, strict=True))

    law = power_law(ks, shares)

    for step in (1e-3, -1e-3):
        assert off(law.a, law.b) < min(off(law.a + step, law.b), off(law.a, law.b + step))


def test_beta_binomial_has_the_likelihood_of_another_implementation() -> None:
    found = beta_binomial([(10, c) for c in [0, 1, 1, 2, 3, 5, 5, 8, 10, 10, 0, 4]])

    assert (found.alpha, found.beta) == (near(0.51528429), near(0.66950501))


def test_beta_binomial_finds_the_distribution_and_tells_what_comes() -> None:
    rng = random.Random(3)
    chances = [rng.betavariate(0.3, 1.5) for _ in range(400)]
    counts = [(30, sum(rng.random() < chance for _ in range(30))) for chance in chances]
    found = beta_binomial(counts)

    assert found.alpha == pytest.approx(0.3, rel=0.2)
    assert found.beta == pytest.approx(1.5, rel=0.25)
    assert found.at(1) == pytest.approx(coverage(counts, [1])[0], abs=0.01)
    assert found.at(1000) == pytest.approx(fmean(1 - (1 - chance) ** 1000 for chance in chances), abs=0.03)
    assert found.at(0) == 0.0


def test_beta_binomial_holds_at_its_limits() -> None:
    assert beta_binomial([(10, 3)] * 20).at(2) == pytest.approx(1 - 0.7**2, abs=1e-4)
    assert beta_binomial([(10, 0)] * 30 + [(10, 10)] * 20).at(100) == pytest.approx(0.4, abs=1e-4)
    assert beta_binomial([(2, 0)] * 500 + [(8, 1)]).at(1) == pytest.approx(1 / 1008, rel=0.01)


def test_beta_coverage_is_that_of_the_uniform_distribution() -> None:
    assert [BetaBinomial(1, 1).at(k) for k in (1, 2, 9)] == [near(k / (k + 1)) for k in (1, 2, 9)]


# ---- intervals

SKEWED = [0.1, 0.3, 0.2, 5, 1, 0.7, 2.2, 0.4, 0.9, 11, 0.3, 0.6]


@pytest.mark.parametrize(
    ("successes", "n", "level", "low", "high"),
    [(8, 10, 0.95, 0.490162, 0.943318), (0, 20, 0.95, 0.0, 0.161125), (527, 1000, 0.99, 0.486288, 0.567356)],
)
def test_wilson_has_the_values_of_another_implementation(
    successes: int, n: int, level: float, low: float, high: float
) -> None:
    assert wilson(successes, n, level) == Estimate(successes / n, near(low), near(high))


def test_the_bootstrap_has_the_values_of_another_implementation() -> None:
    found = bootstrap(SKEWED, seed=1, draws=20_000)

    assert found.value == near(fmean(SKEWED))
    assert found.low == pytest.approx(0.75, abs=0.03)
    assert found.high == pytest.approx(4.962, abs=0.1)


def test_the_bootstrap_is_its_seed() -> None:
    assert bootstrap(SKEWED, 1, draws=200) == bootstrap(SKEWED, 1, draws=200)
    assert bootstrap(SKEWED, 1, draws=200) != bootstrap(SKEWED, 2, draws=200)
    assert bootstrap(SKEWED[::-1], 1, draws=200) == bootstrap(SKEWED, 1, draws=200)  # answers come in any order


def test_the_bootstrap_takes_any_statistic_and_leaves_out_what_it_cannot_judge() -> None:
    def middle(values: Any) -> float:
        if max(values) < 1:
            raise ValueError("all small")
        return percentile(values, 0.5)

    found = bootstrap(SKEWED, 1, of=middle, draws=400)

    assert found.value == near(0.65)
    assert found.low <= found.value <= found.high


def test_a_bootstrap_of_equal_items_is_a_point() -> None:
    assert bootstrap([2.0] * 5, 1, draws=50) == Estimate(2.0, 2.0, 2.0)
    assert bootstrap([2.0], 1, draws=50) == Estimate(2.0, 2.0, 2.0)


def test_a_paired_difference_turns_with_its_sides() -> None:
    rng = random.Random(2)
    a = [rng.random() for _ in range(50)]
    b = [x * 0.8 + 0.05 * rng.random() for x in a]
    there, back = paired_difference(a, b, 1, draws=2000), paired_difference(b, a, 1, draws=2000)

    assert there.value == near(-back.value)
    assert there.low == pytest.approx(-back.high, abs=0.01)
    assert there.high == pytest.approx(-back.low, abs=0.01)
    assert there.low > 0, "though the two overlap, each pair differs"


def test_paired_rates_are_unsure_though_no_item_differs() -> None:
    found = paired_rates(0, 0, 20)

    assert found.value == 0.0
    assert found.low == -found.high == near(-1.959964 * math.sqrt(2) / 22)
    assert paired_rates(3, 3, 3 + 3) == Estimate(0.0, near(-0.692952), near(0.692952))


def test_percentiles_lie_between_values() -> None:
    values = [3, 1, 4, 1, 5, 9, 2, 6]

    assert [percentile(values, q) for q in (0, 0.25, 0.5, 0.9, 0.99, 1)] == [1, 1.75, 3.5, near(6.9), near(8.79), 9]


def test_an_estimate_reads_well() -> None:
    assert str(Estimate(0.5, 0.25, 0.7512345)) == "0.5 [0.25, 0.7512]"


# ---- intervals cover


def binomial(n: int, p: float) -> list[float]:
    return [math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(n + 1)]


@pytest.mark.parametrize("n", [10, 50, 200])
def test_wilson_covers_the_truth(n: int) -> None:
    ends = [wilson(i, n) for i in range(n + 1)]
    covered = [
        math.fsum(chance for chance, end in zip(binomial(n, p), ends, strict=True) if end.low <= p <= end.high)
        for p in (i / 100 for i in range(1, 100))
    ]

    assert fmean(covered) == pytest.approx(0.95, abs=0.01)
    assert min(covered) > 0.83, "the known dip near 0 and 1"


@pytest.mark.parametrize(("win", "loss"), [(0.1, 0.1), (0.3, 0.1), (0.02, 0.0), (0.05, 0.15), (0.5, 0.3)])
def test_paired_rates_cover_the_truth(win: float, loss: float) -> None:
    n = 40
    covered = 0.0
    for wins, chance in enumerate(binomial(n, win)):
        for losses, rest in enumerate(binomial(n - wins, loss / (1 - win))):
            end = paired_rates(wins, losses, n)
            covered += chance * rest * (end.low <= win - loss <= end.high)

    assert 0.93 < covered < (0.995 if loss else 1), "more than it says only where hardly an item differs"


@pytest.mark.parametrize(
    ("draw", "truth", "n"),
    [
        (lambda rng: rng.gauss(1, 2), 1.0, 50),
        (lambda rng: float(rng.random() < 0.3), 0.3, 50),
        (lambda rng: rng.expovariate(0.5), 2.0, 60),
        (lambda rng: rng.choice((-1, 0, 0, 0, 1, 1)), 1 / 6, 50),
    ],
    ids=["normal", "rate", "skewed", "difference"],
)
def test_the_bootstrap_covers_the_truth(draw: Callable[[random.Random], float], truth: float, n: int) -> None:
    rng, hits = random.Random(7), 0
    for seed in range(300):
        found = bootstrap([draw(rng) for _ in range(n)], seed, draws=200)
        hits += found.low <= truth <= found.high

    assert 0.91 < hits / 300 < 0.985, "0.95, with a standard error of 0.013 and what few items are short of"


# ---- tests


@pytest.mark.parametrize(
    ("b", "c", "p"),
    [(5, 1, 0.21875), (10, 2, 0.038574), (30, 12, 0.007916), (300, 241, 0.012573), (0, 0, 1), (4, 4, 1)],
)
def test_mcnemar_has_the_values_of_another_implementation(b: int, c: int, p: float) -> None:
    assert mcnemar(b, c) == mcnemar(c, b) == near(p)


def test_the_sign_test_looks_at_signs() -> None:
    assert sign_test([0.1, 3, 2, 1, 5, 0, 0, -1]) == mcnemar(5, 1)
    assert mcnemar(5000, 0) == 0.0


# ---- what is refused

WRONG: list[Callable[[], object]] = [
    lambda: pass_at_k(4, 5, 1),
    lambda: pass_at_k(4, 1, 5),
    lambda: pass_at_k(4, 1, 0),
    lambda: pass_hat_k(4, -1, 2),
    lambda: best_of_k([1, 2], [YES], 1),
    lambda: best_of_k([1, math.nan], [YES, NO], 1),
    lambda: best_of_k([], [], 1),
    lambda: majority_at_k(["a"], [YES, NO], 1),
    lambda: majority_at_k(["a"], [YES], 2),
    lambda: weighted_majority_at_k(["a"], [-1.0], [YES], 1),
    lambda: weighted_majority_at_k(["a"], [math.inf], [YES], 1),
    lambda: weighted_majority_at_k(["a"], [1.0], [], 1),
    lambda: weighted_majority_at_k(["a"], [1.0], [YES], 1, draws=0),
    lambda: coverage([], [1]),
    lambda: coverage([(2, 1)], [3]),
    lambda: power_law([1], [0.5]),
    lambda: power_law([1, 2], [0.0, 0.5]),
    lambda: power_law([0, 2], [0.1, 0.5]),
    lambda: power_law([1, 2], [1.0, 1.0]),
    lambda: PowerLaw(-1, -1).at(0),
    lambda: beta_binomial([]),
    lambda: beta_binomial([(2, 3)]),
    lambda: beta_binomial([(1, 0), (1, 1)]),
    lambda: beta_binomial([(5, 0), (5, 0)]),
    lambda: BetaBinomial(1, 1).at(-1),
    lambda: wilson(3, 2),
    lambda: wilson(0, 0),
    lambda: wilson(1, 2, level=1.0),
    lambda: bootstrap([], 1),
    lambda: bootstrap([1.0], 1, draws=0),
    lambda: bootstrap([1, 2], 1, of=lambda values: percentile([], 0.5) if values != [1, 2] else 0.0, draws=40),
    lambda: paired_difference([1.0], [1.0, 2.0], 1),
    lambda: paired_rates(2, 2, 3),
    lambda: paired_rates(-1, 2, 3),
    lambda: paired_rates(0, 0, 0),
    lambda: percentile([], 0.5),
    lambda: percentile([1.0], 1.5),
    lambda: quantile(0.0),
    lambda: mcnemar(-1, 2),
    lambda: sign_test([math.nan]),
]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_what_makes_no_sense_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        wrong()
