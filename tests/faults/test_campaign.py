"""The short form of the fault campaign; and the checker itself, which must see what is broken on purpose."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import ClassVar

import pytest

from archc.calls import Backend, BackendOptions, CallError, Capabilities, Completion, FailureKind, Request
from archc.spec.model import Budget
from tests.faults.bodies import FAULTS
from tests.faults.campaign import campaign, played
from tests.faults.scenes import TEMPLATES, Scene, Setting, Wrap, bare


def test_two_thousand_faults_break_no_promise() -> None:
    sums = campaign(2000, seed=1)
    assert sums.broken == {}
    assert [fault for fault in FAULTS if not sums.injected[fault]] == []


@pytest.mark.parametrize("seed", [2, 5, 14])
def test_a_scene_goes_the_same_way_again(seed: int) -> None:
    def told(scene: Scene) -> list[str]:
        """But for ports, the random id of a run, and which calls had just left when all of a group were cancelled."""
        events = [{**event, "run": ""} for event in (*scene.disturbed.events, *scene.again.events)]
        aborted = {
            "id": None,
            "sent": None,
            "calls": 0,
            "usd": 0.0,
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "reason": "",
        }
        said = [e | aborted if e.get("outcome") == "aborted" else e for e in events if e["event"] != "sending"]
        return sorted(re.sub(r"127\.0\.0\.1\D{1,3}\d+", "PORT", json.dumps(event)) for event in said)

    assert told(played(seed)[0]) == told(played(seed)[0])


# ---- the checker


CALM = Setting(
    seed=5,
    template=TEMPLATES[0],
    own=Budget(),
    shared=None,
    concurrency=4,
    retries=4,
    n=True,
    dead=False,
    questions=2,
    rate=0.0,
    mix=("502",),
    bytes_per_token=4,
    stopped=None,
)
"""Nothing happens but what a test does."""

Complete = Callable[[Request], Awaitable[tuple[Completion, ...]]]
Spoil = Callable[[Complete, Request], Awaitable[tuple[Completion, ...]]]


def spoiled(spoil: Spoil) -> Wrap:
    """A backend whose first request goes wrong in a way of its own."""

    class Spoiled(Backend):
        Options = BackendOptions
        capabilities: ClassVar = Capabilities()

        def __init__(self, inner: Backend) -> None:
            self.inner, self.first = inner, True

        @property
        def fingerprint(self) -> str:
            return self.inner.fingerprint

        @property
        def able(self) -> Capabilities:
            return self.inner.able

        async def start(self) -> None:
            await self.inner.start()

        async def close(self) -> None:
            await self.inner.close()

        async def complete(self, request: Request) -> tuple[Completion, ...]:
            first, self.first = self.first, False
            return tuple(await (spoil(self.inner.complete, request) if first else self.inner.complete(request)))

    return Spoiled


async def another_text(complete: Complete, request: Request) -> tuple[Completion, ...]:
    return tuple([replace(one, text=one.text[:-1]) for one in await complete(request)])


async def thrown_away(complete: Complete, request: Request) -> tuple[Completion, ...]:
    await complete(request)
    return await complete(request)


async def said_to_be_free(complete: Complete, request: Request) -> tuple[Completion, ...]:
    await complete(request)
    raise CallError(FailureKind.CONNECTION, "lost")


async def too_little_counted(complete: Complete, request: Request) -> tuple[Completion, ...]:
    return tuple([replace(one, usage=type(one.usage)()) for one in await complete(request)])


async def hung(complete: Complete, request: Request) -> tuple[Completion, ...]:
    return await asyncio.Future()


async def slow(complete: Complete, request: Request) -> tuple[Completion, ...]:
    await asyncio.sleep(100.0)
    return await complete(request)


async def crashed(complete: Complete, request: Request) -> tuple[Completion, ...]:
    raise ZeroDivisionError


LEFT: list[object] = []


async def leaky(complete: Complete, request: Request) -> tuple[Completion, ...]:
    LEFT.extend([socket.socket(), asyncio.ensure_future(asyncio.Future[None]())])
    return await complete(request)


SPOILED: list[tuple[Spoil, str, set[str]]] = [
    (another_text, "within", {"only_the_truth_is_believed", "the_next_run_ends_as_if_nothing_had_happened"}),
    (another_text, "around", {"all_that_came_is_kept", "the_next_run_ends_as_if_nothing_had_happened"}),
    (thrown_away, "within", {"nothing_is_bought_twice", "all_that_is_billed_is_counted"}),
    (thrown_away, "around", {"nothing_is_bought_twice", "all_that_is_billed_is_counted", "all_that_came_is_kept"}),
    (said_to_be_free, "within", {"nothing_is_bought_twice", "all_that_is_billed_is_counted"}),
    (too_little_counted, "within", {"all_that_is_billed_is_counted"}),
    (hung, "around", {"nothing_breaks"}),
    (slow, "within", {"nothing_outlives_its_time"}),
    (crashed, "within", {"nothing_breaks"}),
    (leaky, "around", {"nothing_breaks"}),
]


def test_without_a_fault_no_promise_is_broken() -> None:
    assert played(CALM)[1] == []


@pytest.mark.parametrize(("spoil", "where", "seen"), SPOILED)
def test_the_checker_sees_what_is_broken(spoil: Spoil, where: str, seen: set[str]) -> None:
    wrap = spoiled(spoil)
    _, broken = played(CALM, wrap if where == "within" else bare, wrap if where == "around" else bare)
    while LEFT:
        if isinstance(left := LEFT.pop(), socket.socket):
            left.close()
    assert {line.split(":")[0] for line in broken} == seen
