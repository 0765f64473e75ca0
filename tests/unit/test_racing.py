"""Racing: what stops a trial, and how often it stops one that is as good as the best."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.searching.racing import BETS, Race, dominates, evidence, rungs

DIFFERENCES = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), max_size=30)


@given(DIFFERENCES)
def test_the_evidence_is_the_mean_wealth_of_the_bets(differences: list[float]) -> None:
    wealth = [math.prod(1 - bet * d for d in differences) for bet in BETS]

    assert evidence(differences) == pytest.approx(sum(wealth) / len(BETS))


def test_equal_items_say_nothing_and_losses_add_up() -> None:
    assert evidence([]) == evidence([0.0] * 50) == pytest.approx(1.0)
    assert evidence([-1.0] * 3) < 20 < evidence([-1.0] * 8)
    assert evidence([1.0] * 8) < 1


@pytest.mark.parametrize("ties", [0.2, 0.7])
@pytest.mark.parametrize("lead", [0.0, 0.1])
def test_of_trials_that_are_as_good_no_more_than_alpha_are_stopped_however_often_one_looks(
    ties: float, lead: float
) -> None:
    """Ville's inequality holds for looks after every single item, which is more often than a race looks."""
    stopped, trials, alpha = 0, 400, 0.05
    rng = Random(f"{ties} {lead}")
    weights = [ties, (1 - ties) * (0.5 + lead / 2), (1 - ties) * (0.5 - lead / 2)]
    for _ in range(trials):
        race, drawn = Race([200], alpha=alpha), rng.choices([0.0, 1.0, -1.0], weights, k=120)
        stopped += any(race.has_lost(drawn[:size]) for size in range(1, 121, 4))

    assert stopped / trials <= alpha + 2.6 * math.sqrt(alpha * (1 - alpha) / trials)
    assert stopped or lead  # the bound is not met by never stopping anything


def test_of_trials_that_are_much_worse_most_are_stopped_soon() -> None:
    rng, stopped = Random(1), 0
    for _ in range(200):
        drawn = rng.choices([0.0, 1.0, -1.0], [0.5, 0.05, 0.45], k=72)
        stopped += any(Race([72]).has_lost(drawn[:size]) for size in (8, 24, 72))

    assert stopped >= 180


@given(st.integers(1, 5000), st.integers(1, 50), st.floats(1, 5))
def test_rungs_grow_up_to_all_items(items: int, first: int, eta: float) -> None:
    sizes = rungs(items, first, eta)

    assert sizes[-1] == items
    assert sizes == sorted(set(sizes))
    assert len(sizes) == 1 or sizes[0] == min(first, items)


@given(
    st.lists(st.sampled_from([i / 8 for i in range(9)]), min_size=1, max_size=40), st.floats(1, 6), st.integers(0, 9)
)
def test_the_best_share_of_a_rung_goes_on_and_no_more(values: list[float], eta: float, seed: int) -> None:
    race = Race([8], eta, seed=seed)
    race.enter(8, {number: (value,) for number, value in enumerate(values)})
    on = [number for number in range(len(values)) if race.is_promoted(8, number)]

    assert len(on) == math.ceil(len(values) / eta)
    left = [value for number, value in enumerate(values) if number not in on]
    assert not left or max(left) <= min(values[number] for number in on)


def test_of_equals_neither_the_first_nor_the_last_is_preferred() -> None:
    on = []
    for seed in range(200):
        race = Race([8], seed=seed)
        race.enter(8, dict.fromkeys(range(1, 10), (0.5,)))
        on += [number for number in range(1, 10) if race.is_promoted(8, number)]

    assert len(on) == 3 * 200
    assert all(40 <= on.count(number) <= 95 for number in range(1, 10))


def test_with_several_goals_those_go_on_that_few_beat_in_everything() -> None:
    race = Race([8], eta=4)
    cheap, good, middle, bad = (0.5, -1.0), (0.9, -9.0), (0.7, -5.0), (0.5, -9.0)
    race.enter(8, dict(enumerate((cheap, good, middle, bad))))

    assert [race.is_promoted(8, number) for number in range(4)] == [True, True, True, False]
    assert dominates(good, bad)
    assert not dominates(cheap, cheap)
