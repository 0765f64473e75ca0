"""The openai backend against peers that bend or break HTTP: how long it waits, how much it takes, what it mixes up."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from archc.api import run_loop
from archc.backends._reading import MAX_BYTES, MAX_HEADERS
from archc.backends._wire import _inflated
from archc.calls import CallError, FailureKind
from tests.fakes import now, run
from tests.fuzz.mutation import mutated
from tests.openai_calls import asked, connected, drawn, failure
from tests.servers import Answer, Raw, completion, serve

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
"""What the peer does on one connection; the last is the connection's number, from 1."""


@asynccontextmanager
async def peer(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[int]]]:
    """A server of raw bytes: its URL, and a list that grows with each connection."""
    connections: list[int] = []

    async def on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(len(connections) + 1)
        try:
            await talk(reader, writer, len(connections))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(on, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections


async def received(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The body of the next request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    body: dict[str, Any] = json.loads(await reader.readexactly(int(head.split("content-length: ")[1].split("\r")[0])))
    return body


def reply(text: str, head: bytes = b"") -> bytes:
    body = json.dumps(completion(text)).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n" % (len(body), head) + body


# ---- waiting


def trickling(head: bytes, piece: bytes, every: float) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await received(reader)
        writer.write(head)
        while True:
            await writer.drain()
            await asyncio.sleep(every)
            writer.write(piece)

    return talk


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
WAITS: list[tuple[Talk, dict[str, Any], float, str]] = [
    (trickling(b"", b"", 9.0), {"first_byte_timeout": 5}, 5.0, "(`first_byte_timeout`)"),
    (trickling(HEAD, b"", 9.0), {"first_byte_timeout": 5}, 5.0, "(`first_byte_timeout`)"),
    (trickling(b"", b"", 9.0), {}, 600.0, "(`timeout`)"),
    (trickling(HEAD, b"", 9.0), {"timeout": 7}, 7.0, "(`timeout`)"),
    (trickling(HEAD + b"{", b"", 9.0), {}, 60.0, "(`idle_timeout`)"),
    (trickling(HEAD + b"{", b" ", 59.0), {}, 600.0, "(`timeout`)"),
    (trickling(HEAD + b"{", b" ", 1.0), {"idle_timeout": 2, "timeout": 30}, 30.0, "(`timeout`)"),
    (trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 1.0), {"timeout": 100}, 100.0, "(`timeout`)"),
    (trickling(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 2.0), {"timeout": 100}, 100.0, "(`timeout`)"),
]


@pytest.mark.parametrize(("talk", "options", "seconds", "named"), WAITS)
def test_each_wait_has_its_limit_and_says_which(
    talk: Talk, options: dict[str, Any], seconds: float, named: str
) -> None:
    async def call() -> None:
        async with peer(talk) as (url, _), connected(url, **options) as backend:
            began = now()
            with pytest.raises(CallError) as caught:
                await backend.complete(asked())
            assert now() - began == pytest.approx(seconds)
            assert (caught.value.failed.kind, caught.value.billed) == (FailureKind.TIMEOUT, True)
            assert named in caught.value.failed.reason
            assert caught.value.server == url

    run(call())


@pytest.mark.parametrize("takes", [1.0, 8.0], ids=["less than the limit", "more, once it has begun"])
def test_a_connection_that_served_before_waits_no_longer_and_no_less(takes: float) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await received(reader)
        whole = reply("well")
        writer.write(whole[:-1])
        await asyncio.sleep(takes)
        writer.write(whole[-1:])
        await received(reader)
        await asyncio.sleep(100.0)

    async def call() -> None:
        async with peer(talk) as (url, connections), connected(url, first_byte_timeout=5) as backend:
            await backend.complete(asked())
            began = now()
            with pytest.raises(CallError, match="first_byte_timeout"):
                await backend.complete(asked())
            assert (began, now() - began) == pytest.approx((takes, 5.0))
            assert len(connections) == 1

    run(call())


def test_asking_again_in_another_way_does_not_begin_the_time_anew() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        while True:
            body = await received(reader)
            await asyncio.sleep(400.0)
            said = b"n must be 1" if "n" in body else b"no seed" if "seed" in body else b"what?"
            writer.write(b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n" % len(said) + said)
            await writer.drain()

    async def call() -> None:
        async with peer(talk) as (url, _), connected(url) as backend:
            with pytest.raises(CallError, match="time"):
                await backend.complete(asked(3))
            assert now() == pytest.approx(600.0)

    run(call())


# ---- mixing up


@pytest.mark.parametrize(
    "late",
    [
        reply("stale"),
        reply("stale") * 3,
        b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
        b"\x00garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Half: ",
    ],
    ids=["a second reply", "many", "a status", "garbage", "half a head"],
)
def test_what_comes_unasked_is_no_answer_to_the_next_call(late: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        while True:
            body = await received(reader)
            writer.write(reply(f"to {body['messages'][0]['content']}"))
            await writer.drain()
            await asyncio.sleep(1.0)
            writer.write(late)
            await writer.drain()

    async def call() -> None:
        async with peer(talk) as (url, connections), connected(url) as backend:
            for text in ("a", "b", "c"):
                assert (await backend.complete(asked(text=text)))[0].text == f"to {text}"
                await asyncio.sleep(2.0)
            assert len(connections) == 3

    run(call())


def test_uvloop_serves_as_well() -> None:
    async def call() -> None:
        async with serve(lambda body: body["messages"][0]["content"]) as server, connected(server.url) as backend:
            for text in ("a", "b"):
                assert (await backend.complete(asked(text=text)))[0].text == text
            with pytest.raises(CallError, match="no connection"):
                async with connected(server.url.replace("http:", "https:")) as other:
                    await other.complete(asked())

    run_loop(call())


def test_two_replies_in_one_packet_are_one() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, nth: int) -> None:
        while True:
            await received(reader)
            writer.write(reply(f"right {nth}") + reply("wrong"))
            await writer.drain()

    async def call() -> None:
        async with peer(talk) as (url, _), connected(url) as backend:
            assert [(await backend.complete(asked()))[0].text for _ in range(3)] == ["right 1", "right 2", "right 3"]

    run(call())


@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 banana\r\n\r\n" + reply("wrong"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + reply("wrong"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + reply("wrong"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + reply("wrong"),
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_after_a_broken_reply_comes_a_new_connection_or_a_right_answer(broken: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        body = await received(reader)
        first = body["messages"][0]["content"] == "first"
        writer.write(broken if first else reply("right"))
        await writer.drain()
        await talk(reader, writer, _)

    async def call() -> None:
        async with peer(talk) as (url, _), connected(url) as backend:
            with pytest.raises(CallError) as caught:
                await backend.complete(asked(text="first"))
            assert caught.value.billed
            assert (await backend.complete(asked()))[0].text == "right"

    run(call())


def test_a_call_that_gives_up_leaves_no_connection_for_the_next() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, nth: int) -> None:
        await received(reader)
        await asyncio.sleep(10.0 if nth == 1 else 0.0)
        writer.write(reply(f"{nth}"))
        await writer.drain()
        await reader.read()

    async def call() -> None:
        async with peer(talk) as (url, connections), connected(url, timeout=5) as backend:
            with pytest.raises(CallError):
                await backend.complete(asked())
            assert (await backend.complete(asked()))[0].text == "2"
            assert len(connections) == 2

    run(call())


def after_looking(*pieces: tuple[float, bytes]) -> Talk:
    """Answers GETs with these, so many seconds one after the other, and POSTs with how many GETs came before."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        looked = 0
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            if head.startswith("get "):
                assert "content-" not in head
                looked += 1
                for seconds, piece in pieces:
                    await asyncio.sleep(seconds)
                    writer.write(piece)
            else:
                await reader.readexactly(int(head.split("content-length: ")[1].split("\r")[0]))
                writer.write(reply(f"after {looked}"))
            await writer.drain()

    return talk


WELL = reply("fine")
LOOKED: list[tuple[Talk, dict[str, Any], int]] = [
    (after_looking((0, WELL)), {}, 1),  # a call goes over a connection that a look has left
    (after_looking((0, WELL)), {"keep_alive": False}, 0),
    (after_looking((0, WELL + WELL)), {}, 0),
    (after_looking((0, WELL), (1, WELL)), {}, 0),
    (after_looking((9, WELL)), {}, 0),
    (after_looking((0, b"HTTP/1.1 banana\r\n\r\n" + WELL)), {}, 0),
]


@pytest.mark.parametrize(
    ("talk", "options", "looked"),
    LOOKED,
    ids=["well", "without keep-alive", "two replies", "a late second reply", "late", "broken"],
)
def test_what_a_server_says_of_itself_is_no_answer_to_a_call(talk: Talk, options: dict[str, Any], looked: int) -> None:
    async def call() -> None:
        async with peer(talk) as (url, _), connected(url, probe=True, **options) as backend:
            await asyncio.sleep(2.0)
            assert (await backend.complete(asked()))[0].text == f"after {looked}"

    run(call())


GOOD: list[bytes] = [
    reply("fine"),
    reply("fine", b"Content-Type: application/json\r\nX-Request-Id: 1\r\nConnection: keep-alive\r\n"),
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"cho\r\n3\r\nice\r\n0\r\nX: trailer\r\n\r\n',
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nSet-Cookie: a=b; Max-Age=9\r\nLocation: http://h/\r\n\r\n{}",
]


def fuzzed(runs: int, seed: int) -> Counter[str]:
    """What came of calls that got mutated HTTP; after each the next call must get its own answer."""
    found: Counter[str] = Counter()
    written = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        while True:
            body = await received(reader)
            text = body["messages"][0]["content"]
            writer.write(written if text == "odd" else reply(text))
            await writer.drain()

    async def calls() -> None:
        nonlocal written
        async with peer(talk) as (url, _), connected(url, timeout=5.0) as backend:
            for i in range(runs):
                written = mutated(Random(f"{seed} {i}"), GOOD)
                try:
                    found[(await backend.complete(asked(text="odd")))[0].finish] += 1
                except CallError as error:
                    found[error.failed.kind] += 1
                assert (await backend.complete(asked(text=f"right {i}")))[0].text == f"right {i}"

    run(calls())
    return found


def test_mutated_http_is_a_call_error_and_spoils_no_other_call() -> None:
    assert len(fuzzed(200, seed=0)) > 3


# ---- taking


def test_a_flood_of_interim_replies_before_the_answer_is_passed_over() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await received(reader)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 5000 + reply("at last"))
        await writer.drain()
        await reader.read()

    async def call() -> None:
        async with peer(talk) as (url, _), connected(url) as backend:
            assert (await backend.complete(asked()))[0].text == "at last"

    run(call())


@pytest.mark.parametrize("line", [b"X: y\r\n", b"Set-Cookie: " + b"z" * 4000 + b"\r\n", b"X-Long: " + b"z" * 9000])
def test_headers_without_end_are_refused(line: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        await received(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(10 * MAX_HEADERS):
            writer.write(line)
            await writer.drain()
        await reader.read()

    async def call() -> None:
        async with peer(talk) as (url, _), connected(url) as backend:
            await backend.complete(asked())

    with pytest.raises(CallError) as caught:
        run(call())
    assert (caught.value.failed.kind, caught.value.billed) == (FailureKind.BAD_RESPONSE, True)


BODY = json.dumps(completion("fine")).encode()


def encoded(body: bytes, encoding: str, **options: Any) -> Raw:
    return Raw(body, headers={"Content-Encoding": encoding}, **options)


@pytest.mark.parametrize("answer", [encoded(gzip.compress(BODY), "gzip"), encoded(zlib.compress(BODY), "Deflate")])
def test_a_server_may_compress_although_it_was_asked_not_to(answer: Answer) -> None:
    completions, server = drawn(answer, asked())
    assert completions[0].text == "fine"
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    "answer",
    [
        encoded(BODY, "br"),
        encoded(BODY, "zstd"),
        encoded(BODY, "gzip"),
        encoded(gzip.compress(gzip.compress(BODY)), "gzip, gzip"),
        encoded(gzip.compress(BODY)[:-9], "gzip"),
        encoded(gzip.compress(BODY) + b"more", "gzip"),
        encoded(gzip.compress(BODY) * 2, "gzip"),
        encoded(b"", "gzip"),
    ],
)
def test_what_cannot_be_unpacked_whole_is_a_billed_bad_response(answer: Answer) -> None:
    raised = failure(answer)
    assert (raised.failed.kind, raised.billed) == (FailureKind.BAD_RESPONSE, True)
    assert "compressed" in raised.failed.reason


def test_a_failure_keeps_its_kind_whatever_its_body_is_packed_in() -> None:
    error = json.dumps({"error": {"message": "slow down"}}).encode()
    assert "slow down" in failure(encoded(gzip.compress(error), "gzip", status=429)).failed.reason
    assert failure(encoded(error, "br", status=429)).failed.kind is FailureKind.RATE_LIMIT


def test_a_bomb_is_inflated_no_further_than_the_cap() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(2 * MAX_BYTES >> 20)) + packer.flush()
    assert len(bomb) < MAX_BYTES // 100
    assert len(_inflated(bomb, "gzip")) == MAX_BYTES + 1


# ---- where a request goes


def test_a_redirect_is_not_followed_so_the_key_goes_nowhere_else() -> None:
    async def call() -> None:
        async with serve("stolen") as other:
            moved = Raw(status=307, headers={"Location": other.url + "/chat/completions"})
            async with (
                serve(moved) as server,
                connected(server.url, key_for=lambda *_: "sk-canary-0123456789") as backend,
            ):
                with pytest.raises(CallError, match="not followed"):
                    await backend.complete(asked())
            assert other.requests == []

    asyncio.run(call())


def test_a_server_that_cannot_show_who_it_is_gets_nothing() -> None:
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
        heard.append(await reader.read())

    async def call() -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(Path(__file__).parent / "self_signed.pem")
        async with peer(talk, tls) as (url, _), connected(url) as backend:
            await backend.complete(asked())

    with pytest.raises(CallError) as caught:
        asyncio.run(call())
    assert (caught.value.failed.kind, caught.value.billed) == (FailureKind.CONNECTION, False)
    assert "can't show that it is that server" in caught.value.failed.reason
    assert b"".join(heard) == b""
