"""Wire: one request to a server that is not trusted, bounded in time and in size; what is odd is never half accepted.

TLS is verified, and nothing turns that off. Redirects are not followed, cookies not kept, proxies of the environment
not used. Whatever the server does, only `CallError` is raised.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from dataclasses import dataclass, replace

from archc.address import Address
from archc.backends._http import Connection, Late, Pool
from archc.backends._openai_reply import Peer
from archc.backends._reading import MAX_BYTES, Broken, BrokenOff, Reply
from archc.calls import CallError, FailureKind


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
        self._waits = waits
        self._keep_alive = keep_alive
        self._pool = Pool(keep_alive)

    async def close(self) -> None:
        """Closes all connections. May be called twice."""
        await self._pool.close()

    async def post(self, peer: Peer, url: Address, body: bytes | None, until: float) -> Reply:
        """The reply to `body`, if it is there before the loop's time is `until`. Leaving early closes the connection.

        Without a body it is a GET. The reply's body is not compressed. Raises `CallError`.
        """
        waits = self._waits
        connection = self._pool.kept(url) or await self._connected(peer, url, until)
        request = _head(peer, url, body, self._keep_alive) + (body or b"")
        try:
            reply = await connection.exchange(request, until, waits.first_byte, waits.idle)
        except Late as late:
            failure = self._late(peer, late, until)
        except Broken:
            failure = CallError(FailureKind.BAD_RESPONSE, f"{peer.url} does not speak HTTP as it should", billed=True)
        except (BrokenOff, OSError) as error:
            said = peer.clean(f"{peer.url}: {error}") if str(error) else f"{peer.url} broke off"
            failure = CallError(FailureKind.CONNECTION, said, billed=True)  # once it was sent, it may be charged for
        else:
            self._pool.give_back(url, connection)
            return _plain(reply, peer)
        # Not inside the `except`: the traceback holds the request, and so the key.
        raise failure

    async def _connected(self, peer: Peer, url: Address, until: float) -> Connection:
        try:
            async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + self._waits.connect)):
                return await self._pool.connected(url)
        except (OSError, TimeoutError) as error:
            failure = unconnected(error, peer)
        raise failure

    def _late(self, peer: Peer, late: Late, until: float) -> CallError:
        waits = self._waits
        if late.deadline >= until:
            said = f"no whole answer from {peer.url} within {waits.total:g} s (`timeout`)"
        elif late.begun:
            said = f"{peer.url} began to answer, then sent nothing for {waits.idle:g} s (`idle_timeout`)"
        else:
            said = f"{peer.url} did not begin to answer within {waits.first_byte:g} s (`first_byte_timeout`)"
        return CallError(FailureKind.TIMEOUT, said, billed=True)


def _head(peer: Peer, url: Address, body: bytes | None, keep_alive: bool) -> bytes:
    key = peer.key.reveal()
    about_body = [] if body is None else ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines = [
        f"{'GET' if body is None else 'POST'} {url.path} HTTP/1.1",
        f"Host: {url.authority}",
        "User-Agent: archc",
        "Accept: application/json",
        "Accept-Encoding: identity",
        *about_body,
        *([f"Authorization: Bearer {key}"] if key else []),
        *([] if keep_alive else ["Connection: close"]),
        "\r\n",
    ]
    return "\r\n".join(lines).encode()


def _plain(reply: Reply, peer: Peer) -> Reply:
    """Without the compression that archc asked to leave. A failure whose body can't be read has none."""
    encoding = reply.headers.get("content-encoding", "identity").lower()
    if encoding in ("", "identity"):
        return reply
    try:
        return replace(reply, body=_inflated(reply.body, encoding))
    except (ValueError, zlib.error) as error:
        if not 200 <= reply.status < 300:
            return replace(reply, body=b"")
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


def unconnected(error: Exception, peer: Peer) -> CallError:
    """What it means that there is no connection: nothing was sent, so nothing is charged for."""
    if isinstance(error, TimeoutError):
        return CallError(FailureKind.TIMEOUT, f"no connection to {peer.url} in time (`connect_timeout`)")
    if isinstance(error, ssl.SSLCertVerificationError):
        why = peer.clean(error.verify_message)
        return CallError(FailureKind.CONNECTION, f"{peer.url} can't show that it is that server: {why}")
    why = getattr(error, "strerror", None) or str(error)
    return CallError(FailureKind.CONNECTION, peer.clean(f"no connection to {peer.url}: {why}"))
