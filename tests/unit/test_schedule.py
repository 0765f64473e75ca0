"""The schedule: all that is independent runs at once, each node waits for its inputs only, and order never shows."""

from __future__ import annotations

import random

import pytest

from archc.calls import CallError, FailureKind, Request
from tests.fakes import Scripted, answer, plan_of, with_concurrency, with_n

BRANCHES = """
- - - generate: {model: m, n: 2}
    - critique: {model: m, by: each}
    - fuse: {model: m}
  - generate: {model: other, n: 2}
- fuse: {model: m}
"""


def test_the_time_is_that_of_the_longest_path() -> None:
    plan = plan_of(BRANCHES)
    slow = Scripted(takes=1.0)
    assert answer(plan, slow).seconds == 4.0
    assert (plan.depth.lo, plan.depth.hi) == (4, 4)


def test_a_branch_does_not_wait_for_its_neighbour() -> None:
    plan = plan_of(BRANCHES)
    backends = {"m": Scripted(takes=1.0), "other": Scripted(takes=100.0)}
    answer(plan, backends)
    assert [sent.at for sent in backends["m"].sent] == [0.0, 1.0, 1.0, 2.0, 100.0]


def test_candidates_follow_each_other_as_written_whatever_came_first() -> None:
    plan = plan_of("- - generate: {model: m, n: 2}\n  - generate: {model: other, n: 2}", n=False)
    for slow in ("m", "other"):
        backends = {
            name: Scripted(lambda r, i, name=name: name, takes=5.0 if name == slow else 1.0)  # type: ignore[misc]
            for name in ("m", "other")
        }
        assert [c.text for c in answer(plan, backends).candidates] == ["m", "m", "other", "other"]


@pytest.mark.parametrize("seed", range(8))
def test_the_order_of_arrival_never_shows(seed: int) -> None:
    plan = plan_of(BRANCHES + "- rank: {model: m, by: list}\n")
    rng = random.Random(seed)
    shuffled = answer(with_n(plan, rng.random() < 0.5), Scripted(takes=lambda r: rng.random()))
    limited = answer(with_concurrency(plan, rng.randint(1, 3)), Scripted(takes=lambda r: rng.random()))
    plain = answer(plan, Scripted())
    assert plain.candidates == shuffled.candidates == limited.candidates


def test_a_dead_branch_is_skipped_and_the_first_cause_is_told_when_all_are_dead() -> None:
    def dead(request: Request, i: int) -> CallError:
        return CallError(FailureKind.AUTH, f"no key for {request.purpose.op}")

    plan = plan_of(
        "- - - generate: {model: m}\n    - critique: {model: m}\n  - generate: {model: other}\n- fuse: {model: m}"
    )
    one_dead = answer(plan, {"m": Scripted(), "other": Scripted(dead)})
    assert one_dead.status == "ok"
    backends = {"m": Scripted(dead), "other": Scripted(dead)}
    all_dead = answer(plan, backends)
    assert (all_dead.status, len(backends["m"].sent), len(backends["other"].sent)) == ("failed", 1, 1)
    assert all_dead.error is not None
    assert all_dead.error.span is not None
    assert all_dead.nodes["fuse"].started is None
