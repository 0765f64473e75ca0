"""Random plans under random budgets, with hundreds of calls at once: never over, and almost all of it used."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archc import api
from archc.calls import MESSAGE_TOKENS, CallError, Completion, FailureKind, Request, Spend, Usage
from archc.source import Source
from archc.spec.model import Budget
from tests.fakes import Events, Scripted, now, plan_of, run, session, with_concurrency, with_n
from tests.property.test_runs import either
from tests.strategies import MODELS, specs

PRICE = (0.5, 2.0)
"""As in the random specs."""
PRICED = f"price: {{prompt: {PRICE[0]}, completion: {PRICE[1]}}}"
AT_ONCE = 512
DUST = 1e-9


@dataclass
class Provider:
    """Bills any number of tokens up to what was allowed, and knows at each moment what it could still bill."""

    rng: random.Random
    fails: float = 0.0
    billed: Spend = field(default_factory=Spend)
    open: Spend = field(default_factory=Spend)
    most: dict[str, float] = field(default_factory=dict)
    """The most that was ever billed and open together, unit by unit."""

    def takes(self, request: Request) -> float:
        self.open += self.worst(request)
        held = _units(self.billed + self.open)
        self.most = {unit: max(used, self.most.get(unit, 0)) for unit, used in held.items()}
        return self.rng.choice([0.0, 0.1, 1.0, 5.0])

    def reply(self, request: Request, i: int) -> Completion | CallError:
        if i == 0:
            self.open -= self.worst(request)
            if self.rng.random() < self.fails:
                return self._failure(request)
        prompt = self.rng.randint(0, self._prompt(request)) if i == 0 else 0
        used = Usage(prompt, self.rng.randint(0, request.sampling.max_tokens))
        self.billed += _cost(1, used)
        return Completion(either(request, i), usage=used)

    def _failure(self, request: Request) -> CallError:
        billed = self.rng.random() < 0.5
        self.billed += self.worst(request) if billed else Spend()
        return CallError(self.rng.choice([FailureKind.TIMEOUT, FailureKind.OVERLOAD]), "no", billed=billed)

    def worst(self, request: Request) -> Spend:
        return _cost(request.n, Usage(self._prompt(request), request.n * request.sampling.max_tokens))

    def _prompt(self, request: Request) -> int:
        return sum(len(m.content.encode(errors="replace")) + MESSAGE_TOKENS for m in request.messages)


def _cost(calls: int, usage: Usage) -> Spend:
    return Spend(calls, usage.prompt, usage.completion, (usage.prompt * PRICE[0] + usage.completion * PRICE[1]) / 1e6)


def _units(spend: Spend) -> dict[str, float]:
    return {"calls": spend.calls, "tokens": spend.tokens, "usd": spend.usd}


LIMITS = st.fixed_dictionaries(
    {},
    optional={"calls": st.integers(1, 300), "tokens": st.integers(1, 60_000), "usd": st.floats(1e-5, 0.1)},
)


def _over(held: dict[str, float], limit: dict[str, float], times: int = 1) -> Iterator[str]:
    """Units in which more is held than so many budgets allow."""
    for unit, used in held.items():
        if used > times * limit.get(unit, float("inf")) + DUST:
            yield f"{used} {unit} of {times} * {limit[unit]}"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs(), LIMITS, LIMITS, st.booleans(), st.sampled_from([0.0, 0.3]), st.integers(1, 12), st.integers(0, 10**6))
def test_random_plans_never_pass_a_random_budget(
    text: str, own: dict[str, float], shared: dict[str, float], n: bool, fails: float, questions: int, seed: int
) -> None:
    """Neither that of a question nor that of the run, even if all that is open came at its worst."""
    for name in MODELS:
        text = text.replace(f"model: {name}}}", f"model: {name}, {PRICED}}}")
    if own:
        text = f"budget: {own}\n" + text
    plan = with_n(with_concurrency(api.compile(Source("random.yaml", text)), AT_ONCE), n)
    provider, events = Provider(random.Random(seed), fails), Events()
    backends = {name: Scripted(provider.reply, provider.takes) for name in MODELS}

    async def main() -> None:
        limit = Budget.model_validate(shared)
        opened = session(plan, backends, budget=limit, listeners=[events])
        async with opened as open_session, asyncio.TaskGroup() as tasks:
            for i in range(questions):
                tasks.create_task(open_session.answer(f"question {i}", str(i)))

    run(main())
    assert [*_over(provider.most, shared), *_over(provider.most, own, questions)] == []
    for i in range(questions):
        assert [*_over(_units(_counted(events, str(i))), own)] == []


def _counted(events: Events, id: str) -> Spend:
    """What archc counts for a question."""
    calls = [e for e in events.named("call") if e["query"] == id]
    return sum((Spend(e["calls"], e["prompt_tokens"], e["completion_tokens"], e["usd"]) for e in calls), Spend())


@dataclass(frozen=True)
class Used:
    """How much of a budget went, and how long it took beside a run without one that bought as much."""

    share: float
    seconds: float
    free: float
    """Seconds where there is no budget, for as many questions as were answered."""
    at_once: int


def used(limit: dict[str, float], pipeline: str, *, n: bool, questions: int, parallel: int, seed: int = 1) -> Used:
    """Asks far more questions than the budget is enough for, so many at a time, as a batch does."""
    plan = with_concurrency(plan_of(pipeline, model=PRICED, n=n), AT_ONCE)

    def once(budget: Budget | None, count: int) -> tuple[Spend, float, int, int]:
        rng = random.Random(seed)
        provider = Provider(rng)

        def reply(request: Request, i: int) -> Completion:
            """What servers do: the prompt at four bytes a token, and any part of what is allowed."""
            prompt = provider._prompt(request) // 4 if i == 0 else 0
            spent = Usage(prompt, rng.randint(1, request.sampling.max_tokens))
            provider.billed += _cost(1, spent)
            return Completion("text", usage=spent)

        backend = Scripted(reply, lambda request: rng.uniform(0.5, 1.5))

        ids, statuses = iter(range(count)), []

        async def main() -> float:
            async def worker() -> None:
                for i in ids:
                    statuses.append((await open_session.answer(f"question {i}", str(i))).status)

            async with session(plan, backend, budget=budget) as open_session, asyncio.TaskGroup() as tasks:
                for _ in range(parallel):
                    tasks.create_task(worker())
            return now()

        seconds, answered = run(main()), statuses.count("ok")
        return provider.billed, seconds, answered, backend.most_in_flight

    billed, seconds, answered, at_once = once(Budget.model_validate(limit), questions)
    assert answered < questions, "work remains"
    _, free, _, _ = once(None, answered)
    [(unit, most)] = limit.items()
    share = _units(billed)[unit] / most
    return Used(share, seconds, free, at_once)


PIPELINES = (
    "- generate: {model: m, n: 4, max_tokens: 500}\n- fuse: {model: m, max_tokens: 500}",
    "- generate: {model: m, n: 8, max_tokens: 100}",
)


@pytest.mark.parametrize("n", [True, False])
@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize(
    "limit", [{"calls": 300}, {"tokens": 30_000}, {"usd": 0.05}], ids=lambda limit: next(iter(limit))
)
def test_almost_all_of_a_budget_is_used_where_work_remains(limit: dict[str, float], pipeline: str, n: bool) -> None:
    result = used(limit, pipeline, n=n, questions=100, parallel=64)
    assert 0.95 <= result.share <= 1.0, result


if __name__ == "__main__":
    LADDER: tuple[dict[str, float], ...] = ({"calls": 300}, {"tokens": 60_000}, {"tokens": 400_000}, {"usd": 0.1})
    for asked in LADDER:
        for steps in PIPELINES:
            for together in (True, False):
                for parallel in (8, 64):
                    came = used(asked, steps, n=together, questions=2000, parallel=parallel)
                    print(asked, PIPELINES.index(steps), "n" if together else "1", parallel, came, flush=True)
