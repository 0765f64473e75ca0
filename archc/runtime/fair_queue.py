"""Fair queue: who goes next. First come, first served, as long as no question gets much more than the others.

Start-time fair queuing (Goyal, Vin and Cheng 1996) by the quantum: each question has a tag, which grows by the tokens
of what it was served, and those whose tags are in the same quantum are equal. One that asks for much so waits for its
own sake only. Among equals the order is that in which they came: taking turns, all would be done at the end only, and
what comes last in one pipeline would hold up what comes first in another. Within a question the most urgent goes first.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field
from itertools import count

from archc.calls import CallError

Waiter = asyncio.Future[bool | CallError]
"""Resolved when its turn has come: see `Lane`."""

QUANTUM = 65_536
"""How many tokens one question may be served before the others: eight samples of a long prompt."""
MANY = 64
"""How many questions are remembered at least, before those are looked for that need not be."""


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

    tag: int
    """Where it began, and the tokens that it was served since."""
    waiting: list[tuple[int, int, int, Waiter]] = field(default_factory=list)


class FairQueue:
    """Futures in the order in which they should be resolved. Cancelled ones are passed over, at no cost to anybody.

    It remembers what a question was served only while somebody waits: before that, nobody was held up.
    """

    def __init__(self) -> None:
        self._flows: dict[str, _Flow] = {}
        """All that have something waiting, or were served more than others and may come again."""
        self._next: list[tuple[int, int, _Flow]] = []
        """Those that have, as a heap: by quantum, then by when what waits came."""
        self._time = 0.0
        """The tokens that each of those that waited was served on average: where the tags of new ones begin."""
        self._order = count()
        self._length = 0
        self._full = MANY
        """With how many remembered questions those are looked for: twice as many as last time, so that it is cheap."""

    def __len__(self) -> int:
        """How many wait, with those that were cancelled and not yet passed over."""
        return self._length

    def push(self, turn: Turn, waiter: Waiter) -> None:
        """Lets one more wait."""
        came = next(self._order)
        flow = self._flows.setdefault(turn.query, _Flow(0))
        if not flow.waiting:
            flow.tag = max(flow.tag, int(self._time))
            heapq.heappush(self._next, (flow.tag // QUANTUM, came, flow))
        heapq.heappush(flow.waiting, (-turn.urgency, came, turn.tokens, waiter))
        self._length += 1

    def pop(self) -> Waiter | None:
        """The next one, unless all were cancelled."""
        while self._next:
            _, _, flow = heapq.heappop(self._next)
            while flow.waiting:
                _, _, tokens, waiter = heapq.heappop(flow.waiting)
                self._length -= 1
                if not waiter.done():
                    self._serve(flow, max(tokens, 1))
                    return waiter
        self._forget()
        return None

    def drain(self) -> list[Waiter]:
        """All at once, in no order; the queue is empty then."""
        all_of_them = [entry[-1] for flow in self._flows.values() for entry in flow.waiting]
        self._forget()
        return [waiter for waiter in all_of_them if not waiter.done()]

    def _serve(self, flow: _Flow, tokens: int) -> None:
        flow.tag += tokens
        self._time += tokens / (1 + len(self._next))
        if flow.waiting:
            heapq.heappush(self._next, (flow.tag // QUANTUM, flow.waiting[0][1], flow))
        elif not self._next:
            self._forget()
        elif len(self._flows) > self._full:
            self._flows = {name: one for name, one in self._flows.items() if one.waiting or one.tag > self._time}
            self._full = 2 * len(self._flows) + MANY

    def _forget(self) -> None:
        self._flows.clear()
        self._next.clear()
        self._time, self._length, self._full = 0.0, 0, MANY
