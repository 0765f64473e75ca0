"""Budgets: spent and reserved together never pass a limit, at any moment, and what is affordable is bought."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc import errors
from archc.calls import CallError, Completion, FailureKind, Request, Usage
from archc.diagnostics import SpecError
from archc.runtime.budget import Ledger, Scope, Spend
from archc.runtime.trace import Event
from archc.spec.model import Budget
from tests.fakes import Events, Scripted, answer, plan_of, run, session, with_concurrency

PRICED = "price: {prompt: 1.0, completion: 3.0}"


def scope(**limit: float) -> Scope:
    return Scope("this test", Budget.model_validate(limit))


def test_what_fits_is_granted_at_once_and_the_rest_when_reservations_come_back() -> None:
    async def main() -> None:
        ledger, one = Ledger(), scope(calls=5)
        assert await ledger.reserve([one], Spend(1), 8) == 5
        waiting = asyncio.create_task(ledger.reserve([one], Spend(1), 3))
        await asyncio.sleep(0)
        assert not waiting.done()
        ledger.settle([one], Spend(5), Spend(3))
        assert await waiting == 2
        ledger.settle([one], Spend(2), Spend(2))
        assert await ledger.reserve([one], Spend(1), 1) is one

    run(main())


def test_those_that_began_earlier_are_served_first_and_nobody_overtakes_them() -> None:
    async def main() -> list[int]:
        ledger, shared = Ledger(), Scope("all", Budget(tokens=10), shared=True)
        served: list[int] = []

        async def ask(order: int, tokens: int) -> None:
            await ledger.reserve([shared], Spend(1, tokens), 1, order)
            served.append(order)

        await ledger.reserve([shared], Spend(1, 10), 1)
        async with asyncio.TaskGroup() as tasks:
            for order, tokens in ((3, 1), (1, 9), (2, 5)):
                tasks.create_task(ask(order, tokens))
                await asyncio.sleep(0)
            ledger.settle([shared], Spend(1, 10), Spend(1, 1))
            await asyncio.sleep(0)
            assert served == [1]  # 2 and 3 must wait, though nothing but their turn is in 3's way
            ledger.settle([shared], Spend(1, 9), Spend(1, 1))
        return served

    assert run(main()) == [1, 2, 3]


def test_who_waits_for_a_budget_of_its_own_holds_up_nobody() -> None:
    async def main() -> None:
        ledger, own, shared = Ledger(), scope(calls=1), Scope("all", Budget(calls=5), shared=True)
        assert await ledger.reserve([own, shared], Spend(1), 1) == 1
        waiting = asyncio.create_task(ledger.reserve([own, shared], Spend(1), 1))
        await asyncio.sleep(0)
        assert await ledger.reserve([scope(calls=9), shared], Spend(1), 9, 5) == 4
        assert not waiting.done()
        waiting.cancel()

    run(main())


def test_a_grant_that_nobody_takes_comes_back() -> None:
    async def main() -> None:
        ledger, one = Ledger(), scope(calls=1)
        await ledger.reserve([one], Spend(1), 1)
        waiting = asyncio.create_task(ledger.reserve([one], Spend(1), 1))
        await asyncio.sleep(0)
        ledger.settle([one], Spend(1), Spend())
        waiting.cancel()  # granted, but not yet awake
        await asyncio.wait([waiting])
        assert one.reserved == Spend()
        assert await ledger.reserve([one], Spend(1), 1) == 1

    run(main())


def test_what_can_never_fit_is_refused_without_waiting() -> None:
    async def main() -> None:
        ledger, one = Ledger(), scope(tokens=100)
        await ledger.reserve([one], Spend(1, 10), 1)
        assert await ledger.reserve([one], Spend(1, 101), 1) is one
        assert one.lacks(Spend(1, 101)) == "100 tokens for this test are not enough"

    run(main())


def test_all_scopes_must_have_room() -> None:
    async def main() -> None:
        ledger, own, shared = Ledger(), scope(calls=4), scope(calls=6)
        assert await ledger.reserve([own, shared], Spend(1), 9) == 4
        assert await ledger.reserve([scope(), shared], Spend(1), 9) == 2
        assert own.reserved.calls == 4
        assert shared.reserved.calls == 6

    run(main())


def test_a_cancelled_wait_holds_nothing() -> None:
    async def main() -> None:
        ledger, one = Ledger(), scope(calls=1)
        await ledger.reserve([one], Spend(1), 1)
        waiting = [asyncio.create_task(ledger.reserve([one], Spend(1), 1)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        ledger.settle([one], Spend(1), Spend())
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert one.reserved.calls == 1
        for task in waiting:
            task.cancel()

    run(main())


def test_money_adds_up_exactly() -> None:
    """In binary, three times 0.1 is more than 0.3."""

    async def main() -> None:
        ledger, one = Ledger(), scope(usd=0.3)
        for _ in range(3):
            assert await ledger.reserve([one], Spend(1, usd=0.1), 1) == 1
            ledger.settle([one], Spend(1, usd=0.1), Spend(1, usd=0.1))
        assert await ledger.reserve([one], Spend(1, usd=0.1), 1) is one

    run(main())


# ---- whole runs


@dataclass
class Books:
    """What a server bills, and at each moment what it could still bill for what is in flight."""

    fails: float
    rng: random.Random
    spent: Spend = field(default_factory=Spend)
    open: dict[int, Spend] = field(default_factory=dict)
    peaks: list[Spend] = field(default_factory=list)

    def takes(self, request: Request) -> float:
        prompt = sum(len(m.content.encode()) // 4 + 4 for m in request.messages)
        most = self.cost(request.n, Usage(prompt, request.n * request.sampling.max_tokens))
        self.open[id(request)] = most
        self.peaks.append(sum(self.open.values(), self.spent))
        return self.rng.choice([0.0, 0.1, 1.0, 5.0])

    def reply(self, request: Request, i: int) -> Completion | CallError:
        prompt = sum(len(m.content.encode()) // 4 + 4 for m in request.messages)
        if i == 0:
            del self.open[id(request)]
            if self.rng.random() < self.fails:
                billed = self.rng.random() < 0.5
                self.spent += self.cost(request.n, Usage(prompt)) if billed else Spend()
                return CallError(FailureKind.TIMEOUT, "slow", billed=billed)
        used = Usage(prompt if i == 0 else 0, self.rng.randint(0, request.sampling.max_tokens))
        self.spent += self.cost(1, used)
        return Completion("text", usage=used)

    def cost(self, calls: int, usage: Usage) -> Spend:
        return Spend(calls, usage.prompt, usage.completion, (usage.prompt * 1.0 + usage.completion * 3.0) / 1e6)


class Watch:
    """A listener that looks at the scopes of a session at every event."""

    def __init__(self, scopes: list[Scope]) -> None:
        self.scopes = scopes
        self.overdrawn: list[str] = []

    def __call__(self, event: Event) -> None:
        for one in self.scopes:
            held, limit = one.spent + one.reserved, one.limit
            for used, most in ((held.calls, limit.calls), (held.tokens, limit.tokens), (held.usd, limit.usd)):
                if most is not None and used > most + 1e-9:
                    self.overdrawn.append(f"{one.name}: {used} > {most}")


LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "calls": st.integers(1, 40),
        "tokens": st.integers(1, 8_000),
        "usd": st.floats(1e-4, 0.02),
    },
)


@settings(max_examples=60, deadline=None)
@given(LIMITS, LIMITS, st.integers(1, 16), st.booleans(), st.sampled_from([0.0, 0.3]), st.integers(0, 10**6))
def test_no_budget_is_ever_overdrawn(
    own: dict[str, float], shared: dict[str, float], concurrency: int, n: bool, fails: float, seed: int
) -> None:
    books = Books(fails, random.Random(seed))
    backend = Scripted(books.reply, books.takes)
    budget = ", ".join(f"{key}: {value!r}" for key, value in own.items())
    pipeline = "- - generate: {model: m, n: 5, max_tokens: 80}\n  - generate: {model: m, n: 2, max_tokens: 200}\n"
    pipeline += "- fuse: {model: m, n: 2, max_tokens: 100}"
    plan = with_concurrency(plan_of(pipeline, model=PRICED, budget=budget, n=n), concurrency)
    limit = Budget.model_validate(shared)
    watch = Watch([])

    async def main() -> None:
        async with session(plan, backend, budget=limit, listeners=[watch]) as open_session:
            assert open_session._engine.scope is not None
            watch.scopes.append(open_session._engine.scope)
            async with asyncio.TaskGroup() as tasks:
                for i in range(4):
                    tasks.create_task(open_session.answer(f"question {i}", str(i)))
            assert open_session._engine.scope.reserved.calls == 0
            assert open_session._engine.scope.spent.calls >= books.spent.calls

    run(main())
    assert watch.overdrawn == []
    for held in [*books.peaks, books.spent]:
        assert held.calls <= min(shared.get("calls", 1e9), 4 * own.get("calls", 1e9))
        assert held.tokens <= min(shared.get("tokens", 1e9), 4 * own.get("tokens", 1e9))
        assert held.usd <= min(shared.get("usd", 1e9), 4 * own.get("usd", 1e9)) + 1e-9


@pytest.mark.parametrize("n", [True, False])
@pytest.mark.parametrize("calls", [1, 5, 19, 20])
def test_every_affordable_call_is_bought(n: bool, calls: int) -> None:
    backend = Scripted(takes=1.0)
    result = answer(plan_of("- generate: {model: m, n: 20}", budget=f"calls: {calls}", n=n), backend)
    assert backend.completions == calls == len(result.candidates)
    assert result.status == ("ok" if calls == 20 else "exhausted")


@pytest.mark.parametrize("n", [True, False])
def test_tokens_that_were_not_used_buy_more(n: bool) -> None:
    """Each call reserves over 1,000 tokens and uses 10: 2,500 tokens are enough for all of them."""
    short = Completion("short", usage=Usage(5, 5))
    backend = Scripted(lambda r, i: short, takes=1.0)
    result = answer(
        plan_of("- generate: {model: m, n: 20, max_tokens: 1000}", budget="tokens: 2500", n=n), backend, "q"
    )
    assert (result.status, len(result.candidates)) == ("ok", 20)


def test_a_budget_for_the_run_is_shared_by_its_questions() -> None:
    backend = Scripted(takes=1.0)

    async def main() -> list[str]:
        plan = plan_of("- generate: {model: m, n: 4}")
        async with session(plan, backend, budget=Budget(calls=10)) as open_session:
            tasks = [asyncio.create_task(open_session.answer(f"q{i}", str(i))) for i in range(5)]
            return [(await task).status for task in tasks]

    statuses = run(main())
    assert backend.completions == 10
    assert statuses == ["ok", "ok", "exhausted", "exhausted", "exhausted"]


def test_stop_answers_with_what_there_is_and_error_does_not() -> None:
    pipeline = "- generate: {model: m, n: 3}\n- fuse: {model: m}"
    stop = answer(plan_of(pipeline, budget="calls: 3"), Scripted())
    assert (stop.status, stop.error) == ("exhausted", None)
    assert stop.answer is not None
    assert stop.exhausted == "3 calls for one question are not enough"
    error = answer(plan_of(pipeline, budget="calls: 3, on_exhausted: error"), Scripted())
    assert (error.status, error.answer) == ("exhausted", None)
    assert isinstance(error.error, errors.BudgetExhausted)
    assert error.error.span is not None


def test_an_error_in_one_question_leaves_the_others_alone() -> None:
    backend = Scripted(takes=1.0)

    async def main() -> list[str]:
        plan = plan_of("- generate: {model: m, n: 3}", budget="calls: 2, on_exhausted: error", n=False)
        async with session(plan, backend, budget=Budget(calls=100)) as open_session:
            runs = [await open_session.answer(f"q{i}", str(i)) for i in range(3)]
            assert open_session._engine.scope is not None
            assert open_session._engine.scope.reserved.calls == 0
            return [run.status for run in runs]

    assert run(main()) == ["exhausted"] * 3


def test_a_budget_in_usd_needs_prices() -> None:
    with pytest.raises(SpecError) as caught:
        session(plan_of("- generate: {model: m}"), Scripted(), budget=Budget(usd=1.0))
    assert [d.name for d in caught.value.diagnostics] == ["unknown-price"]
    session(plan_of("- generate: {model: m}", model=PRICED), Scripted(), budget=Budget(usd=1.0))


# ---- time


def test_a_deadline_ends_what_is_in_flight_and_keeps_what_came() -> None:
    backend = Scripted(takes=lambda request: float("inf") if len(backend.sent) > 3 else 1.0)
    plan = plan_of("- generate: {model: m, n: 5}\n- fuse: {model: m}", budget="seconds: 10", n=False)
    events = Events()
    result = answer(plan, backend, listeners=[events])
    assert (result.status, result.seconds, result.exhausted) == ("exhausted", 10.0, "the time is over")
    assert (backend.finished, backend.cancelled) == (3, 2)
    assert result.answer is not None
    outcomes = [(e["outcome"], e["calls"]) for e in events.named("call")]
    assert outcomes == [("ok", 1)] * 3 + [("aborted", 1)] * 2
    assert result.spent.calls == 5


@pytest.mark.parametrize("error", [CallError(FailureKind.RATE_LIMIT, "later", retry_after=200.0)])
def test_a_deadline_ends_waits_between_tries(error: CallError) -> None:
    backend = Scripted(lambda r, i: error)
    result = answer(plan_of("- generate: {model: m}", budget="seconds: 10"), backend)
    assert (result.status, result.seconds, len(backend.sent)) == ("exhausted", 10.0, 1)
    assert (result.spent.calls, result.error is not None) == (0, True)


def test_what_waited_for_its_turn_at_the_deadline_was_never_sent_and_costs_nothing() -> None:
    backend = Scripted(takes=float("inf"))
    plan = with_concurrency(plan_of("- generate: {model: m, n: 10}", budget="seconds: 10", n=False), 2)
    result = answer(plan, backend)
    assert (len(backend.sent), result.spent.calls) == (2, 2)


def test_a_deadline_ends_the_wait_for_another_question() -> None:
    """The second question waits for the room that the first holds."""
    backend = Scripted(takes=30.0)
    plan = plan_of("- generate: {model: m}")

    async def main() -> None:
        async with session(plan, backend, budget=Budget(calls=1, seconds=10)) as open_session:
            one = asyncio.create_task(open_session.answer("q1", "1"))
            two = asyncio.create_task(open_session.answer("q2", "2"))
            assert ((await one).seconds, (await two).seconds) == (10.0, 10.0)

    run(main())


def test_after_the_deadline_nothing_is_sent_but_ops_without_calls_still_run() -> None:
    backend = Scripted(takes=20.0)
    plan = plan_of("- generate: {model: m}", budget="seconds: 10")

    async def main() -> None:
        async with session(plan, backend, budget=Budget(seconds=15)) as open_session:
            await open_session.answer("q1", "1")
            await open_session.answer("q2", "2")
            assert (await open_session.answer("q3", "3")).seconds == 0

    run(main())
    assert [sent.at for sent in backend.sent] == [0.0, 10.0]
