"""Hedged requests: the first answer counts, what may have been paid twice is counted twice, nothing is left behind."""

from __future__ import annotations

import asyncio

import pytest

from archc.calls import CallError, Completion, FailureKind, Request, Usage
from archc.spec.model import Budget
from tests.fakes import Events, Scripted, answer, plan_of, run, session, with_concurrency

PIPELINE = "- generate: {model: m, max_tokens: 100}"


def slow_then(*takes: float) -> Scripted:
    """The first request takes so long, the second so long, and so on."""
    backend = Scripted(lambda r, i: f"from request {len(backend.sent)}", takes=lambda r: takes[len(backend.sent) - 1])
    return backend


@pytest.mark.parametrize(
    ("takes", "sent", "seconds", "calls"),
    [((0.5,), 1, 0.5, 1), ((9.0, 0.5), 2, 1.5, 2), ((1.5, 9.0), 2, 1.5, 2)],
)
def test_the_first_answer_counts(takes: tuple[float, ...], sent: int, seconds: float, calls: int) -> None:
    backend = slow_then(*takes)
    result = answer(plan_of(PIPELINE, model="hedge: 1.0"), backend)
    assert (len(backend.sent), backend.finished, backend.in_flight) == (sent, 1, 0)
    assert (result.seconds, result.spent.calls, len(result.candidates)) == (seconds, calls, 1)
    assert backend.requests[0].seeds == backend.requests[-1].seeds


def test_both_failures_make_one() -> None:
    failures = [CallError(FailureKind.TIMEOUT, "first", billed=True), CallError(FailureKind.OVERLOAD, "second")]
    backend = Scripted(lambda r, i: failures[backend.finished - 1], takes=1.5)
    events = Events()
    result = answer(plan_of(PIPELINE, model="hedge: 1.0, retries: 0"), backend, listeners=[events])
    assert (result.status, len(backend.sent), backend.in_flight) == ("failed", 2, 0)
    [call] = events.named("call")
    assert call["calls"] == 2


def test_one_failure_leaves_the_other_to_answer() -> None:
    backend = Scripted(takes=lambda r: 3.0 if len(backend.sent) == 1 else 0.1)

    def reply(request: Request, i: int) -> str | CallError:
        return "late but good" if backend.finished > 1 else CallError(FailureKind.OVERLOAD, "down")

    backend._reply = reply
    result = answer(plan_of(PIPELINE, model="hedge: 1.0, retries: 0"), backend)
    assert (result.answer, result.seconds, len(backend.sent)) == ("late but good", 3.0, 2)


def test_no_budget_is_overdrawn_by_hedging_and_the_plan_says_what_it_may_cost() -> None:
    backend = Scripted(lambda r, i: Completion("x", usage=Usage(20, 100)), takes=2.0)
    plan = plan_of("- generate: {model: m, n: 8, max_tokens: 100}", model="hedge: 1.0", n=False)
    assert (plan.cost.calls.lo, plan.cost.calls.hi) == (8, 16)

    async def main() -> int:
        async with session(with_concurrency(plan, 64), backend, budget=Budget(calls=9)) as one:
            result = await one.answer("q")
            assert result.status == "exhausted"
            return result.spent.calls

    assert run(main()) <= 9
    assert len(backend.sent) <= 9


def test_what_is_hedged_is_cancelled_as_a_whole() -> None:
    backend = Scripted(takes=float("inf"))

    async def main() -> None:
        async with session(plan_of(PIPELINE, model="hedge: 1.0"), backend) as one:
            asking = asyncio.create_task(one.answer("q"))
            await backend.until(lambda: backend.in_flight == 2)
            asking.cancel()
            await asyncio.wait([asking])
            assert backend.in_flight == 0

    run(main())
