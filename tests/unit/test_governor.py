"""The governor: calls are known by what they ask, bought once, limited, and tried again only where that can help."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from archc.calls import CallError, Completion, FailureKind, Finish, Request, Usage
from tests.fakes import Events, Scripted, answer, echo, now, plan_of, run, session, with_concurrency


def test_samples_share_one_request_where_the_server_takes_n() -> None:
    together, singly = Scripted(), Scripted()
    one = answer(plan_of("- generate: {model: m, n: 5}"), together)
    many = answer(plan_of("- generate: {model: m, n: 5}", n=False), singly)
    assert [r.n for r in together.requests] == [5]
    assert [r.n for r in singly.requests] == [1] * 5
    assert one.candidates == many.candidates
    assert one.spent.calls == many.spent.calls == 5


def test_each_sample_has_its_own_seed() -> None:
    backend = Scripted()
    answer(plan_of("- generate: {model: m, n: 1000}"), backend)
    [request] = backend.requests
    assert len(set(request.seeds)) == 1000
    assert all(0 <= seed < 2**31 for seed in request.seeds)


def test_only_the_difference_is_bought_for_a_larger_n(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    small, large, again = Scripted(), Scripted(), Scripted()
    four = answer(plan_of("- generate: {model: m, n: 4}"), small, journal=journal)
    eight = answer(plan_of("- generate: {model: m, n: 8}"), large, journal=journal)
    two = answer(plan_of("- generate: {model: m, n: 2}"), again, journal=journal)
    assert (small.completions, large.completions, again.completions) == (4, 4, 0)
    assert eight.candidates[:4] == four.candidates
    assert two.candidates == four.candidates[:2]
    assert (eight.spent.calls, eight.cached) == (4, 4)


def test_a_request_never_spans_a_gap_since_servers_count_seeds_on(tmp_path: Path) -> None:
    """Samples 0, 1, 3, 4 are missing: seeds s, s+1 and s+3, s+4 cannot be one request."""

    def only_the_third(request: Request, i: int) -> str | CallError:
        return "fine" if request is first.requests[2] else CallError(FailureKind.BAD_REQUEST, "no")

    first, second = Scripted(only_the_third), Scripted()
    answer(plan_of("- generate: {model: m, n: 5}", n=False), first, journal=tmp_path / "j")
    answer(plan_of("- generate: {model: m, n: 5}"), second, journal=tmp_path / "j")
    assert [request.n for request in second.requests] == [2, 2]
    for request in second.requests:
        assert list(request.seeds) == list(range(request.seeds[0], request.seeds[0] + request.n))


def test_equal_calls_are_bought_once_even_at_the_same_time() -> None:
    """Two critics of equal candidates ask the same: one call, two readers."""
    backend = Scripted(lambda request, i: "the same", takes=1.0)
    plan = plan_of("- generate: {model: m, n: 3}\n- critique: {model: m, by: each}\n- fuse: {model: m}")
    result = answer(plan, backend)
    critiques = [r for r in backend.requests if r.purpose.op == "critique"]
    assert len(critiques) == 1
    assert (result.nodes["critique"].calls, result.nodes["critique"].cached) == (1, 2)


def test_two_questions_that_ask_the_same_share_through_the_journal(tmp_path: Path) -> None:
    backend = Scripted(takes=1.0)

    async def main() -> tuple[object, object]:
        async with session(plan_of("- generate: {model: m, n: 2}"), backend, journal=tmp_path / "j") as open_session:
            one = asyncio.create_task(open_session.answer("q", "1"))
            two = asyncio.create_task(open_session.answer("q", "2"))
            return (await one).candidates, (await two).candidates

    one, two = asyncio.run(main())
    assert one == two
    assert backend.completions == 2


def test_a_claim_is_taken_over_when_its_owner_is_cancelled(tmp_path: Path) -> None:
    backend = Scripted(takes=lambda request: float("inf") if len(backend.sent) == 1 else 0.0)

    async def main() -> None:
        async with session(plan_of("- generate: {model: m}"), backend, journal=tmp_path / "j") as open_session:
            owner = asyncio.create_task(open_session.answer("q", "1"))
            await backend.until(lambda: backend.in_flight == 1)
            waiting = asyncio.create_task(open_session.answer("q", "2"))
            await asyncio.sleep(0)
            owner.cancel()
            assert (await waiting).status == "ok"
            assert owner.cancelled()

    asyncio.run(main())
    assert (len(backend.sent), backend.cancelled) == (2, 1)


def test_a_claim_is_taken_over_when_its_owner_fails(tmp_path: Path) -> None:
    refused = CallError(FailureKind.AUTH, "no key")
    backend = Scripted(lambda request, i: refused if len(backend.sent) == 1 else "fine", takes=0.01)

    async def main() -> list[str]:
        async with session(plan_of("- generate: {model: m}"), backend, journal=tmp_path / "j") as open_session:
            tasks = [asyncio.create_task(open_session.answer("q", str(i))) for i in range(3)]
            return [(await task).status for task in tasks]

    assert asyncio.run(main()) == ["failed", "ok", "ok"]
    assert len(backend.sent) == 2


def test_equal_ops_at_other_places_draw_other_samples() -> None:
    backend = Scripted()
    result = answer(plan_of("- - generate: {model: m}\n  - generate: {model: m}"), backend)
    assert len({request.seeds for request in backend.requests}) == 2
    assert len(set(result.candidates)) == 2


def test_the_seed_of_the_run_draws_other_samples() -> None:
    plan = plan_of("- generate: {model: m, n: 3}")
    assert answer(plan, Scripted(), seed=1).candidates != answer(plan, Scripted(), seed=2).candidates


# ---- trying again


def failing(times: int, error: CallError) -> Scripted:
    backend = Scripted(lambda request, i: error if len(backend.sent) <= times else echo(request, i))
    return backend


@pytest.mark.parametrize("kind", [FailureKind.RATE_LIMIT, FailureKind.OVERLOAD, FailureKind.BAD_RESPONSE])
def test_what_may_pass_is_tried_again_after_growing_waits(kind: FailureKind) -> None:
    backend = failing(3, CallError(kind, "busy"))
    result = answer(plan_of("- generate: {model: m}"), backend)
    assert result.status == "ok"
    waits = [b.at - a.at for a, b in zip(backend.sent, backend.sent[1:], strict=False)]
    assert all(0.5 * 2**i * 0.5 <= wait <= 0.5 * 2**i for i, wait in enumerate(waits))
    assert len(waits) == 3
    assert result.nodes["generate"].retries == 3


def test_a_server_that_says_when_is_believed_within_reason() -> None:
    for asked, waited in ((7.0, 7.0), (86_400.0, 300.0), (0.0, 0.0)):
        backend = failing(1, CallError(FailureKind.RATE_LIMIT, "later", retry_after=asked))
        answer(plan_of("- generate: {model: m}"), backend)
        assert backend.sent[1].at == pytest.approx(waited)


def test_retries_end() -> None:
    backend = failing(100, CallError(FailureKind.OVERLOAD, "busy"))
    result = answer(plan_of("- generate: {model: m}", model="retries: 2"), backend)
    assert len(backend.sent) == 3
    assert result.status == "failed"


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.AUTH,
        FailureKind.BAD_REQUEST,
        FailureKind.CONTENT_FILTER,
        FailureKind.CONTEXT_LENGTH,
        FailureKind.NOT_FOUND,
    ],
)
def test_what_cannot_pass_is_not_tried_again(kind: FailureKind) -> None:
    backend = failing(1, CallError(kind, "never"))
    result = answer(plan_of("- generate: {model: m}"), backend)
    assert len(backend.sent) == 1
    assert result.error is not None
    assert f"{kind}: never" in result.error.headline


def test_a_failed_attempt_that_may_be_billed_stays_charged_and_a_free_one_does_not() -> None:
    for billed, calls in ((True, 2), (False, 1)):
        events = Events()
        backend = failing(1, CallError(FailureKind.TIMEOUT, "slow", billed=billed))
        result = answer(plan_of("- generate: {model: m, max_tokens: 50}"), backend, listeners=[events])
        assert result.spent.calls == calls
        assert [e["outcome"] for e in events.named("call")] == ["timeout", "ok"]
        assert (events.named("call")[0]["completion_tokens"] == 50) is billed


def test_each_retry_needs_room_in_the_budget_anew() -> None:
    backend = failing(100, CallError(FailureKind.TIMEOUT, "slow", billed=True))
    result = answer(plan_of("- generate: {model: m}", budget="calls: 3"), backend)
    assert len(backend.sent) == 3
    assert (result.status, result.spent.calls) == ("exhausted", 3)


def test_one_failed_candidate_does_not_end_the_question() -> None:
    def reply(request: Request, i: int) -> str | CallError:
        return CallError(FailureKind.BAD_REQUEST, "no") if request is backend.requests[1] else echo(request, i)

    backend = Scripted(reply)
    result = answer(plan_of("- generate: {model: m, n: 4}", n=False), backend)
    assert result.status == "ok"
    assert len(result.candidates) == 3


def test_one_dead_branch_does_not_end_the_question() -> None:
    dead = Scripted(lambda r, i: CallError(FailureKind.AUTH, "no key"))
    plan = plan_of("- - generate: {model: m, n: 2}\n  - generate: {model: other}\n- fuse: {model: m}")
    result = answer(plan, {"m": Scripted(), "other": dead})
    assert result.status == "ok"


# ---- limits


@pytest.mark.parametrize("n", [True, False])
def test_no_more_requests_are_in_flight_than_the_model_may_have(n: bool) -> None:
    backend = Scripted(takes=1.0)
    plan = with_concurrency(plan_of("- generate: {model: m, n: 20}", n=n), 3)

    async def main() -> float:
        async with session(plan, backend) as open_session:
            async with asyncio.TaskGroup() as tasks:
                for i in range(4):
                    tasks.create_task(open_session.answer(f"question {i}", str(i)))
            return now()

    seconds = run(main())
    assert backend.most_in_flight == 3
    assert seconds == -(-len(backend.sent) // 3)  # and no slot was ever idle


def test_two_models_do_not_wait_for_each_other() -> None:
    slow, fast = Scripted(takes=10.0), Scripted(takes=1.0)
    plan = with_concurrency(plan_of("- - generate: {model: m}\n  - generate: {model: other}", n=False), 1)
    assert answer(plan, {"m": slow, "other": fast}).seconds == 10.0


def test_requests_start_in_order_and_no_faster_than_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncio_throttle.throttler.time", SimpleNamespace(monotonic=now))
    backend = Scripted()
    plan = plan_of("- generate: {model: m, n: 10}", model="rate: {requests: 3, per: 60}", n=False)
    answer(plan, backend)
    times = [sent.at for sent in backend.sent]
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[3:], strict=False))
    assert times[-1] < 181
    seeds = [sent.request.seeds[0] for sent in backend.sent]
    assert seeds == sorted(seeds)


# ---- odd content


@pytest.mark.parametrize("question", ["", "x" * 2_000_000, "half \ud800 a pair", "\0", "é" * 1000])
def test_any_text_can_be_asked(question: str, tmp_path: Path) -> None:
    plan = plan_of("- generate: {model: m, n: 3}\n- extract: {kind: number}\n- vote", budget="tokens: 50_000_000")
    first = answer(plan, Scripted(), question, journal=tmp_path / "j")
    again = answer(plan, backend := Scripted(), question, journal=tmp_path / "j")
    assert first.candidates == again.candidates
    assert backend.sent == []


def test_any_completion_can_be_kept(tmp_path: Path) -> None:
    odd = Completion("half \ud800 a pair \0", Finish.LENGTH, Usage(3, 2, 1), -0.5)
    plan = plan_of("- generate: {model: m, logprobs: true}")
    for _ in range(2):
        [candidate] = answer(plan, Scripted(lambda r, i: odd), journal=tmp_path / "j").candidates
        assert (candidate.text, candidate.truncated, candidate.logprob) == (odd.text, True, -0.5)


def test_different_conversations_never_share(tmp_path: Path) -> None:
    """Whatever changes the answer is in the identity: the text, its surrogates, the sampling."""
    journal = tmp_path / "j"
    specs = ["{model: m}", "{model: m, temperature: 0.1}", "{model: m, max_tokens: 7}", "{model: m, top_p: 0.5}"]
    specs += ["{model: m, stop: [x]}", "{model: m, logprobs: true}", "{model: m, system: hi}"]
    for spec in specs:
        for question in ("a", "a\ud800", "a\udfff", "a?"):
            backend = Scripted()
            answer(plan_of(f"- generate: {spec}"), backend, question, journal=journal)
            assert backend.completions == 1, (spec, question)
