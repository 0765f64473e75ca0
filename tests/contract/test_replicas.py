"""Several servers of one model: who gets a request, who gets none, and who gets some again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from archc.backends.openai import OpenAI
from archc.calls import CallError, FailureKind
from tests.openai_calls import asked, no_key
from tests.servers import Answer, Hang, Server, error, serve

LONG = "The same long beginning. " * 40


@asynccontextmanager
async def replicas(*urls: str, now: list[float] | None = None) -> AsyncIterator[OpenAI]:
    clock = now or [0.0]
    backend = OpenAI("small", OpenAI.Options(base_url=list(urls), probe=False), no_key, clock=lambda: clock[0])
    await backend.start()
    try:
        yield backend
    finally:
        await backend.close()


def counts(*servers: Server) -> list[int]:
    return [len(server.requests) for server in servers]


def test_prompts_that_begin_alike_go_to_the_same_server() -> None:
    async def check() -> None:
        async with serve() as one, serve() as two, replicas(one.url, two.url) as backend:
            await backend.complete(asked(text="something short"))
            for i in range(4):
                await backend.complete(asked(text=f"{LONG}{i}"))
            assert counts(one, two) == [5, 0]
            assert (await backend.complete(asked(text=LONG)))[0].server == one.url

    asyncio.run(check())


def test_different_prompts_that_come_at_once_are_spread_and_stay_where_they_were() -> None:
    async def check() -> None:
        async with serve(delay=0.01) as one, serve(delay=0.01) as two, replicas(one.url, two.url) as backend:
            topics = [f"{topic} {LONG}" for topic in ("red", "blue")]
            for round_ in range(3):
                await asyncio.gather(*(backend.complete(asked(text=f"{topic}{round_}")) for topic in topics))
            for server in (one, two):
                words = {r.body["messages"][0]["content"].split()[0] for r in server.requests}
                assert len(words) == 1
            assert counts(one, two) == [3, 3]

    asyncio.run(check())


def test_a_busy_server_gets_no_more_than_a_few_above_the_others() -> None:
    async def check() -> None:
        async with serve(Hang()) as one, serve(Hang()) as two, replicas(one.url, two.url) as backend:
            calls = [asyncio.create_task(backend.complete(asked(text=LONG))) for _ in range(40)]
            await one.until(lambda s: s.in_flight + two.in_flight == 40)
            await two.until(lambda s: s.in_flight + one.in_flight == 40)
            assert abs(one.in_flight - two.in_flight) <= 5
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(check())


@pytest.mark.parametrize("answer", [error(503, "draining"), error(502)])
def test_a_server_that_drains_costs_no_call(answer: Answer) -> None:
    async def check() -> None:
        async with serve(answer) as one, serve("two") as two, replicas(one.url, two.url) as backend:
            for _ in range(3):
                assert (await backend.complete(asked()))[0].text == "two"
            assert counts(one, two) == [1, 3]

    asyncio.run(check())


def test_a_server_that_is_down_costs_no_call() -> None:
    async def check() -> None:
        async with serve("two") as two, replicas("http://127.0.0.1:1/v1", two.url) as backend:
            assert (await backend.complete(asked()))[0].server == two.url

    asyncio.run(check())


def test_what_may_have_been_billed_is_not_sent_again() -> None:
    async def check() -> None:
        async with serve(error(500)) as one, serve("two") as two, replicas(one.url, two.url) as backend:
            with pytest.raises(CallError) as caught:
                await backend.complete(asked())
            assert (caught.value.failed.kind, caught.value.server) == (FailureKind.OVERLOAD, one.url)
            assert counts(one, two) == [1, 0]

    asyncio.run(check())


def test_a_server_is_back_when_it_says_that_it_is_well() -> None:
    async def check() -> None:
        now = [0.0]
        state = {"well": False}

        def answer(_: dict[str, Any]) -> Answer:
            return "one" if state["well"] else error(503)

        async with (
            serve(answer, routes={"/v1/models": {}}) as one,
            serve("two") as two,
            replicas(one.url, two.url, now=now) as backend,
        ):
            await backend.complete(asked())
            now[0] = 4.0
            await backend.complete(asked())
            assert one.read == []  # not yet
            now[0] = 6.0
            state["well"] = True
            assert (await backend.complete(asked()))[0].text == "one"
            assert one.read == ["/v1/models"]
            assert (await backend.complete(asked()))[0].text == "one"
            assert one.read == ["/v1/models"]

    asyncio.run(check())


def test_a_server_that_stays_down_is_asked_ever_more_rarely() -> None:
    async def check() -> None:
        now = [0.0]
        health = 0
        async with serve("two") as two:

            async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                nonlocal health
                health += (await reader.readline()).startswith(b"GET")
                writer.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
                writer.close()

            down = await asyncio.start_server(refuse, "127.0.0.1", 0)
            url = f"http://127.0.0.1:{down.sockets[0].getsockname()[1]}/v1"
            async with down, replicas(url, two.url, now=now) as backend:
                for second in range(0, 200):
                    now[0] = float(second)
                    assert (await backend.complete(asked()))[0].text == "two"
                assert 3 <= health <= 7

    asyncio.run(check())


def test_a_server_that_says_when_it_is_back_is_left_alone_until_then() -> None:
    async def check() -> None:
        now = [0.0]
        async with (
            serve(error(503, headers={"Retry-After": "90"})) as one,
            serve("two") as two,
            replicas(one.url, two.url, now=now) as backend,
        ):
            for second in (0.0, 30.0, 89.0):
                now[0] = second
                await backend.complete(asked())
            assert counts(one) == [1]

    asyncio.run(check())
