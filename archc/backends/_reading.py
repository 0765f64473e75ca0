"""Reading: one HTTP/1.1 reply from bytes as they come, of a peer that is not trusted. Pure.

What is not HTTP as it should be is `Broken`: no line without CR and LF, no folded header, no two lengths.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass

MAX_BYTES = 32 * 2**20
"""The most that is read of a reply, before and after decompression."""

MAX_HEADERS = 100
"""The most header lines of a reply, the status line among them."""

MAX_HEADER_BYTES = 8190
"""The longest of them."""


class Broken(Exception):
    """The peer does not speak HTTP as it should."""


class BrokenOff(Exception):
    """The connection ended before the reply did."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply. `body` may be cut behind `MAX_BYTES`."""

    status: int
    headers: Mapping[str, str]
    """By names in lower case; of one that came twice, the first."""
    body: bytes


_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEAD = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}(?: [^\r\n\0]*)?(?:\r\n" + _TOKEN + rb":[^\r\n\0]*)*")
_TRAILER = re.compile(_TOKEN + rb":[^\r\n\0]*")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\0]*)?")
_LENGTH = re.compile(r"[0-9]{1,15}")


class Reading:
    """Reads one reply as its bytes come."""

    def __init__(self) -> None:
        self.begun = False
        """Whether something of the body is there."""
        self.reusable = True
        """Whether another reply can follow on this connection. Says so only once the reply is whole."""
        self._bytes = bytearray()
        self._at = 0
        self._steps = self._reply()
        next(self._steps)

    def feed(self, data: bytes) -> Reply | None:
        """Takes what has come; the reply, if that is all of it. Raises `Broken`."""
        self._bytes += data
        try:
            next(self._steps)
        except StopIteration as end:
            self.reusable = self.reusable and self._at == len(self._bytes)
            return end.value  # type: ignore[no-any-return]
        return None

    def end(self) -> Reply:
        """The reply, if it is one that only the connection's end ends. Raises `BrokenOff`."""
        try:
            self._steps.throw(BrokenOff())
        except StopIteration as end:
            self.reusable = False
            return end.value  # type: ignore[no-any-return]
        raise BrokenOff

    def _reply(self) -> Generator[None, None, Reply]:
        """Stops wherever more bytes are needed."""
        while True:
            status, headers = yield from self._head()
            if status == 101 or status >= 200:
                break
        self.begun = len(self._bytes) > self._at
        if status in (101, 204, 304):
            self.reusable = self.reusable and status != 101
            return Reply(status, headers, b"")
        length, coding = headers.get("content-length"), headers.get("transfer-encoding")
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                raise Broken
            body = yield from self._chunked()
        elif length is not None:
            if not _LENGTH.fullmatch(length):
                raise Broken
            body = yield from self._counted(int(length))
        else:
            body = yield from self._unending()
        return Reply(status, headers, body)

    def _head(self) -> Generator[None, None, tuple[int, dict[str, str]]]:
        start, seen = self._at, self._at
        while (end := self._bytes.find(b"\r\n\r\n", max(start, seen - 3))) < 0:
            _check_lines(bytes(self._bytes[start:]))
            seen = len(self._bytes)
            yield
        head = bytes(self._bytes[start:end])
        _check_lines(head)
        if not _HEAD.fullmatch(head):
            raise Broken
        self._at = end + 4
        first, *lines = head.decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name = name.lower()
            if headers.setdefault(name, value := value.strip(" \t")) != value and name in _SINGLE:
                raise Broken
        if first[7] == "0" or "close" in headers.get("connection", "").lower():
            self.reusable = False
        return int(first[9:12]), headers

    def _counted(self, length: int) -> Generator[None, None, bytes]:
        start = self._at
        wanted = start + min(length, MAX_BYTES + 1)
        while len(self._bytes) < wanted:
            yield
            self.begun = True
        self._at = start + length  # where the next reply would begin, cut or not
        return bytes(self._bytes[start:wanted])

    def _unending(self) -> Generator[None, None, bytes]:
        self.reusable = False
        try:
            while len(self._bytes) - self._at <= MAX_BYTES:
                yield
                self.begun = True
        except BrokenOff:
            pass
        return bytes(self._bytes[self._at : self._at + MAX_BYTES + 1])

    def _chunked(self) -> Generator[None, None, bytes]:
        body = bytearray()
        while True:
            size = _SIZE.fullmatch((yield from self._line()))
            if not size:
                raise Broken
            left = int(size[1], 16)
            if not left:
                yield from self._trailer()
                return bytes(body)
            while len(self._bytes) - self._at < left + 2:
                if len(body) + len(self._bytes) - self._at > MAX_BYTES:
                    self.reusable = False
                    return bytes(body + self._bytes[self._at : self._at + left])
                yield
                self.begun = True
            body += self._bytes[self._at : self._at + left]
            self._at += left
            if self._bytes[self._at : self._at + 2] != b"\r\n":
                raise Broken
            self._at += 2
            if self._at > 2**16:  # rarely, as it moves what follows
                del self._bytes[: self._at]
                self._at = 0

    def _trailer(self) -> Generator[None, None, None]:
        for _ in range(MAX_HEADERS):
            if not (line := (yield from self._line())):
                return
            if not _TRAILER.fullmatch(line):
                raise Broken
        raise Broken

    def _line(self) -> Generator[None, None, bytes]:
        while (end := self._bytes.find(b"\r\n", self._at, self._at + MAX_HEADER_BYTES + 2)) < 0:
            if len(self._bytes) - self._at > MAX_HEADER_BYTES:
                raise Broken
            yield
            self.begun = True
        line = bytes(self._bytes[self._at : end])
        self._at = end + 2
        return line


_SINGLE = {"content-length", "transfer-encoding"}
"""Headers of which two that differ leave open where the reply ends."""


def _check_lines(head: bytes) -> None:
    if head.count(b"\n") >= MAX_HEADERS:
        raise Broken
    if len(head) > MAX_HEADER_BYTES and max(map(len, head.split(b"\n"))) > MAX_HEADER_BYTES:
        raise Broken
