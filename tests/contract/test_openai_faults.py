"""Every way in which a server can fail the openai backend has its kind, and says whether it may be billed."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import socket

import pytest

from archc.backends._openai_reply import Peer
from archc.backends._reading import MAX_BYTES
from archc.backends._wire import unconnected
from archc.calls import CallError, FailureKind
from archc.secret import Secret
from tests.openai_calls import asked, connected, failure
from tests.servers import Answer, Drop, Hang, Raw, completion, error, serve

STATUSES = [
    (301, FailureKind.NOT_FOUND, False),
    (307, FailureKind.NOT_FOUND, False),
    (400, FailureKind.BAD_REQUEST, False),
    (401, FailureKind.AUTH, False),
    (402, FailureKind.AUTH, False),
    (403, FailureKind.AUTH, False),
    (404, FailureKind.NOT_FOUND, False),
    (408, FailureKind.TIMEOUT, True),
    (413, FailureKind.BAD_REQUEST, False),
    (422, FailureKind.BAD_REQUEST, False),
    (429, FailureKind.RATE_LIMIT, False),
    (500, FailureKind.OVERLOAD, True),
    (502, FailureKind.OVERLOAD, False),
    (503, FailureKind.OVERLOAD, False),
    (504, FailureKind.OVERLOAD, True),
    (524, FailureKind.OVERLOAD, True),
    (529, FailureKind.OVERLOAD, False),
]


@pytest.mark.parametrize(("status", "kind", "billed"), STATUSES)
def test_each_status_has_its_kind(status: int, kind: FailureKind, billed: bool) -> None:
    headers = {"Retry-After": "7", "X-Request-Id": "req-1", "Location": "http://127.0.0.1:1/"}
    raised = failure(error(status, "because", headers=headers))
    assert (raised.failed.kind, raised.billed) == (kind, billed)
    assert "`small` at http://127.0.0.1" in raised.failed.reason
    assert f"HTTP {status} to request req-1" in raised.failed.reason
    if kind is not FailureKind.BAD_REQUEST:
        assert raised.retry_after == 7.0


BROKEN: dict[str, Answer] = {
    "html": Raw(b"<html>welcome</html>", headers={"Content-Type": "text/html"}),
    "truncated json": Raw(b'{"choices": [{"mess'),
    "invalid utf-8": Raw(b'{"choices": "\xff"}'),
    "null text": completion(None),
    "no choices": completion(choices=[]),
    "too deep": Raw(b"[" * 100_000),
    "huge": Raw(b" " * (MAX_BYTES + 1)),
    "gzip bomb": Raw(gzip.compress(b" " * (3 * MAX_BYTES)), headers={"Content-Encoding": "gzip"}),
    "no content": Raw(status=204),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_what_is_no_completion_is_a_billed_bad_response(answer: Answer) -> None:
    raised = failure(answer)
    assert (raised.failed.kind, raised.billed) == (FailureKind.BAD_RESPONSE, True)


@pytest.mark.parametrize("answer", [Drop(), Raw(json.dumps(completion("half")).encode(), cut=True)])
def test_a_connection_lost_after_sending_may_be_billed(answer: Answer) -> None:
    raised = failure(answer)
    assert (raised.failed.kind, raised.billed) == (FailureKind.CONNECTION, True)


def test_a_refused_connection_is_free() -> None:
    async def call() -> None:
        async with connected(f"http://127.0.0.1:{port}/v1") as backend:
            await backend.complete(asked())

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        port = taken.getsockname()[1]
        with pytest.raises(CallError) as caught:
            asyncio.run(call())
    assert (caught.value.failed.kind, caught.value.billed) == (FailureKind.CONNECTION, False)


def test_a_server_that_never_answers_times_out_and_may_bill() -> None:
    raised = failure(Hang(), timeout=0.05)
    assert (raised.failed.kind, raised.billed) == (FailureKind.TIMEOUT, True)


NOT_HTTP = [
    b"garbage",
    b"HTTP/1.1 banana\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\xff\xfe: \x00\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: \xff;;=\r\nContent-Length: 2\r\n\r\n{}",
]


def _url(server: asyncio.Server) -> str:
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("written", NOT_HTTP)
def test_a_peer_that_does_not_speak_http_is_a_billed_call_error(written: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(written)
        await writer.drain()
        writer.close()

    async def call() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server, connected(_url(server)) as backend:
            await backend.complete(asked())

    with pytest.raises(CallError) as caught:
        asyncio.run(call())
    assert caught.value.failed.kind in {FailureKind.CONNECTION, FailureKind.BAD_RESPONSE}


def test_a_peer_without_tls_is_a_free_connection_failure() -> None:
    async def call() -> None:
        async with serve() as server, connected(server.url.replace("http:", "https:")) as backend:
            await backend.complete(asked())

    with pytest.raises(CallError) as caught:
        asyncio.run(call())
    assert (caught.value.failed.kind, caught.value.billed) == (FailureKind.CONNECTION, False)


@pytest.mark.parametrize(
    "why",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        OSError(-2, "Name or service not known"),
    ],
)
def test_what_fails_before_sending_is_free(why: OSError) -> None:
    failed = unconnected(why, Peer("m", "http://h/v1", Secret()))
    assert (failed.failed.kind, failed.billed) == (FailureKind.CONNECTION, False)
    assert failed.failed.reason == f"no connection to http://h/v1: {why.strerror}"


def test_time_spent_on_connecting_is_free() -> None:
    failed = unconnected(TimeoutError(), Peer("m", "http://h/v1", Secret()))
    assert (failed.failed.kind, failed.billed) == (FailureKind.TIMEOUT, False)
