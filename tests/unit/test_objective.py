"""Objectives and constraints: what they read, when they hold, and what they exclude before anything is measured."""

from __future__ import annotations

import json

import pytest

from archc import api
from archc.diagnostics import SpecError
from archc.searching.objective import aim_of, figures
from archc.source import Source

RECORD = {
    "correct": True,
    "score": 1.0,
    "status": "ok",
    "abstained": False,
    "calls": 4,
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "tokens": 120,
    "usd": 0.002,
}
PLAN = api.compile(
    Source(
        "spec.yaml",
        json.dumps(
            {
                "models": {"m": {"backend": "simulated", "model": "m", "price": {"prompt": 1, "completion": 2}}},
                "pipeline": [{"generate": {"model": "m", "n": 4}}, {"verify": {"model": "m"}}],
            }
        ),
    )
)


def test_figures_are_means_of_the_items_and_bounds_of_the_plan() -> None:
    wrong = {**RECORD, "correct": False, "score": 0.0, "calls": 6, "status": "failed"}
    known = figures(PLAN, [RECORD, wrong], [1.0, 3.0])

    assert (known["accuracy"], known["failed"], known["calls"], known["seconds"]) == (0.5, 0.5, 5.0, 2.0)
    assert known["max_calls"] == PLAN.cost.calls.hi
    assert known["depth"] == PLAN.depth.hi
    assert "seconds" not in figures(PLAN, [RECORD])


def test_without_a_goal_the_accuracy_is_the_goal() -> None:
    aim = aim_of((), (), ())

    assert [(goal.text, goal.sign) for goal in aim.goals] == [("accuracy", 1)]


def test_what_is_to_be_small_counts_less_the_larger_it_is() -> None:
    aim = aim_of(["accuracy - 0.01 * calls"], ["tokens"], ())

    assert aim.values(figures(PLAN, [RECORD])) == pytest.approx((0.96, -120.0))


def test_a_violation_is_a_share_of_the_limit() -> None:
    aim = aim_of((), (), ["calls <= 2", "accuracy >= 0.5", "calls < 4"])

    assert aim.violations(figures(PLAN, [RECORD])) == (pytest.approx(0.5), pytest.approx(-0.5), pytest.approx(1e-9))


def test_a_constraint_on_what_was_not_measured_holds_so_far() -> None:
    assert aim_of((), (), ["p95_seconds <= 1"]).violations(figures(PLAN, [RECORD])) == (0.0,)


@pytest.mark.parametrize(
    ("limit", "allowed"),
    [
        ("calls <= 11", False),  # 4 answers, and two calls for each to verify it
        ("calls <= 12", True),
        ("max_calls <= 15", False),
        ("max_calls <= 16", True),
        ("calls >= 17", False),
        ("accuracy >= 0.9", True),
        ("accuracy > 1", False),
        ("2 * calls + max_calls <= 30", False),
        ("calls - max_calls <= 0", True),
        ("p95_seconds <= 0.001", True),
    ],
)
def test_points_are_excluded_only_if_they_cannot_meet_a_constraint(limit: str, allowed: bool) -> None:
    assert PLAN.cost.calls.lo == 12
    assert PLAN.cost.calls.hi == 16
    assert aim_of((), (), [limit]).allows(PLAN) is allowed


@pytest.mark.parametrize(
    ("goal", "limit", "name"),
    [
        ("acuracy", "calls < 1", "unknown-figure"),
        ("accuracy", "calls", "unfit-constraint"),
        ("accuracy", "calls == 3", "unfit-constraint"),
        ("accuracy +", "calls < 1", "bad-condition"),
    ],
)
def test_mistakes_are_told_with_their_place(goal: str, limit: str, name: str) -> None:
    with pytest.raises(SpecError) as caught:
        aim_of([goal], (), [limit])

    assert [d.name for d in caught.value.diagnostics] == [name]
    assert caught.value.diagnostics[0].span is not None
