"""A session: starts what is asked, closes everything whatever happens, and keeps each question's failures to itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from archc import errors
from archc.calls import CallError, FailureKind, Message, Request
from archc.diagnostics import RunError
from archc.spec.model import Budget
from tests.fakes import Events, Scripted, answer, echo, plan_of, run, session, with_concurrency

PIPELINE = (
    "- generate: {model: m, n: 4}\n- critique: {model: m, by: each}\n- rank: {model: m, top_k: 2}\n- fuse: {model: m}"
)


class Refusing(Scripted):
    """Cannot be started."""

    async def start(self) -> None:
        raise RunError(errors.MissingModel(path="nowhere.gguf"))


def test_only_the_models_that_are_asked_are_started_and_all_are_closed() -> None:
    asked, idle = Scripted(), Scripted()
    answer(plan_of("- generate: {model: m}"), {"m": asked, "other": idle})
    assert (asked.started, asked.closed) == (True, True)
    assert (idle.started, idle.closed) == (False, False)


def test_a_backend_that_cannot_start_closes_the_others(tmp_path: Path) -> None:
    fine, broken = Scripted(), Refusing()
    plan = plan_of("- - generate: {model: m}\n  - generate: {model: other}")
    with pytest.raises(RunError) as caught:
        answer(plan, {"m": fine, "other": broken}, journal=tmp_path / "j")
    assert isinstance(caught.value.diagnostic, errors.MissingModel)
    assert fine.closed
    assert broken.closed


def test_when_every_call_fails_the_diagnostic_shows_the_step_and_the_reason() -> None:
    backend = Scripted(lambda r, i: CallError(FailureKind.AUTH, "the key is wrong"))
    result = answer(plan_of(PIPELINE), backend)
    assert (result.status, result.answer, result.candidates) == ("failed", None, ())
    assert isinstance(result.error, errors.NoAnswer)
    assert result.error.span is not None
    assert result.error.span.line == 6
    assert "the key is wrong" in result.error.headline
    assert len(backend.sent) == 1


def test_too_few_answers_are_a_failure_where_the_spec_says_so() -> None:
    def reply(request: Request, i: int) -> str | CallError:
        return CallError(FailureKind.BAD_REQUEST, "no") if request is backend.requests[0] else "x"

    backend = Scripted(reply)
    result = answer(plan_of("- generate: {model: m, n: 3, min_valid: 3}", n=False), backend)
    assert isinstance(result.error, errors.TooFewValid)
    assert (result.error.got, result.error.wanted) == (2, 3)


@pytest.mark.parametrize("requests", range(1, 8))
def test_cancelling_a_question_at_any_call_leaves_nothing_behind(requests: int, tmp_path: Path) -> None:
    """Calls are aborted, reservations come back, claims are free: the next question runs in the same session."""
    backend = Scripted(takes=lambda r: float("inf") if len(backend.sent) == requests else 0.0)
    events = Events()
    plan = with_concurrency(plan_of(PIPELINE, n=False), 1)

    async def main() -> None:
        budget = Budget(calls=100, tokens=1_000_000)
        async with session(plan, backend, journal=tmp_path / "j", budget=budget, listeners=[events]) as open_session:
            task = asyncio.create_task(open_session.answer("q", "1"))
            await backend.until(lambda: len(backend.sent) == requests)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert backend.in_flight == 0
            scope, governor = open_session._engine.scope, open_session._engine.governor
            assert scope is not None
            assert (scope.reserved.calls, scope.reserved.tokens) == (0, 0)
            assert scope.spent.calls == requests == sum(e["calls"] for e in events.named("call"))
            assert governor._claimed == {}
            again = await open_session.answer("q", "2")
            assert again.status == "ok"
            assert again.cached >= requests - 1

    asyncio.run(main())
    assert backend.cancelled == 1
    assert backend.closed


def test_a_session_that_is_cancelled_closes_everything(tmp_path: Path) -> None:
    backend = Scripted(takes=float("inf"))

    async def one() -> None:
        async with session(plan_of(PIPELINE), backend, journal=tmp_path / "j") as open_session:
            await open_session.answer("q")

    async def main() -> None:
        task = asyncio.create_task(one())
        await backend.until(lambda: backend.in_flight == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert (backend.cancelled, backend.closed) == (1, True)


def test_a_bug_in_a_backend_is_not_hidden_and_leaves_nothing_reserved() -> None:
    def reply(request: Request, i: int) -> str:
        raise ZeroDivisionError

    backend = Scripted(reply)

    async def main() -> None:
        async with session(plan_of(PIPELINE, n=False), backend, budget=Budget(calls=50)) as open_session:
            with pytest.raises(ZeroDivisionError):
                await open_session.answer("q")
            assert open_session._engine.scope is not None
            assert open_session._engine.scope.reserved.calls == 0
            assert open_session._engine.governor._claimed == {}

    run(main())
    assert backend.closed


def test_a_time_out_inside_a_backend_is_not_taken_for_the_deadline() -> None:
    def reply(request: Request, i: int) -> str:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        answer(plan_of("- generate: {model: m}", budget="seconds: 100"), Scripted(reply))


def test_questions_of_one_session_do_not_mix() -> None:
    backend = Scripted(takes=lambda r: (r.seeds[0] % 7) / 10)

    async def main() -> None:
        async with session(plan_of(PIPELINE), backend) as open_session:
            tasks = {q: asyncio.create_task(open_session.answer(q, q)) for q in map(str, range(20))}
            for question, task in tasks.items():
                assert (await task).id == question

    run(main())


def test_a_conversation_keeps_its_earlier_turns() -> None:
    backend = Scripted(echo)
    turns = (
        Message("system", "be brief"),
        Message("user", "hi"),
        Message("assistant", "hello"),
        Message("user", "why?"),
    )

    async def main() -> None:
        async with session(plan_of("- generate: {model: m}"), backend) as open_session:
            await open_session.answer(turns)

    run(main())
    assert [m.content for m in backend.requests[0].messages] == ["be brief", "hi", "hello", "why?"]
