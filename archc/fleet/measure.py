"""Measure: how fast a model answers, alone and with others, by a few short requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from archc.calls import Backend, Completion, Message, Purpose, Request, Sampling, Usage
from archc.planning.profile import Pace, Profile

WRITES = 32
"""Tokens that are written to measure how fast that is."""
READS = 400
"""Words of a prompt that is read to measure that."""
TIMED = 3
"""Requests that are timed, at least, to leave out one that met something else."""
MOST = 32
"""Requests at once, up to which is measured unless told otherwise."""
_LEAST = 1e-7
"""Seconds for a token, at least: a clock is not finer."""

_TASK = "{first}. Tell a long story of a journey, in many chapters. Do not stop before its end."
_WORDS = ("time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state")


@dataclass(frozen=True)
class Timed:
    """What one round of requests at once took."""

    seconds: float
    """Of one request: half of them took longer."""
    usage: Usage
    """Of one request, on average, rounded."""


class Meter:
    """Measures one backend, which is started. `clock` is handed in; `tell` is told of each step."""

    def __init__(self, backend: Backend, clock: Callable[[], float], tell: Callable[[str], None]) -> None:
        self._backend, self._clock, self._tell = backend, clock, tell
        self._number = 0
        self.used = Usage()
        """What it has cost."""

    async def profile(self, most: int, gpu_hour: float | None) -> Profile:
        """Measures with 1, 2, 4 … requests at once. Raises CallError."""
        await self._round(1, self._counting, 2)  # what is done once, at the first request, is not measured
        paces = []
        for at_once in _doubling(most):
            writing = await self._round(at_once, self._counting, WRITES)
            reading = await self._round(at_once, self._reading, 1)
            pace = _pace(at_once, writing, reading)
            rate = at_once / pace.token
            self._tell(f"{at_once} at once: {writing.seconds:.2f} s a request, {rate:,.0f} tokens/s in all")
            paces.append(pace)
        return Profile(tuple(paces), await self._cache_gain(), gpu_hour)

    async def _cache_gain(self) -> float:
        """How much faster a long prompt is read the second time."""
        text = self._reading()
        first, _ = await self._one(text, 1)
        again = await self._round(1, lambda: text, 1)
        return max(0.0, 1 - again.seconds / first)

    async def _round(self, at_once: int, text: Callable[[], str], writes: int) -> Timed:
        """So many requests at once, each with a prompt of its own; a few times where few are timed."""
        timed: list[tuple[float, Usage]] = []
        while len(timed) < max(at_once, TIMED):
            timed += await asyncio.gather(*(self._one(text(), writes) for _ in range(at_once)))
        usage = sum((u for _, u in timed), Usage())
        self.used += usage
        prompt, completion = round(usage.prompt / len(timed)), round(usage.completion / len(timed))
        return Timed(median(seconds for seconds, _ in timed), Usage(max(1, prompt), max(1, completion)))

    async def _one(self, text: str, writes: int) -> tuple[float, Usage]:
        began = self._clock()
        seed = self._number & 0x7FFFFFFF
        sampling = Sampling(temperature=0.7, max_tokens=writes)
        request = Request((Message("user", text),), sampling, (seed,), Purpose("profile", "profile"))
        drawn: tuple[Completion, ...] = await self._backend.complete(request)
        return self._clock() - began, drawn[0].usage

    def _counting(self) -> str:
        """A short prompt with a long answer. No two begin alike, so that no cache has them."""
        self._number += 1
        return _TASK.format(first=1000 * self._number + 7)

    def _reading(self) -> str:
        self._number += 1
        start, step = self._number, 1 + self._number % 5
        words = (_WORDS[(start + i * step + i // 7) % len(_WORDS)] for i in range(READS))
        return f"{self._number}: {' '.join(words)}. Which word was first?"


def _doubling(most: int) -> Iterator[int]:
    """1, 2, 4 … and the last one as it was asked for."""
    now = 1
    while now < most:
        yield now
        now *= 2
    yield most


def _pace(at_once: int, writing: Timed, reading: Timed) -> Pace:
    """The two speeds of a round that mostly writes and one that mostly reads.

    Both take `prompt` seconds for a token that is read and `token` for one that is written: two equations. As on a busy
    machine times are not exact, neither may be less than a part of what it would be if the other were nothing.
    """
    wrote, read = writing.usage, reading.usage
    token = writing.seconds / wrote.completion
    prompt = reading.seconds / read.prompt
    if both := wrote.completion * read.prompt - read.completion * wrote.prompt:
        exact = (writing.seconds * read.prompt - reading.seconds * wrote.prompt) / both
        token = min(token, max(exact, token / 4))
        prompt = max(prompt - token * read.completion / read.prompt, prompt / 2)
    return Pace(at_once, max(prompt, _LEAST), max(token, _LEAST))
