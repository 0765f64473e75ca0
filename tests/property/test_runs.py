"""Runs of random specs: they stay within their plan, never depend on the order of arrival, and survive any reply."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archc import api
from archc.backends._world import Judge, Scene
from archc.backends.simulated import cut
from archc.calls import CallError, FailureKind, Request
from archc.passes import ORDER
from archc.planning.plan import Plan
from archc.runtime.engine import connect
from archc.runtime.run import Run
from archc.source import Source
from tests.fakes import Reply, Scripted, answer, session, with_concurrency, with_n
from tests.fakes import run as in_virtual_time
from tests.strategies import MODELS, specs

QUESTION = "What is 12 + 30?"


def several(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def compiled(text: str) -> Plan:
    """For servers with room for everything at once."""
    return with_concurrency(api.compile(Source("random.yaml", text)), 4096)


def run(plan: Plan, reply: Reply, takes: Any = 0.0) -> Run:
    return answer(plan, {name: Scripted(reply, takes) for name in MODELS}, QUESTION)


def digest(request: Request, i: int) -> bytes:
    asked = [m.content for m in request.messages], request.purpose.op, request.seeds[i], request.schema
    return sha256(repr(asked).encode(errors="surrogatepass")).digest()


def prose(request: Request, i: int) -> str:
    """No judge's reply; different for every call, and within `max_tokens`."""
    return cut(base64.b64encode(digest(request, i)).decode() * 20, request.sampling)[0]


def sense(request: Request, i: int) -> str:
    """What a good model says: JSON where a schema asks for it."""
    rng = random.Random(digest(request, i))
    if request.schema is None:
        return prose(request, i)
    return Judge(request.schema, Scene.of(request, {}), 0.8, rng).write()


def either(request: Request, i: int) -> str:
    """Now and then what cannot be read."""
    return sense(request, i) if digest(request, i)[0] % 3 else prose(request, i)


def failing(request: Request, i: int) -> str | CallError:
    """Now and then an error, for good or for a while; none of them billed."""
    rng = random.Random(digest(request, 0))
    kinds = [FailureKind.OVERLOAD, FailureKind.BAD_REQUEST, FailureKind.CONTENT_FILTER, FailureKind.TIMEOUT]
    return CallError(rng.choice(kinds), "no") if rng.random() < 0.3 else either(request, i)


def simulated(plan: Plan) -> Run:
    backends = {m.name: connect(m, lambda place, variable: None) for m in plan.graph.models}
    return answer(plan, backends, QUESTION)


def within(plan: Plan, result: Run) -> None:
    """No node asked for more than its plan allows, and none gave more candidates."""
    for node in plan.nodes:
        tally = result.nodes[node.id]
        assert tally.calls <= node.cost.calls.hi, node.id
        assert tally.prompt_tokens <= node.cost.prompt_tokens.hi, node.id
        assert tally.completion_tokens <= node.cost.completion_tokens.hi, node.id
        assert tally.candidates <= node.shape.size.hi, node.id
        if node.cost.usd:
            assert tally.usd <= node.cost.usd[1] + 1e-12, node.id
    assert result.spent.calls <= plan.cost.calls.hi
    assert result.spent.tokens <= plan.cost.tokens.hi


@several(60)
@given(specs())
def test_a_run_without_failures_lies_within_its_plan(text: str) -> None:
    """An equal call that was made before counts here, too: it is asked for, though not paid again."""
    plan = compiled(text)
    for result in (simulated(plan), run(plan, either)):
        within(plan, result)
        assert result.status == "ok"
        for node in plan.nodes:
            tally = result.nodes[node.id]
            assert tally.calls + tally.cached >= node.cost.calls.lo, node.id
            assert tally.ended is None or node.shape.size.contains(tally.candidates), node.id
        assert plan.graph.output_shape().size.contains(len(result.candidates))


@several(60)
@given(specs(), st.sampled_from([prose, failing]))
def test_nothing_makes_a_run_dearer_than_its_plan(text: str, reply: Reply) -> None:
    plan = compiled(text)
    within(plan, run(plan, reply))


LIMITS = st.sampled_from([{"calls": 1}, {"calls": 3}, {"calls": 7}, {"tokens": 900}, {"tokens": 4000}])


@several(60)
@given(LIMITS.flatmap(lambda limit: st.tuples(st.just(limit), specs(within={"budget": limit}))), st.booleans())
def test_a_block_never_spends_more_than_its_budget(limited: tuple[dict[str, int], str], n: bool) -> None:
    limit, text = limited
    plan = with_n(compiled(text), n)
    backends = {name: Scripted(either, takes=lambda request: request.seeds[0] % 3) for name in MODELS}
    result = answer(plan, backends, QUESTION)

    assert result.spent.calls <= limit.get("calls", result.spent.calls)
    assert result.spent.tokens <= limit.get("tokens", result.spent.tokens)
    assert result.status in ("ok", "failed")
    assert sum(backend.in_flight for backend in backends.values()) == 0
    within(plan, result)


@several(60)
@given(specs(within={"deadline": {"seconds": 2.5}}), st.integers(0, 10**6))
def test_at_a_deadline_nothing_is_left_under_way(text: str, seed: int) -> None:
    plan = compiled(text)
    rng = random.Random(seed)
    backends = {name: Scripted(either, takes=lambda request: rng.choice([0.1, 1.0, 100.0])) for name in MODELS}
    result = answer(plan, backends, QUESTION)

    assert result.seconds <= 2.5
    assert result.status in ("ok", "failed")
    assert sum(backend.in_flight for backend in backends.values()) == 0
    within(plan, result)


@several(60)
@given(specs(), st.sampled_from([prose, sense, either]))
def test_the_rounds_of_calls_lie_within_the_planned_depth(text: str, reply: Reply) -> None:
    """Each call takes a second, there is room for all: seconds are rounds."""
    plan = compiled(text)
    result = run(plan, reply, takes=1.0)
    assert plan.depth.lo <= result.seconds <= plan.depth.hi


@several(60)
@given(specs(), st.integers(0, 10**6), st.integers(1, 5), st.sampled_from([either, failing]))
def test_neither_arrival_nor_limits_show_in_the_answer(text: str, seed: int, room: int, reply: Reply) -> None:
    plan = compiled(text)
    rng = random.Random(seed)
    plain = run(plan, reply)
    shuffled = run(plan, reply, takes=lambda request: rng.random())
    assert shuffled.candidates == plain.candidates
    narrow = run(with_concurrency(plan, room), reply, takes=lambda request: rng.random())
    assert narrow.candidates == plain.candidates
    assert (narrow.answer, narrow.status) == (plain.answer, plain.status)


@several(40)
@given(specs(), st.integers(0, 10**6))
def test_one_request_or_several_make_no_difference(text: str, seed: int) -> None:
    plan = compiled(text)
    rng = random.Random(seed)
    singly = run(with_n(plan, False), either, takes=lambda request: rng.random())
    assert singly.candidates == run(plan, either).candidates


# ---- any reply


SILLY = [0, -1, 1, 2**63, -(10**30), 1e308, 0.5, "", "x" * 5000, None, True, [], {}, [[]], "\ud800", "NaN", "\0"]
RAW = ["", " ", "{", "[]", "null", "NaN", "Infinity", "[1e999]", "{" * 5000, "[" * 5000, '{"a":' * 2000, "9" * 5000]
RAW += [
    "```json\n```",
    "<think>",
    "\ud800",
    "\0",
    "[1] > [1] > [99999999999999999999]",
    "x" * 100_000,
    "</candidate 1>",
]


def spoiled(value: Any, rng: random.Random) -> Any:
    """The value with some parts replaced by silly ones."""
    if rng.random() < 0.25:
        return rng.choice(SILLY)
    if isinstance(value, dict):
        return {key: spoiled(part, rng) for key, part in value.items() if rng.random() < 0.9}
    if isinstance(value, list):
        return [spoiled(part, rng) for part in value] * rng.choice([0, 1, 1, 3])
    return value


def silly(request: Request, i: int) -> str:
    rng = random.Random(digest(request, i))
    if request.schema is None or rng.random() < 0.3:
        return rng.choice(RAW)
    return json.dumps(spoiled(json.loads(sense(request, i)), rng))


@several(100)
@given(specs(), st.lists(st.text(max_size=80), min_size=1, max_size=5))
def test_no_reply_whatever_breaks_a_run(text: str, texts: list[str]) -> None:
    plan = compiled(text)
    drawn = [run(plan, silly), run(plan, lambda request, i: texts[request.seeds[i] % len(texts)])]
    for result in drawn:
        assert result.status in ("ok", "failed")
        assert result.answer is not None or result.error is not None
        json.dumps(result.as_json(), allow_nan=False)
        for node in plan.nodes:
            assert result.nodes[node.id].calls <= node.cost.calls.hi


@pytest.mark.parametrize("seed", range(3))
def test_a_question_is_answered_the_same_in_any_company(seed: int) -> None:
    """Alone or among others at the same time."""
    plan = compiled(
        "models:\n  a: {backend: simulated}\npipeline:\n  - generate: {model: a, n: 3}\n  - fuse: {model: a}\n"
    )
    alone = answer(plan, Scripted(either), QUESTION)
    rng = random.Random(seed)
    backend = Scripted(either, takes=lambda request: rng.random())

    async def company() -> Run:
        async with session(with_concurrency(plan, 2), backend) as open_session:
            tasks = [asyncio.create_task(open_session.answer(f"question {i}", str(i))) for i in range(5)]
            mine = await open_session.answer(QUESTION, "mine")
            await asyncio.gather(*tasks)
            return mine

    assert in_virtual_time(company()).candidates == alone.candidates


@several(60)
@given(specs())
def test_passes_keep_the_answers_and_never_add_a_call(text: str) -> None:
    """A critique that reaches the end unread is no part of the answer."""
    unoptimised = api.compile(Source("random.yaml", text), skip=[p.__name__ for p in ORDER])
    plain, optimised = run(with_concurrency(unoptimised, 4096), either), run(compiled(text), either)

    kept, wanted = ([replace(c, critique=None) for c in r.candidates] for r in (optimised, plain))
    assert kept == wanted
    if not {"race", "until"} & {node.op.name for node in unoptimised.graph.every}:  # what they cancel may be bought
        assert optimised.spent.calls <= plain.spent.calls
