"""HTTP/1.1: one request at a time on a connection, and the connections that are kept, to peers that are not trusted.

It takes a fraction of what a whole HTTP library does for a call, as it can do nothing else. What comes unasked ends a
connection, and so does a call that is given up.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections import deque
from typing import Any, cast

from archc.address import Address
from archc.backends._reading import Broken, BrokenOff, Reading, Reply

IDLE_CONNECTION_S = 4.0
"""How long a connection waits for the next request: uvicorn drops it after 5 s, and a request could meet that."""

_NEXT_ADDRESS_S = 0.25
"""How long one address of a host is tried alone before the next is tried beside it (RFC 8305)."""

_STREAM = 1
"""What the socket module calls SOCK_STREAM."""


class Late(Exception):
    """The time is over. `begun`: the body had begun to come; `deadline`: on the loop's clock."""

    def __init__(self, begun: bool, deadline: float) -> None:
        super().__init__()
        self.begun = begun
        self.deadline = deadline


class Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.since = 0.0
        """When it was last given back."""
        self.usable = True
        """Whether a request may be sent on it."""
        self.lost: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._reading: Reading | None = None
        self._done: asyncio.Future[Reply] | None = None
        self._deadline = self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._idle: float | None = None

    async def exchange(self, request: bytes, until: float, first: float | None, idle: float | None) -> Reply:
        """Sends a request and reads its reply, until that time on the loop's clock; after it, see `usable`.

        `first`: seconds until the body begins; `idle`: seconds between two pieces of it.
        Raises `Broken`, `BrokenOff`, `Late` or OSError.
        """
        assert self._transport
        self._reading, self._done = Reading(), self._loop.create_future()
        self._until, self._idle = until, idle
        self._deadline = until if first is None else min(until, self._loop.time() + first)
        self._wake()
        self._transport.write(request)
        try:
            reply = await self._done
            self.usable = self.usable and self._reading.reusable and not self._transport.get_write_buffer_size()
            return reply
        except BaseException:
            self.usable = False
            raise
        finally:
            self._reading = self._done = None
            if not self.usable:
                self.abort()

    def abort(self) -> None:
        """Ends it at once."""
        self.usable = False
        if self._transport:
            self._transport.abort()

    # ---- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only

    def data_received(self, data: bytes) -> None:
        if self._done is None or self._reading is None or self._done.done():
            return self.abort()  # nobody has asked for it, and it must not be taken for the next answer
        try:
            reply = self._reading.feed(data)
        except Broken as error:
            self._done.set_exception(error)
            return None
        if reply:
            self._done.set_result(reply)
        elif self._reading.begun:
            self._deadline = self._until if self._idle is None else min(self._until, self._loop.time() + self._idle)
            self._wake()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._timer:
            self._timer.cancel()
        if self._done and self._reading and not self._done.done():
            try:
                if exc:
                    raise exc
                self._done.set_result(self._reading.end())
            except (BrokenOff, OSError) as error:
                self._done.set_exception(error)
        if not self.lost.done():
            self.lost.set_result(None)

    def _wake(self) -> None:
        """Sees to it that the deadline is looked at; a timer that an earlier request left does as well."""
        if self._timer is None or self._deadline < self._timer.when():
            if self._timer:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._done and self._reading and not self._done.done():
            if self._loop.time() < self._deadline:  # it was put off
                self._wake()
            else:
                self._done.set_exception(Late(self._reading.begun, self._deadline))


class Pool:
    """Connections to any servers. Made in the event loop that uses it; how many there may be is for others to limit."""

    def __init__(self, keep_alive: bool) -> None:
        self._keep_alive = keep_alive
        self._loop = asyncio.get_running_loop()
        self._idle: dict[tuple[str, str, int], deque[Connection]] = {}
        self._open: set[Connection] = set()
        self._tls: ssl.SSLContext | None = None

    def kept(self, address: Address) -> Connection | None:
        """A connection that waits for a request, if there is one; to be given back."""
        idle = self._idle.get((address.scheme, address.host, address.port))
        while idle:
            connection = idle.pop()
            if connection.usable and self._loop.time() - connection.since < IDLE_CONNECTION_S:
                return connection
            connection.abort()
        return None

    def give_back(self, address: Address, connection: Connection) -> None:
        """Keeps it for the next request, if there may be one."""
        if not (self._keep_alive and connection.usable):
            return connection.abort()
        now = connection.since = self._loop.time()
        idle = self._idle.setdefault((address.scheme, address.host, address.port), deque())
        idle.append(connection)
        while now - idle[0].since >= IDLE_CONNECTION_S or not idle[0].usable:
            idle.popleft().abort()
        return None

    async def close(self) -> None:
        """Ends all connections."""
        for connection in tuple(self._open):
            connection.abort()
        if self._open:
            await asyncio.wait([connection.lost for connection in self._open])

    async def connected(self, address: Address) -> Connection:
        """A new one; to be given back. Raises OSError."""
        import aiohappyeyeballs

        where: dict[str, Any] = {"host": address.host, "port": address.port}
        if not _is_ip(address.host):
            infos = await self._loop.getaddrinfo(address.host, address.port, type=_STREAM)
            connecting = aiohappyeyeballs.start_connection(infos, happy_eyeballs_delay=_NEXT_ADDRESS_S, loop=self._loop)
            where = {"sock": await connecting}
        if address.scheme == "https":
            where |= {"ssl": self._context(), "server_hostname": address.host}
        _, connection = await self._loop.create_connection(lambda: Connection(self._loop), **where)
        self._open.add(connection)
        connection.lost.add_done_callback(lambda _: self._open.discard(connection))
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
