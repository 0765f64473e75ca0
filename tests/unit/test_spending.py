"""What is spent across the starts of a run, by servers that lie, and where a budget is short."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc import api
from archc.calls import CallError, Completion, FailureKind, Request, Usage
from archc.runtime.journal import opened
from archc.runtime.run import Run
from archc.spec.model import Budget
from tests.fakes import Scripted, answer, plan_of, run, session, with_concurrency

# ---- across starts, and servers that lie


@pytest.mark.parametrize("unit", ["calls", "tokens", "prompt_tokens", "completion_tokens"])
def test_what_was_spent_stays_spent_when_a_run_goes_on(unit: str, tmp_path: Path) -> None:
    """The first start is cancelled in its last call, which stays charged; the second has what is left."""
    price = {"calls": 1, "tokens": 1034, "prompt_tokens": 34, "completion_tokens": 1000}[unit]
    plan = plan_of("- generate: {model: m, n: 6, max_tokens: 1000}", n=False)
    budget = Budget.model_validate({unit: 4 * price})

    def full(request: Request, i: int) -> Completion:
        return Completion("text", usage=Usage(34, 1000))

    async def start(backend: Scripted, name: str, cancel: bool = False) -> Run | None:
        async with session(plan, backend, journal=tmp_path / "j", budget=budget, name=name) as one:
            asking = asyncio.create_task(one.answer("What is 2 + 2?"))
            if cancel:
                await backend.until(lambda: backend.in_flight == 1 and backend.finished == 2)
                asking.cancel()
                await asyncio.wait([asking])
                return None
            return await asking

    first = Scripted(full, takes=lambda request: float("inf") if len(first.sent) > 2 else 0.0)
    plan = with_concurrency(plan, 1)
    assert run(start(first, "same", cancel=True)) is None  # two paid for, one in doubt
    second = Scripted(full)
    again = run(start(second, "same"))
    assert again
    assert (len(second.sent), again.status, len(again.candidates)) == (1, "exhausted", 3)
    third = Scripted(full)
    other = run(start(third, "another"))
    assert other
    assert (len(third.sent), other.status, len(other.candidates)) == (3, "ok", 6)


def test_a_block_that_goes_on_has_what_it_had_left(tmp_path: Path) -> None:
    pipeline = "- generate: {model: m}\n- budget: {calls: 3, do: [fuse: {model: m, n: 3}]}"
    fails = [True]

    def reply(request: Request, i: int) -> str | CallError:
        lost = fails[0] and request.purpose.op == "fuse"
        return CallError(FailureKind.AUTH, "down", billed=True) if lost else f"text {request.seeds[0]}"

    async def start() -> Run:
        plan = plan_of(pipeline, n=False)
        async with session(plan, Scripted(reply), journal=tmp_path / "j", name="same") as one:
            return await one.answer("q")

    assert run(start()).candidates[0].text.startswith("text")
    fails[0] = False
    reasons = [note.get("reason", "") for note in run(start()).notes]
    assert "3 calls for this block are not enough" in reasons  # all three were spent in vain


def test_a_server_that_writes_more_than_it_may_stops_everything(tmp_path: Path) -> None:
    async def main(budget: Budget | None, name: str) -> tuple[int, list[Run]]:
        liar = Scripted(lambda r, i: Completion("long", usage=Usage(5, 5000)))
        plan = plan_of("- generate: {model: m, max_tokens: 100}\n- critique: {model: m}\n- fuse: {model: m}")
        async with session(plan, liar, budget=budget, journal=tmp_path / name) as one:
            runs = [await one.answer(f"q{i}", str(i)) for i in range(3)]
            return len(liar.sent), runs

    sent, runs = run(main(Budget(tokens=100_000), "a"))
    assert sent == 1
    assert [r.error.name for r in runs if r.error] == ["budget-breach"] * 3
    assert runs[0].spent.completion == 5000
    assert {r.status for r in run(main(Budget(calls=100), "b"))[1]} == {"ok"}  # the number of calls it keeps
    assert {r.status for r in run(main(None, "c"))[1]} == {"ok"}


@pytest.mark.parametrize(("limit", "breaks"), [(5_000, False), (2_000, True)])
def test_prompts_that_are_counted_longer_than_they_can_be_stop_all_only_past_the_budget(
    limit: int, breaks: bool
) -> None:
    """A template may add what nobody told."""
    counts = Scripted(lambda r, i: Completion("text", usage=Usage(3000, 5)))
    result = answer(plan_of("- generate: {model: m, max_tokens: 100}", budget=f"tokens: {limit}"), counts)
    assert bool(result.error and result.error.name == "budget-breach") == breaks
    assert result.spent.prompt == 3000


# ---- degrade

THRIFTY = """
- generate: {model: m, n: 8, max_tokens: 100}
- optional: [critique: {model: m, max_tokens: 100}]
- fuse: {model: m, max_tokens: 100}
"""


@pytest.mark.parametrize(
    ("calls", "drawn", "critiques"), [(11, 8, 2), (10, 8, 0), (9, 8, 0), (8, 7, 0), (5, 4, 0), (2, 1, 0)]
)
@pytest.mark.parametrize("n", [True, False])
def test_first_samples_and_then_optional_blocks_are_left_out(calls: int, drawn: int, critiques: int, n: bool) -> None:
    backend = Scripted()
    result = answer(plan_of(THRIFTY, budget=f"calls: {calls}, on_exhausted: degrade", n=n), backend)
    ops: Counter[str] = Counter()
    for request in backend.requests:
        ops[request.purpose.op] += request.n
    assert (ops["generate"], ops["critique"], ops["fuse"]) == (drawn, critiques, 1)
    assert (result.status, result.spent.calls) == ("ok", drawn + critiques + 1)
    told = [note.get("reason", "") for note in result.notes]
    assert any("room" in reason for reason in told) == (calls < 11)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(1, 6000), st.booleans(), st.integers(0, 100))
def test_a_thrifty_run_ends_with_an_answer_within_its_budget(calls: int, tokens: int, n: bool, seed: int) -> None:
    """As long as one sample and all that must follow fit at their worst."""
    rng = random.Random(seed)
    backend = Scripted(lambda r, i: Completion("word " * 20, usage=Usage(30, rng.randint(1, 100))))
    limits = f"calls: {calls}, tokens: {6000 + tokens}, on_exhausted: degrade"
    result = answer(plan_of(THRIFTY, budget=limits, n=n), backend)
    assert result.spent.calls <= calls
    assert result.spent.tokens <= 6000 + tokens
    assert [r.purpose.op for r in backend.requests][-1] == "fuse"
    assert result.status == "ok"


def test_what_was_left_out_is_told_again_as_left_out(tmp_path: Path) -> None:
    plan = plan_of(THRIFTY, budget="calls: 7, on_exhausted: degrade")

    async def main() -> tuple[str, Run]:
        async with session(plan, Scripted(), journal=tmp_path / "j") as one:
            return one.run, await one.answer("q")

    id, first = run(main())

    async def again() -> list[tuple[Run, bool | None]]:
        return [told async for told in api.replay(id, tmp_path / "j")]

    [(second, is_same)] = asyncio.run(again())
    assert is_same
    assert second.candidates == first.candidates
    assert len(first.candidates) == 1


def test_a_stopped_session_ends_questions_with_what_they_have(tmp_path: Path) -> None:
    backend = Scripted(takes=lambda r: 1.0)

    async def main() -> Run:
        plan = with_concurrency(plan_of("- generate: {model: m, n: 4}\n- fuse: {model: m}", n=False), 2)
        async with session(plan, backend, journal=tmp_path / "j") as one:
            asking = asyncio.create_task(one.answer("q"))
            await backend.until(lambda: backend.in_flight == 2)
            one.stop()
            return await asking

    result = run(main())
    assert (result.status, len(backend.sent), backend.finished) == ("stopped", 2, 2)
    assert result.answer
    with opened(tmp_path / "j") as store:
        assert store.rows("SELECT state FROM attempts") == [("ok",), ("ok",)]
        assert store.rows("SELECT result FROM queries") == [(None,)]
