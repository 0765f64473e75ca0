"""Every op goes through one suite: its example runs, its bounds hold, its answers do not depend on arrival or luck."""

from __future__ import annotations

import asyncio
import random
import re
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

import archc
from archc import api, ops
from archc.calls import Backend, BackendOptions, CallError, Capabilities, Completion, FailureKind, Request, Usage
from archc.keys import key_source
from archc.runtime.engine import World, connect
from archc.runtime.session import Session
from archc.source import Source

MODELS = "models:\n  small: {backend: simulated, model: s}\n  big: {backend: simulated, model: b}\npipeline:\n"

ALL = pytest.mark.parametrize("name", ops.names())


def example(name: str) -> str:
    """The example of an op's docstring, as a spec."""
    text = re.sub(r"^    ", "", ops.op_class(name).__doc__ or "", flags=re.MULTILINE)
    found = re.search(r"Example:\n((?:    .*\n?)+)", text)
    assert found, f"{name} has no example"
    return MODELS + textwrap.indent(textwrap.dedent(found[1]), "  ")


class Scripted(Backend):
    """Answers by a function of the request; each sample after as many turns of the loop as `turns` says."""

    Options = BackendOptions
    capabilities = Capabilities(n=False, logprobs=True, schema=True, seed=True)

    def __init__(self, reply: Callable[[Request], str], turns: Callable[[], int] = lambda: 0) -> None:
        self.reply = reply
        self.turns = turns

    @property
    def fingerprint(self) -> str:
        return "scripted"

    async def complete(self, request: Request) -> tuple[Completion, ...]:
        for _ in range(self.turns()):
            await asyncio.sleep(0)
        usage = Usage(1, 1)
        return tuple(Completion(self.reply(request), usage=usage, logprob=-1.0) for _ in request.seeds)


def answered(spec: str, backend: Callable[[Any], Backend] | None = None, seed: int = 0) -> archc.Run:
    async def run() -> archc.Run:
        async def no_sleep(_: float) -> None:
            await asyncio.sleep(0)

        make = (lambda model, keys: backend(model)) if backend else connect
        world = World(lambda: 0.0, no_sleep, key_source({}), make)
        async with Session(plan, world, seed=seed) as session:
            return await session.answer("What is 3 + 4?")

    plan = api.compile(Source(name="example", text=spec))
    return asyncio.run(run())


def seen(run: archc.Run) -> list[tuple[object, ...]]:
    return [(c.text, c.critique, c.score, c.verdict, c.answer) for c in run.candidates]


@ALL
def test_the_example_runs_within_its_bounds(name: str) -> None:
    spec = example(name)
    plan = api.compile(Source("example", spec))
    run = answered(spec)

    assert run.status == "ok"
    assert not [note for note in run.notes if note["event"] == "refused"]
    for node in plan.nodes:
        tally = run.nodes[node.id]
        assert node.cost.calls.contains(tally.calls + tally.cached), node.id
        assert tally.ended is None or node.shape.size.contains(tally.candidates), node.id
        assert tally.prompt_tokens <= node.cost.prompt_tokens.hi, node.id
        assert tally.completion_tokens <= node.cost.completion_tokens.hi, node.id


@ALL
def test_the_same_seed_gives_the_same_answer(name: str) -> None:
    assert seen(answered(example(name), seed=3)) == seen(answered(example(name), seed=3))


@ALL
def test_arrival_order_does_not_change_the_answer(name: str) -> None:
    def reply(request: Request) -> str:
        return f"draft {request.seeds[0] % 97}: the answer is {request.seeds[0] % 7}."

    outcomes = []
    for seed in range(4):
        turns = random.Random(seed)
        outcomes.append(seen(answered(example(name), lambda _, t=turns: Scripted(reply, lambda: t.randrange(20)))))

    assert all(outcome == outcomes[0] for outcome in outcomes)


GARBAGE = [
    "",
    "{",
    '{"ranking": "first"}',
    "[1] > [2] > [99]",
    "null",
    "\x00\ud800",
    "x" * 5000,
    "9" * 5000,
    "[Correct] [Incorrect]",
]


@ALL
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_a_failure_with_a_fallback_never_an_exception(name: str, garbage: str) -> None:
    run = answered(example(name), lambda _: Scripted(lambda request: garbage))

    assert run.status == "ok"
    assert len(run.candidates) >= 1


class Down(Scripted):
    async def complete(self, request: Request) -> tuple[Completion, ...]:
        if request.purpose.op not in ("generate", "think"):
            raise CallError(FailureKind.AUTH, "no key")
        return await super().complete(request)


@ALL
def test_failed_calls_leave_an_answer_wherever_there_was_one(name: str) -> None:
    run = answered(example(name), lambda _: Down(lambda request: f"the answer is {request.seeds[0] % 7}"))

    assert run.status == "ok"
    assert len(run.candidates) >= 1


def test_readme_lists_every_op() -> None:
    from pathlib import Path

    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("| step | what it does") :]

    assert [name for name in ops.names() if f"`{name}`" not in table] == []
