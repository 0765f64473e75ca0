"""Short words for the tests of the openai backend: what is asked, by whom, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from archc.backends.openai import OpenAI
from archc.calls import CallError, Completion, KeyFor, Message, Purpose, Request, Sampling
from tests.servers import Answer, Script, Server, serve


def asked(n: int = 1, text: str = "hi", **changes: Any) -> Request:
    fields: dict[str, Any] = {"sampling": Sampling(), "purpose": Purpose("generate", "generate"), **changes}
    return Request((Message("user", text),), seeds=tuple(range(11, 11 + n)), **fields)


def no_key(place: str, variable: str | None) -> str | None:
    return None


@asynccontextmanager
async def connected(*urls: str, key_for: KeyFor = no_key, **options: Any) -> AsyncIterator[OpenAI]:
    backend = OpenAI("small", OpenAI.Options(base_url=list(urls), **{"probe": False, **options}), key_for)
    await backend.start()
    try:
        yield backend
    finally:
        await backend.close()
        await backend.close()


async def all_of(backend: OpenAI, request: Request) -> tuple[Completion, ...]:
    """As the runtime asks: for what is missing again, singly and at once where the server takes no `n`."""
    done: tuple[Completion, ...] = ()
    while rest := request.seeds[len(done) :]:
        parts = [rest] if backend.able.n else [(seed,) for seed in rest]
        given = await asyncio.gather(*(backend.complete(replace(request, seeds=part)) for part in parts))
        done += tuple(completion for some in given for completion in some)
    return done


def drawn(answer: Answer | Script, request: Request, **options: Any) -> tuple[tuple[Completion, ...], Server]:
    """What one call gives, and the server afterwards."""

    async def call() -> tuple[tuple[Completion, ...], Server]:
        async with serve(answer) as server, connected(server.url, **options) as backend:
            return await all_of(backend, request), server

    return asyncio.run(call())


def failure(answer: Answer | Script, request: Request | None = None, **options: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        drawn(answer, request or asked(), **options)
    return caught.value


Check = Callable[[Server, OpenAI], Coroutine[Any, Any, None]]


def with_server(check: Check, answer: Answer | Script, **options: Any) -> None:
    """Runs `check` with a server and a backend connected to it."""

    async def go() -> None:
        async with serve(answer) as server, connected(server.url, **options) as backend:
            await check(server, backend)

    asyncio.run(go())
