"""The lane: never more than the limits, everybody served in a fair order, and a server in trouble left in peace."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from itertools import count, pairwise
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archc.calls import CallError, Failed, FailureKind, Request
from archc.diagnostics import SpecError
from archc.runtime.fair_queue import QUANTUM, FairQueue, Turn, Waiter
from archc.runtime.lane import Lane
from archc.runtime.limits import AdaptiveLimit, TokenWindow
from archc.spec.model import Rate
from tests import fakes
from tests.fakes import Scripted, answer, now, plan_of, with_concurrency

T = TypeVar("T")
Server = Callable[[], Awaitable[object]]


@pytest.fixture(autouse=True)
def virtual_throttle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncio_throttle.throttler.time", SimpleNamespace(monotonic=now))


def run(work: Coroutine[Any, Any, T]) -> T:
    """In virtual time, with a timer at its end, so that who is never served is seen."""
    return fakes.run(asyncio.wait_for(work, 1e6))


def lane_of(concurrency: int = 64, retries: int = 4, rate: Rate | None = None) -> Lane:
    """A lane in virtual time. It never asks its backend for anything: tests do that."""
    model = plan_of("- generate: {model: m}").graph.models[0]
    limits = {"concurrency": concurrency, "retries": retries, "rate": rate}
    model = replace(model, shared=model.shared.model_copy(update=limits))
    return Lane(model, Scripted(), now, asyncio.sleep, random.Random(1))


async def call(lane: Lane, server: Server, turn: Turn = Turn("q")) -> Failed | None:  # noqa: B008
    """One call, tried as often as the lane lets it; why it failed, if it did."""
    excused = 0
    for attempt in count():
        try:
            async with lane.slot(turn):
                await server()
                return None
        except CallError as error:
            if not await lane.pause(attempt, error, excused):
                return error.failed
            excused += error.excused
    raise AssertionError


def calls(lane: Lane, server: Server, count: int) -> list[Failed | None]:
    """So many calls of ten questions at once."""

    async def main() -> list[Failed | None]:
        return list(await asyncio.gather(*(call(lane, server, Turn(str(i % 10))) for i in range(count))))

    return run(main())


def failing(kind: FailureKind, after: float = 0.0) -> tuple[Server, list[float]]:
    """A server that only fails, and when it was asked."""
    asked: list[float] = []

    async def server() -> None:
        asked.append(now())
        await asyncio.sleep(after)
        raise CallError(kind, "broken")

    return server, asked


def test_who_is_cancelled_when_its_turn_has_just_come_leaves_its_place() -> None:
    async def server() -> None:
        await asyncio.sleep(1.0)

    async def main() -> None:
        lane = lane_of(1)
        async with lane.slot(Turn("q")):
            gone, stays = (asyncio.create_task(call(lane, server)) for _ in range(2))
            await asyncio.sleep(0)
        gone.cancel()
        assert await stays is None
        assert gone.cancelled()

    run(main())


# ---- rate limits


@dataclass
class Limited:
    """A server that admits `rate` requests a second, saved up to `burst`, and turns the rest away."""

    rate: float
    burst: float = 1.0
    takes: float = 1.0
    retry_after: float | None = None
    level: float = 1.0
    at: float = 0.0

    def __post_init__(self) -> None:
        self.admitted: list[bool] = []
        self._random = random.Random(2)

    async def __call__(self) -> None:
        self.level = min(self.burst, self.level + (now() - self.at) * self.rate)
        self.at = now()
        self.admitted.append(self.level >= 1)
        if not self.admitted[-1]:
            raise CallError(FailureKind.RATE_LIMIT, "slow down", retry_after=self.retry_after)
        self.level -= 1
        await asyncio.sleep(self.takes * self._random.uniform(0.7, 1.3))


def test_a_rate_limit_costs_few_requests_and_no_call() -> None:
    """64 at once is ten times what this server takes: nine of ten requests of a client that knew nothing would fail."""
    server = Limited(rate=6.4)
    failed = [one for one in calls(lane_of(64), server, 10_000) if one]
    assert failed == []
    assert len(server.admitted) < 1.15 * 10_000
    assert 10_000 / (server.at * server.rate) > 0.7  # of what the server would have taken


@pytest.mark.parametrize(
    "server",
    [
        Limited(rate=6.4, burst=10),
        Limited(rate=0.1),
        Limited(rate=2),
        Limited(rate=100, burst=10, takes=0.001),
        Limited(rate=1, burst=5, takes=2, retry_after=1.0),
        Limited(rate=1, takes=2, retry_after=20.0),
        Limited(rate=10, burst=60, takes=10),
    ],
    ids=str,
)
def test_any_rate_is_found(server: Limited) -> None:
    assert set(calls(lane_of(64), server, 1_000)) == {None}
    settled = server.admitted[200:]
    assert len(settled) <= 1.3 * sum(settled)


def test_a_rate_limit_counts_where_nobody_is_served() -> None:
    server, asked = failing(FailureKind.RATE_LIMIT)
    assert {one.kind for one in calls(lane_of(8), server, 100) if one} == {FailureKind.RATE_LIMIT}
    assert len(asked) <= 30


def test_a_call_that_is_always_turned_away_ends_and_holds_up_nobody() -> None:
    """Such as one with more tokens than the server's limit."""
    turned_away = 0

    async def server() -> None:
        await asyncio.sleep(1.0)

    async def never() -> None:
        nonlocal turned_away
        turned_away += 1
        raise CallError(FailureKind.RATE_LIMIT, "too large")

    async def main() -> None:
        lane = lane_of(10)
        large = asyncio.create_task(call(lane, never))
        await asyncio.gather(*(call(lane, server) for _ in range(5_000)))
        assert now() < 1.6 * 5_000 / 10
        failed = await large
        assert failed
        assert failed.kind is FailureKind.RATE_LIMIT

    run(main())
    assert turned_away < 50


def test_what_is_excused_does_not_count_in_a_run() -> None:
    """At most ten a second, and a single retry for each call."""
    served = [-1.0]

    def reply(request: Request, i: int) -> str | CallError:
        if now() - served[-1] < 0.1:
            return CallError(FailureKind.RATE_LIMIT, "slow down")
        served.append(now())
        return "fine"

    backend = Scripted(reply, takes=lambda request: 0.5 + request.seeds[0] % 100 / 100)
    result = answer(plan_of("- generate: {model: m, n: 300}", model="retries: 1", n=False), backend)
    assert len(result.candidates) == 300


def test_one_retry_after_holds_back_all() -> None:
    asked: list[float] = []

    async def server() -> None:
        asked.append(now())
        mine = len(asked)
        await asyncio.sleep(1.0)
        if mine == 3:
            raise CallError(FailureKind.OVERLOAD, "later", retry_after=30.0)

    assert set(calls(lane_of(2), server, 8)) == {None}
    early, late = [at for at in asked if at < 30], [at for at in asked if at >= 30]
    assert (len(early), len(late)) == (4, 5)
    assert min(late) == pytest.approx(32.0, abs=0.01)


# ---- the limit on what is in flight


def test_the_limit_is_cut_once_for_a_round_trip_and_grows_by_one_in_the_next() -> None:
    limit = AdaptiveLimit(100)
    sent = [limit.sent(0.0) for _ in range(100)]
    limit.answered(1.0)
    for number in sent[1:]:
        limit.rejected(number, 1.0 + number)
    assert limit.places == 70
    for _ in range(70):
        limit.answered(1.0)
    assert limit.places == 71
    limit.rejected(limit.sent(200.0), 200.0)
    assert limit.places == 50
    for _ in range(100_000):
        limit.answered(1.0)
    assert limit.places == 100


def test_a_limit_below_one_is_a_gap() -> None:
    limit = AdaptiveLimit(1)
    limit.answered(2.0)
    for at in range(0, 1000, 10):
        limit.rejected(limit.sent(at), at)
    assert limit.places == 1
    assert limit.opens_at() == pytest.approx(990 + 2.0 * 16)


def test_as_many_are_in_flight_as_the_server_bears() -> None:
    """It takes ten at once, and is overloaded by more."""
    inside, seen = 0, []

    async def server() -> None:
        nonlocal inside
        if inside >= 10:
            raise CallError(FailureKind.OVERLOAD, "busy")
        inside += 1
        seen.append(inside)
        await asyncio.sleep(1.0)
        inside -= 1

    calls(lane_of(64, retries=10), server, 2_000)
    assert sum(seen[500:]) / len(seen[500:]) > 7


# ---- a server that is broken


@pytest.mark.parametrize("kind", [FailureKind.CONNECTION, FailureKind.OVERLOAD, FailureKind.TIMEOUT])
def test_a_dead_server_fails_all_together_and_is_hardly_asked(kind: FailureKind) -> None:
    server, asked = failing(kind)

    assert {one.kind for one in calls(lane_of(8), server, 1_000) if one} == {kind}
    assert asked[-1] == 0.5 + 1 + 2 + 4 + 8  # five tries for each
    assert len(asked) <= 8 + 4 + 5


def test_a_server_that_comes_back_has_lost_nobody() -> None:
    async def server() -> None:
        await asyncio.sleep(0.1)
        if 5 <= now() < 8:
            raise CallError(FailureKind.CONNECTION, "gone")

    assert set(calls(lane_of(64), server, 10_000)) == {None}


def test_a_probe_that_is_cancelled_lets_the_next_one_probe() -> None:
    asked: list[float] = []

    async def server() -> None:
        asked.append(now())
        if len(asked) <= 5:
            raise CallError(FailureKind.CONNECTION, "gone")
        if len(asked) == 6:
            await asyncio.Event().wait()

    async def main() -> None:
        lane = lane_of(1, retries=10)
        first = asyncio.create_task(call(lane, server))  # fails five times; then its probe hangs
        await asyncio.sleep(30)
        assert len(asked) == 6
        next_one = asyncio.create_task(call(lane, server))
        await asyncio.sleep(100)
        assert len(asked) == 6
        first.cancel()
        assert await next_one is None

    run(main())


def test_retries_are_a_share_of_the_requests() -> None:
    """A broken reply says that the server is there: no circuit opens, and only the budget is left."""
    server, asked = failing(FailureKind.BAD_RESPONSE, after=0.1)
    done = calls(lane_of(16), server, 1_000)
    reasons = [one.reason for one in done if one]
    assert len(reasons) == 1_000
    assert sum("not tried again: more than 20% of this model's requests failed" in reason for reason in reasons) > 900
    assert len(asked) <= (1_000 + 16 + 10) / 0.8


def test_few_failures_are_all_tried_again() -> None:
    rng = random.Random(3)

    async def server() -> None:
        await asyncio.sleep(0.1)
        if rng.random() < 0.15:
            raise CallError(rng.choice([FailureKind.TIMEOUT, FailureKind.BAD_RESPONSE]), "broken")

    assert set(calls(lane_of(16, retries=10), server, 3_000)) == {None}


# ---- fairness


def served(*turns: Turn) -> Iterator[Turn]:
    """In the order of a queue in which they all wait."""
    queue, loop = FairQueue(), asyncio.new_event_loop()
    names: dict[Waiter, Turn] = {}
    for turn in turns:
        waiter: Waiter = loop.create_future()
        names[waiter] = turn
        queue.push(turn, waiter)
    loop.close()
    while waiting := queue.pop():
        yield names[waiting]


def test_a_question_that_asks_much_holds_up_the_others_for_a_quantum_only() -> None:
    part = QUANTUM // 4
    order = [
        turn.query
        for turn in served(
            *[Turn("much", 0, part)] * 100, *[Turn("little", 0, part)] * 3, *[Turn("more", 0, part)] * 50
        )
    ]
    assert order[:11] == ["much"] * 4 + ["little"] * 3 + ["more"] * 4
    assert order[11:19] == ["much"] * 4 + ["more"] * 4
    assert len(order) == 153


def test_turns_weigh_as_much_as_they_may_use() -> None:
    long, short = Turn("long", 0, QUANTUM // 2), Turn("short", 0, QUANTUM // 8)
    order = [turn.query for turn in served(*[long] * 10, *[short] * 40)]
    assert order == [*["long"] * 2, *["short"] * 8] * 5


def test_new_questions_that_come_all_the_time_do_not_starve_one_that_asks_much() -> None:
    queue, loop = FairQueue(), asyncio.new_event_loop()
    much = {loop.create_future() for _ in range(100)}
    for waiter in much:
        queue.push(Turn("much", 0, QUANTUM // 4), waiter)
    for number in range(5):
        queue.push(Turn(f"first {number}", 0, QUANTUM // 4), loop.create_future())
    served, remembered = [], 0
    for number in range(2_000):
        served.append(queue.pop() in much)
        if not served[-1]:
            queue.push(Turn(f"new {number}", 0, QUANTUM // 4), loop.create_future())
        remembered = max(remembered, len(queue._flows))
    assert served[:650].count(True) == 100  # of six at a time it gets a sixth
    assert remembered < 200
    loop.close()


def test_what_comes_last_in_a_pipeline_does_not_hold_up_what_comes_first_in_another() -> None:
    queue, loop = FairQueue(), asyncio.new_event_loop()
    samples, judge = {n: loop.create_future() for n in range(6)}, loop.create_future()
    for n, waiter in samples.items():
        queue.push(Turn(f"q{n // 2}", 1, 100), waiter)
    first = [queue.pop() for _ in range(2)]
    queue.push(Turn("q0", 0, 100), judge)
    assert [*first, *(queue.pop() for _ in range(5))] == [*samples.values(), judge]
    loop.close()


def test_within_a_question_the_most_urgent_goes_first_then_the_first() -> None:
    first, second, urgent, other = Turn("q", 1, 1), Turn("q", 1, 2), Turn("q", 2), Turn("r")
    assert list(served(first, second, urgent, other)) == [urgent, first, second, other]


def test_what_is_cancelled_costs_its_question_nothing() -> None:
    queue, loop = FairQueue(), asyncio.new_event_loop()
    lost = [loop.create_future() for _ in range(50)]
    a, b, c = (loop.create_future() for _ in range(3))
    for waiter in (a, *lost, b):
        queue.push(Turn("q", 0, QUANTUM), waiter)
    queue.push(Turn("r", 0, QUANTUM), c)
    for waiter in lost:
        waiter.cancel()
    assert [queue.pop() for _ in range(4)] == [a, c, b, None]
    assert len(queue) == 0
    loop.close()


def test_calls_with_more_behind_them_go_first() -> None:
    pipeline = """
- - generate: {model: m, n: 3, system: short}
  - - generate: {model: m, n: 2, system: long}
    - repeat: {times: 2, do: [{critique: {model: m}}, {refine: {model: m}}]}
- fuse: {model: m}
"""
    plan = with_concurrency(plan_of(pipeline, n=False), 1)
    body = plan.graph.body
    assert [body.behind[node.id] for node in body.nodes if node.asks] == [1, 3, 1, 0]
    backend = Scripted(takes=1.0)
    answer(plan, backend)
    order = [request.messages[0].content for request in backend.requests]
    assert order[:4] == ["short", "long", "long", "short"]  # the first one came when nobody waited
    assert backend.requests[4].purpose.op == "critique"
    assert order.index("short", 4) > 4


# ---- rates


def test_a_rate_needs_a_limit() -> None:
    with pytest.raises(SpecError) as caught:
        plan_of("- generate: {model: m}", model="rate: {per: 10}")
    assert "`requests`, `tokens`, or both" in caught.value.diagnostics[0].headline


def test_tokens_are_counted_at_their_worst() -> None:
    """Three tokens of prompt and 16 for its message, 81 to write: two of these in ten seconds, no more."""
    backend = Scripted()
    plan = plan_of("- generate: {model: m, n: 6, max_tokens: 81}", model="rate: {tokens: 200, per: 10}", n=False)
    answer(plan, backend, "abc")
    assert [round(sent.at, 2) for sent in backend.sent] == [0, 0, 10, 10, 20, 20]


def test_a_window_is_filled_to_the_last_token() -> None:
    window = TokenWindow(10, 5)
    window.take(0, 4)
    assert [window.opens_at(1, tokens) for tokens in (6, 7)] == [1, 5]
    window.take(1, 6)
    assert [window.opens_at(2, tokens) for tokens in (0, 4, 5, 10, 11)] == [2, 5, 6, 6, 6]
    assert window.opens_at(5, 4) == 5


def test_who_waits_for_the_rate_is_held_back_too() -> None:
    asked: list[float] = []

    async def server() -> None:
        asked.append(now())
        await asyncio.sleep(5)
        if len(asked) == 1:
            raise CallError(FailureKind.RATE_LIMIT, "later", retry_after=30.0)

    assert set(calls(lane_of(rate=Rate(requests=1, per=10)), server, 2)) == {None}
    assert asked[1] > 34.99


def test_a_request_above_the_rate_goes_alone() -> None:
    lane, times = lane_of(rate=Rate(tokens=10, per=5)), []

    async def server() -> None:
        times.append(now())

    async def main() -> None:
        await asyncio.gather(*(call(lane, server, Turn("q", 0, tokens)) for tokens in (5, 50, 5, 5)))

    run(main())
    assert times == pytest.approx([0, 5, 10, 10])


# ---- all at once

KINDS = [
    FailureKind.RATE_LIMIT,
    FailureKind.OVERLOAD,
    FailureKind.TIMEOUT,
    FailureKind.CONNECTION,
    FailureKind.BAD_RESPONSE,
    FailureKind.AUTH,
]


@dataclass(frozen=True)
class Client:
    """One call: when it comes, how long each try takes, how its tries end, and when it is cancelled."""

    turn: Turn
    comes: float
    takes: float
    tries: tuple[CallError | None, ...]
    cancelled_after: float | None


SHORT = st.floats(0, 2).map(lambda s: round(s, 2))
ERRORS = st.builds(CallError, st.sampled_from(KINDS), st.just("no"), retry_after=st.none() | SHORT)
CLIENTS = st.builds(
    Client,
    turn=st.builds(Turn, st.sampled_from("abc"), st.integers(0, 3), st.integers(0, 15)),
    comes=SHORT,
    takes=SHORT,
    tries=st.lists(st.none() | ERRORS, max_size=6).map(tuple),
    cancelled_after=st.none() | SHORT,
)
FEW, MANY, SECONDS = st.integers(1, 4), st.integers(1, 20), st.sampled_from([0.5, 1.0])
RATES = (
    st.none()
    | st.builds(Rate, requests=FEW, per=SECONDS)
    | st.builds(Rate, requests=st.none() | FEW, tokens=MANY, per=SECONDS)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CLIENTS, min_size=1, max_size=25), st.integers(1, 4), RATES)
def test_no_limit_is_ever_broken_and_everybody_is_served(
    clients: list[Client], concurrency: int, rate: Rate | None
) -> None:
    lane, sent = lane_of(concurrency, rate=rate), list[tuple[float, int]]()
    inside = 0

    async def one(client: Client) -> Failed | None:
        tries = deque(client.tries)

        async def server() -> None:
            nonlocal inside
            inside += 1
            sent.append((now(), client.turn.tokens))
            assert inside <= concurrency
            try:
                await asyncio.sleep(client.takes)
            finally:
                inside -= 1
            if tries and (error := tries.popleft()):
                raise CallError(error.failed.kind, "no", retry_after=error.retry_after)

        await asyncio.sleep(client.comes)
        return await call(lane, server, client.turn)

    async def main() -> None:
        tasks = [asyncio.create_task(one(client)) for client in clients]
        for client, task in zip(clients, tasks, strict=True):
            if client.cancelled_after is not None:
                asyncio.get_running_loop().call_later(client.cancelled_after, task.cancel)
        done = await asyncio.gather(*tasks, return_exceptions=True)
        for client, result in zip(clients, done, strict=True):
            assert result is None or isinstance(result, Failed) or client.cancelled_after is not None
        assert (inside, lane._taken, lane._at_gate, lane._circuit.probing) == (0, 0, False, False)
        assert lane._queue.pop() is None

    run(main())
    if rate:
        for first, (begin, _) in enumerate(sent):
            window = [tokens for at, tokens in sent[first:] if at < begin + rate.per]
            assert len(window) <= (rate.requests or len(window))
            assert sum(window) <= max(rate.tokens or sum(window), *window)  # what is more goes alone
    assert all(a <= b for (a, _), (b, _) in pairwise(sent))


@pytest.mark.parametrize(("share", "most"), [(0.02, 6.0), (0.1, 13.0), (0.3, 45.0)])
def test_a_server_that_fails_now_and_then_is_not_taken_for_one_that_has_too_much(share: float, most: float) -> None:
    """2,000 calls of 0.1 s, 64 at once, take 3.2 s where none fails."""
    rng = random.Random(1)
    down = CallError(FailureKind.OVERLOAD, "down")
    backend = Scripted(lambda request, i: down if rng.random() < share else "ok", takes=0.1)
    plan = plan_of("- generate: {model: m, n: 2000}", model="retries: 10", n=False)
    assert answer(with_concurrency(plan, 64), backend).seconds < most
