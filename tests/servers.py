"""A chat-completions server to test and to measure against: obeys, delays or misbehaves as the test says.

    async with serve("hello", delay=0.01) as server:
        ...  # server.url, server.requests, server.most_in_flight

An answer is a text (for every choice), a list of texts (one per choice, whatever `n` was), a dict (a whole body), or
one of the faults below. `python -m tests.servers 0.1` serves with a delay of 0.1 s until its input ends;
`python -m tests.servers 0.1 8000` at that port until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Raw:
    """These bytes, as they are; `cut`: the connection breaks in the middle of them."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True)
class Drop:
    """The connection breaks before any answer."""


@dataclass(frozen=True)
class Hang:
    """No answer, until the client goes away."""


Answer = str | list[str] | dict[str, Any] | Raw | Drop | Hang
Script = Callable[[dict[str, Any]], Answer]


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    body: dict[str, Any]
    headers: Mapping[str, str]
    path: str


def error(status: int, message: str = "", /, headers: Mapping[str, str] | None = None, **fields: Any) -> Raw:
    """An error in OpenAI's shape."""
    return Raw(json.dumps({"error": {"message": message, **fields}}).encode(), status, headers or {})


def completion(*texts: str | None, **changes: Any) -> dict[str, Any]:
    """A proper body with these texts; `changes` replace its top-level fields."""
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 7, "completion_tokens": 5 * len(texts), "total_tokens": 7 + 5 * len(texts)}
    return {"id": "chatcmpl-1", "object": "chat.completion", "choices": choices, "usage": usage, **changes}


class Server:
    """What the server saw. Counters are only of chat-completion requests."""

    def __init__(self, script: Script, delay: float | Callable[[dict[str, Any]], float]) -> None:
        self._script = script
        self._delay = delay
        self._changed = asyncio.Condition()
        self.url = ""
        """The `base_url` to give to a client."""
        self.requests: list[Received] = []
        self.read: list[str] = []
        """The other routes that were asked for, in order."""
        self.in_flight = 0
        self.most_in_flight = 0
        self.answered = 0
        self.abandoned = 0
        """Requests whose client went away first."""

    async def until(self, condition: Callable[[Server], bool]) -> None:
        """Waits for something to be true of this server."""
        async with self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one request as the script says."""
        body = json.loads(await request.read())
        self.requests.append(Received(body, request.headers.copy(), request.path))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await self._notify()
        try:
            delay = self._delay(body) if callable(self._delay) else self._delay
            if delay:
                await asyncio.sleep(delay)
            response = await _respond(request, body, self._script(body))
            self.answered += 1
            return response
        except asyncio.CancelledError:
            self.abandoned += 1
            raise
        finally:
            self.in_flight -= 1
            await asyncio.shield(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def _respond(request: web.Request, body: dict[str, Any], answer: Answer) -> web.StreamResponse:
    match answer:
        case str():
            return web.json_response(completion(*[answer] * body.get("n", 1)))
        case list():
            return web.json_response(completion(*answer))
        case dict():
            return web.json_response(answer)
        case Hang():
            await asyncio.Event().wait()
        case Raw(raw, status, headers, cut=False):
            return web.Response(body=raw, status=status, headers=dict(headers))
        case Raw(raw, status, headers):
            broken = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(raw))})
            await broken.prepare(request)
            await broken.write(raw[: len(raw) // 2])
            _abort(request)
            return broken
    _abort(request)
    return web.Response()


def _abort(request: web.Request) -> None:
    """Ends the connection after what was written, without a proper end of the answer."""
    if request.transport is not None:
        request.transport.close()


@asynccontextmanager
async def serve(
    answer: Answer | Script = "ok",
    *,
    delay: float | Callable[[dict[str, Any]], float] = 0.0,
    routes: Mapping[str, Any] | None = None,
    port: int = 0,
) -> AsyncIterator[Server]:
    """Serves in this event loop, on a free port of 127.0.0.1. `delay` is in seconds, for all or by request body.

    `routes` are what it publishes beside: JSON by path, asked for with GET or POST.
    """

    def always(_: dict[str, Any]) -> Answer:
        assert not callable(answer)
        return answer

    server = Server(answer if callable(answer) else always, delay)
    app = web.Application(client_max_size=64 * 2**20)
    for path in ("/v1/chat/completions", "/v1/embeddings", "/pooling", "/score"):
        app.router.add_post(path, server.handle)

    async def publish(request: web.Request) -> web.Response:
        server.read.append(request.path)
        return web.json_response((routes or {})[request.path])

    for path in routes or {}:
        app.router.add_route("*", path, publish)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield server
    finally:
        await runner.cleanup()


async def _main(delay: float, port: int = 0) -> None:
    async with serve("An answer of usual length. " * 20, delay=delay, port=port) as server:
        print(server.url, flush=True)
        await (asyncio.Event().wait() if port else asyncio.to_thread(sys.stdin.read))


if __name__ == "__main__":
    asyncio.run(_main(float(sys.argv[1]), *map(int, sys.argv[2:])))
