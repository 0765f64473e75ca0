"""Metrics of confidence, order and preference: numbers worked out by hand or by other implementations, and refusals."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from archc.bench.metrics._newton import climb, solve
from archc.bench.metrics.confidence import Bin, aurc, auroc, brier, calibration, ece, risk_coverage
from archc.bench.metrics.preference import length_controlled, win_rate
from archc.bench.metrics.ranking import ndcg

YES, NO = True, False


def near(value: float) -> Any:
    return pytest.approx(value, abs=1e-6)


# ---- confidence


def test_risk_rises_where_confidence_is_right() -> None:
    assert risk_coverage([0.9, 0.8, 0.7, 0.6], [YES, YES, NO, NO]) == [0, 0, near(1 / 3), 0.5]
    assert aurc([0.9, 0.8, 0.7, 0.6], [YES, YES, NO, NO]) == near(5 / 24)


def test_equal_confidence_says_nothing() -> None:
    assert risk_coverage([1, 1, 1, 1], [YES, NO, NO, YES]) == [0.5] * 4
    assert auroc([1, 1, 1, 1], [YES, NO, NO, YES]) == 0.5
    assert aurc([2, 1, 1], [YES, YES, NO]) == near((0 + 1 / 4 + 1 / 3) / 3)


def test_auroc_has_the_textbook_value() -> None:
    assert auroc([0.1, 0.4, 0.35, 0.8], [NO, NO, YES, YES]) == 0.75
    assert auroc([-math.inf, 0, math.inf], [NO, YES, YES]) == 1.0


def test_calibration_fills_bins_by_their_upper_end() -> None:
    table = calibration([0.0, 0.1, 0.5, 0.55, 1.0], [NO, NO, YES, NO, YES], bins=10)

    assert table == [Bin(2, 0.05, 0.0), Bin(1, 0.5, 1.0), Bin(1, 0.55, 0.0), Bin(1, 1.0, 1.0)]
    assert ece([0.0, 0.1, 0.5, 0.55, 1.0], [NO, NO, YES, NO, YES]) == near((0.1 + 0.5 + 0.55) / 5)


def test_a_calibrated_confidence_has_no_error() -> None:
    assert ece([0.75] * 4, [YES, YES, YES, NO]) == 0.0
    assert brier([0.75] * 4, [YES, YES, YES, NO]) == near(3 / 16)
    assert brier([1.0, 0.0], [YES, NO]) == 0.0


# ---- order


def test_ndcg_has_the_textbook_value() -> None:
    gains = [3, 2, 3, 0, 1, 2]

    assert ndcg(gains, 6) == near(0.960808)
    assert ndcg([2**gain - 1 for gain in gains], 6) == near(0.948811)
    assert ndcg([3, 3, 2, 2, 1, 0], 3) == 1.0


def test_ndcg_counts_what_was_not_found() -> None:
    assert ndcg([0, 1], 10) == near(1 / math.log2(3))
    assert ndcg([1, 0], 10, judged=[1, 1, 0]) == near(1 / (1 + 1 / math.log2(3)))
    assert ndcg([0, 0], 10) == ndcg([], 10) == 0.0


# ---- preference

PREFERENCES = [1, 0, 1, 1, 0.5, 0, 1, 1, 0, 1, 1, 0.5]
LENGTHS = [500, 300, 800, 900, 400, 200, 700, 650, 300, 900, 300, 400]
OTHERS = [400, 400, 400, 500, 420, 500, 300, 300, 350, 400, 500, 390]


def test_a_win_rate_counts_ties_half() -> None:
    found = win_rate(PREFERENCES, seed=1)

    assert found.value == near(8 / 12)
    assert found.low < 0.5 < found.high


def test_longer_answers_win_less_when_length_is_controlled() -> None:
    assert length_controlled(PREFERENCES, LENGTHS, OTHERS).value == near(0.619814)


def test_length_control_turns_with_its_sides() -> None:
    there = length_controlled(PREFERENCES, LENGTHS, OTHERS)
    back = length_controlled([1 - one for one in PREFERENCES], OTHERS, LENGTHS)

    assert (there.value, there.low, there.high) == (near(1 - back.value), near(1 - back.high), near(1 - back.low))


def test_equal_lengths_leave_the_win_rate() -> None:
    assert length_controlled([1, 1, 1, 0] * 50, [9] * 200, [5] * 200).value == pytest.approx(0.75, abs=1e-3)


def test_one_that_always_wins_is_not_certain_to() -> None:
    found = length_controlled([1.0] * 10, range(10), [5] * 10)

    assert 0.95 < found.value < 1
    assert found.low < 0.7


def test_length_control_finds_what_was_put_in_and_covers_it() -> None:
    rng, hits = random.Random(11), 0
    for _ in range(150):
        longer = [rng.gauss(100, 100) for _ in range(120)]
        spread = math.sqrt(sum((d - sum(longer) / 120) ** 2 for d in longer) / 120)
        chances = [1 / (1 + math.exp(-0.4 - 1.2 * math.tanh(d / spread))) for d in longer]
        found = length_controlled([float(rng.random() < chance) for chance in chances], longer, [0] * 120)
        hits += found.low <= 1 / (1 + math.exp(-0.4)) <= found.high

    assert 0.90 < hits / 150 < 0.99


# ---- what they stand on


def test_a_system_is_solved_and_a_curve_that_bends_up_is_not() -> None:
    assert solve([[4, 2], [2, 3]], [8, 7]) == [near(1.25), near(1.5)]
    assert solve([[1, 2], [2, 1]], [1, 1]) is None


def test_climbing_reaches_the_top_from_where_newton_would_not() -> None:
    def bell(at: Sequence[float]) -> tuple[float, list[float], list[list[float]]]:
        x = at[0]
        high = math.exp(-x * x)
        return high, [-2 * x * high], [[(4 * x * x - 2) * high]]

    assert climb(bell, [1.5]) == [near(0)]


# ---- what is refused

WRONG: list[Callable[[], object]] = [
    lambda: risk_coverage([], []),
    lambda: risk_coverage([1], [YES, NO]),
    lambda: aurc([math.nan], [YES]),
    lambda: auroc([1, 2], [YES, YES]),
    lambda: auroc([1, 2], [NO, NO]),
    lambda: calibration([1.5], [YES]),
    lambda: calibration([0.5], [YES], bins=0),
    lambda: ece([-0.1], [YES]),
    lambda: brier([2.0], [YES]),
    lambda: ndcg([1], 0),
    lambda: ndcg([-1], 1),
    lambda: ndcg([math.nan], 1),
    lambda: win_rate([], 1),
    lambda: win_rate([1.5], 1),
    lambda: length_controlled([1.0], [1], [1, 2]),
    lambda: length_controlled([], [], []),
]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_what_makes_no_sense_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        wrong()
