"""Wire: one POST to a server that is not trusted, bounded in time and in size; what is odd is never half accepted.

TLS is verified, and nothing turns that off. Redirects are not followed, cookies not kept, proxies of the environment
not used. Whatever the server does, only `CallError` is raised.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archc.backends._openai_reply import Peer
from archc.calls import CallError, FailureKind

if TYPE_CHECKING:
    import aiohttp
    import yarl

MAX_BYTES = 32 * 2**20
"""The most that is read of a reply, before and after decompression."""

MAX_HEADERS = 100
"""The most header lines of a reply, the status line among them."""

MAX_HEADER_BYTES = 8190
"""The longest of them."""

IDLE_CONNECTION_S = 4.0
"""How long a connection waits for the next request: uvicorn drops it after 5 s, and a request could meet that."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply. `body` is not compressed; it may be cut behind `MAX_BYTES`."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Waits:
    """How long to wait for what, in seconds; None is as long as the whole call may take."""

    total: float
    connect: float
    first_byte: float | None
    idle: float | None


class Wire:
    """The connections of one backend. Made in the event loop that uses it."""

    def __init__(self, waits: Waits, keep_alive: bool) -> None:
        import aiohttp

        self._waits = waits
        self._session = aiohttp.ClientSession(
            connector=_connector(keep_alive),
            # The other limits are kept here: aiohttp's total is rounded up, and it knows no first byte.
            timeout=aiohttp.ClientTimeout(total=None, connect=waits.connect),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": "archc",
            },
            auto_decompress=False,
            max_headers=MAX_HEADERS,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )

    async def close(self) -> None:
        """Closes all connections. May be called twice."""
        await self._session.close()

    async def post(self, peer: Peer, url: yarl.URL, body: bytes | None, until: float) -> Reply:
        """The reply to `body`, if it is there before the loop's time is `until`. Leaving early closes the connection.

        Without a body it is a GET. Raises `CallError`.
        """
        import aiohttp

        clock = asyncio.get_running_loop().time
        first, idle = self._waits.first_byte, self._waits.idle
        chunks: list[bytes] = []
        size = 0
        limit = asyncio.timeout_at(until if first is None else min(until, clock() + first))
        try:
            async with (
                limit,
                self._session.request(
                    "GET" if body is None else "POST", url, data=body, headers=_headers(peer), allow_redirects=False
                ) as response,
            ):
                async for chunk in response.content.iter_any():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > MAX_BYTES:
                        break
                    limit.reschedule(until if idle is None else min(until, clock() + idle))
                status, headers = response.status, response.headers
        except (aiohttp.ClientError, OSError) as error:
            if limit.expired():
                failure = self._late(peer, (limit.when() or until) >= until, bool(chunks))
            else:
                failure = network_failure(error, peer)
        else:
            return Reply(status, headers, _plain(b"".join(chunks), status, headers, peer))
        # Not inside the `except`: aiohttp's errors hold the request's headers, and so the key.
        raise failure

    def _late(self, peer: Peer, is_over: bool, has_begun: bool) -> CallError:
        waits = self._waits
        if is_over:
            said = f"no whole answer from {peer.url} within {waits.total:g} s (`timeout`)"
        elif has_begun:
            said = f"{peer.url} began to answer, then sent nothing for {waits.idle:g} s (`idle_timeout`)"
        else:
            said = f"{peer.url} did not begin to answer within {waits.first_byte:g} s (`first_byte_timeout`)"
        return CallError(FailureKind.TIMEOUT, said, billed=True)


def _connector(keep_alive: bool) -> aiohttp.TCPConnector:
    import aiohttp

    class Connector(aiohttp.TCPConnector):
        """Takes no connection again on which something came that nobody had asked for.

        aiohttp does, and gives the late second answer to one request as the answer to the next.
        """

        async def _get(self, *args: Any) -> Any:
            while found := await super()._get(*args):
                if not (found.protocol and found.protocol.should_close):
                    return found
                found.close()
            return None

    # The runtime limits concurrency; aiohttp's own limit would cap it silently.
    if not keep_alive:
        return Connector(limit=0, force_close=True)
    return Connector(limit=0, keepalive_timeout=IDLE_CONNECTION_S)


def _headers(peer: Peer) -> dict[str, str]:
    key = peer.key.reveal()
    return {"Authorization": f"Bearer {key}"} if key else {}


def _plain(raw: bytes, status: int, headers: Mapping[str, str], peer: Peer) -> bytes:
    """The body without the compression that archc asked to leave. A failure whose body can't be read has none."""
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return raw
    try:
        return _inflated(raw, encoding)
    except (ValueError, zlib.error) as error:
        if not 200 <= status < 300:
            return b""
        reason = f"{peer} sent a compressed answer that can't be read: {peer.clean(str(error))}"
        raise CallError(FailureKind.BAD_RESPONSE, reason, billed=True) from None


def _inflated(raw: bytes, encoding: str) -> bytes:
    """What gzip or zlib made small, of which no more is made than may be read. Raises `ValueError` or `zlib.error`."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"`{encoding}` was not asked for")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either, by its header
    body = unpacker.decompress(raw, MAX_BYTES + 1)
    if len(body) <= MAX_BYTES and (not unpacker.eof or unpacker.unused_data):
        raise ValueError("it does not end where it should")
    return body


def network_failure(error: Exception, peer: Peer) -> CallError:
    """What a request that brought no reply means. Once it was sent, the server may have charged for it."""
    import aiohttp

    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return CallError(FailureKind.TIMEOUT, f"no connection to {peer.url} in time (`connect_timeout`)")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = peer.clean(str(error.certificate_error))
        return CallError(FailureKind.CONNECTION, f"{peer.url} can't show that it is that server: {why}")
    if isinstance(error, aiohttp.ClientConnectorError):
        why = error.os_error.strerror or str(error.os_error)
        return CallError(FailureKind.CONNECTION, peer.clean(f"no connection to {peer.url}: {why}"))
    if isinstance(error, aiohttp.ClientResponseError):
        return CallError(FailureKind.BAD_RESPONSE, f"{peer.url} does not speak HTTP as it should", billed=True)
    said = peer.clean(f"{peer.url}: {error}") if str(error) else f"{peer.url} broke off"
    return CallError(FailureKind.CONNECTION, said, billed=True)
