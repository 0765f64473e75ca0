"""The ways in which a chat-completions server can fail, one function each; `FAULTS` has them by name.

A function says what is written to the connection, in parts: bytes, a wait in virtual seconds, or how it ends. It may
change what the provider bills for the answer; what is billed otherwise stands beside its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum
from random import Random
from types import MappingProxyType
from typing import Any

from tests.faults.truth import Asked, Drawn, Sample


class End(Enum):
    """What becomes of the connection."""

    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"
    """Nothing more, until the client goes."""


Part = bytes | float | End


@dataclass
class Answer:
    """The true answer to a request, and what the provider bills for it."""

    asked: Asked
    drawn: dict[Sample, Drawn]
    billed: dict[Sample, int] = field(init=False)
    """Completion tokens by sample."""
    prompt: int = field(init=False)
    excess: int = 0
    """Tokens billed beyond all that was allowed for: only of a server that lies."""

    def __post_init__(self) -> None:
        self.billed = {sample: one.tokens for sample, one in self.drawn.items()}
        self.prompt = self.asked.prompt_tokens

    @property
    def choices(self) -> list[dict[str, Any]]:
        """As in the body."""
        return [
            {"index": i, "message": {"role": "assistant", "content": one.text}, "finish_reason": one.finish}
            for i, one in enumerate(self.drawn.values())
        ]

    @property
    def usage(self) -> dict[str, Any]:
        """As in the body."""
        written = sum(self.billed.values())
        return {"prompt_tokens": self.prompt, "completion_tokens": written, "total_tokens": self.prompt + written}

    def body(self, **changes: Any) -> bytes:
        """The true body, with other top-level fields."""
        fields = {"id": "chatcmpl-1", "object": "chat.completion", "choices": self.choices, "usage": self.usage}
        return json.dumps({**fields, **changes}).encode()


Play = Callable[[Answer, Random], Sequence[Part]]


@dataclass(frozen=True)
class Fault:
    """One row: how it is played, the chance that it is billed, and how often it comes beside the others."""

    play: Play
    billed: float
    weight: float


FAULTS: dict[str, Fault] = {}


def fault(name: str, billed: float, weight: float = 1.0) -> Callable[[Play], Play]:
    """Puts a way to fail into the table. `billed` is the chance that the provider bills it."""

    def add(play: Play) -> Play:
        FAULTS[name] = Fault(play, billed, weight)
        return play

    return add


def http(
    body: bytes, status: int = 200, headers: Mapping[str, str] = MappingProxyType({}), *, length: int | None = None
) -> bytes:
    """A whole reply; `length` is a wrong Content-Length."""
    size = str(len(body) if length is None else length)
    given = {"Content-Type": "application/json", "Content-Length": size, **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status} Because\r\n{head}\r\n".encode() + body


def _error(status: int, headers: Mapping[str, str] = MappingProxyType({})) -> list[Part]:
    return [http(json.dumps({"error": {"message": "no", "code": status}}).encode(), status, headers)]


def honest(answer: Answer, rng: Random) -> Sequence[Part]:
    """No fault."""
    return [http(answer.body())]


# ---- refusals


@fault("429, Retry-After in seconds", 0)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return _error(429, {"Retry-After": str(rng.randint(0, 20))})


@fault("429, Retry-After as a date", 0)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    now = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)  # the server's clock, years ahead
    later = now + timedelta(seconds=rng.randint(-5, 30))
    return _error(429, {"Date": format_datetime(now, usegmt=True), "Retry-After": format_datetime(later, usegmt=True)})


@fault("429, absurd Retry-After", 0)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    absurd = ["-5", "soon", "9" * 400, "NaN", "inf", "1e9", "Fri, 31 Dec 9999 23:59:59 GMT", "", "0x10", "86400000"]
    return _error(429, {"Retry-After": rng.choice(absurd)})


@fault("429 without Retry-After", 0)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return _error(429)


@fault("429, retry-after-ms", 0)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return _error(429, {"retry-after-ms": str(rng.randint(1, 5000))})


def _status(status: int, billed: float) -> None:
    @fault(str(status), billed, 0.7)
    def _(answer: Answer, rng: Random) -> Sequence[Part]:
        return _error(status)


for _code, _chance in ((500, 0.5), (502, 0.0), (503, 0.0), (504, 0.5), (408, 0.5), (529, 0.0), (524, 0.5)):
    _status(_code, _chance)


@fault("redirect", 0)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return _error(rng.choice([301, 302, 307, 308]), {"Location": "http://127.0.0.1:9/v1/chat/completions"})


# ---- broken connections


@fault("reset before the head", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [End.RESET]


@fault("closed before the head", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [End.CLOSE]


@fault("reset within the head", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [http(answer.body())[: rng.randint(1, 60)], 0.01, End.RESET]


@fault("reset after the head", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    raw = http(answer.body())
    return [raw[: raw.index(b"\r\n\r\n") + 4], 0.01, End.RESET]


@fault("truncated body", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    raw = http(answer.body())
    return [raw[: -rng.randint(1, len(raw) - raw.index(b"\r\n\r\n") - 4)], End.CLOSE]


@fault("truncated chunks", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    body = answer.body()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = rng.random() < 0.5  # all of the body, but no word that it was all
    return [head + b"%x\r\n" % len(body) + (body + b"\r\n" if whole else body[: len(body) // 2]), End.CLOSE]


@fault("Content-Length too small", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    body = answer.body()
    return [http(body, length=rng.randint(0, len(body) - 1))]


@fault("Content-Length too large", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    body = answer.body()
    return [http(body, length=len(body) + rng.randint(1, 10)), rng.choice([End.CLOSE, End.HANG])]


@fault("stale second reply, at once", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [http(answer.body()) + _decoy(answer)]


@fault("stale second reply, later", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [http(answer.body()), rng.choice([0.001, 0.1]), _decoy(answer)]


def _decoy(answer: Answer) -> bytes:
    message = {"role": "assistant", "content": DECOY}
    choices = [{"index": i, "message": message, "finish_reason": "stop"} for i in range(len(answer.drawn))]
    return http(answer.body(choices=choices))


DECOY = "an answer to something else"


@fault("1xx before the reply", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    some = rng.choice([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"])
    return [some * rng.choice([1, 50]), http(answer.body())]


@fault("101", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + answer.body()]


@fault("header flood", 1, 0.5)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    many = rng.choice([{f"X-{i}": "y" * 100 for i in range(5000)}, {"X": "y" * 1_000_000}])
    return [http(answer.body(), headers=many)]


@fault("no HTTP", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    body = answer.body()
    kinds = [body, b"HTTP/1.1 banana\r\n\r\n" + body, b"SSH-2.0-x\r\n", b"\x15\x03\x01\x00\x02\x02\x46"]
    kinds += [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + body]
    kinds += [b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + body, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"]
    return [rng.choice(kinds), End.CLOSE]


# ---- time


@fault("slow first byte", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [rng.uniform(5, 30), http(answer.body())]


@fault("slow drip", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    raw = http(answer.body())
    step = rng.choice([1, len(raw) // 8])
    return [part for i in range(0, len(raw), step) for part in (1.0, raw[i : i + step])]


@fault("silent hang", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [End.HANG]


@fault("hang within the body", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [http(answer.body())[:-1], End.HANG]
