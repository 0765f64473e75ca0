"""Fair queue: who goes next. Start-time fair queuing between questions, the most urgent call first within one.

(Goyal, Vin and Cheng 1996.) Each question has a tag, which grows by the tokens of what it was served; the one with the
least tag is next. One that asks for much so waits for its own sake only, and nobody waits for ever.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field
from itertools import count

from archc.calls import CallError

Waiter = asyncio.Future[bool | CallError]
"""Resolved when its turn has come: see `Lane`."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a request brings to wait with."""

    query: str
    """The question it is for."""
    urgency: int = 0
    """How many steps that ask models still lie behind it, on the longest path: the more, the sooner it goes."""
    tokens: int = 0
    """What it may use at most."""


@dataclass(slots=True, eq=False)
class _Flow:
    """What waits for one question."""

    query: str
    waiting: list[tuple[int, int, int, Waiter]] = field(default_factory=list)


class FairQueue:
    """Futures in the order in which they should be resolved. Cancelled ones are passed over, at no cost to anybody.

    It remembers what a question was served only while somebody waits: before that, nobody was held up.
    """

    def __init__(self) -> None:
        self._flows: dict[str, _Flow] = {}
        self._tags: list[tuple[float, int, _Flow]] = []
        """Each flow once, as a heap. One that has nothing waiting is forgotten when its tag is reached."""
        self._tag = 0.0
        self._order = count()
        self._length = 0

    def __len__(self) -> int:
        """How many wait, with those that were cancelled and not yet passed over."""
        return self._length

    def push(self, turn: Turn, waiter: Waiter) -> None:
        """Lets one more wait."""
        flow = self._flows.get(turn.query)
        if flow is None:
            flow = self._flows[turn.query] = _Flow(turn.query)
            heapq.heappush(self._tags, (self._tag, next(self._order), flow))
        heapq.heappush(flow.waiting, (-turn.urgency, next(self._order), turn.tokens, waiter))
        self._length += 1

    def pop(self) -> Waiter | None:
        """The next one, unless all were cancelled."""
        while self._length:
            tag, order, flow = self._tags[0]
            self._tag = tag
            while flow.waiting:
                _, _, tokens, waiter = heapq.heappop(flow.waiting)
                self._length -= 1
                if not waiter.done():
                    heapq.heapreplace(self._tags, (tag + max(tokens, 1), order, flow))
                    if not self._length:
                        self._forget()
                    return waiter
            heapq.heappop(self._tags)
            del self._flows[flow.query]
        self._forget()
        return None

    def drain(self) -> list[Waiter]:
        """All at once, in no order; the queue is empty then."""
        all_of_them = [entry[-1] for flow in self._flows.values() for entry in flow.waiting]
        self._forget()
        return [waiter for waiter in all_of_them if not waiter.done()]

    def _forget(self) -> None:
        self._flows.clear()
        self._tags.clear()
        self._tag, self._length = 0.0, 0
