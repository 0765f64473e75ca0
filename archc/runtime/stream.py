"""Stream: what a node gives, told candidate by candidate, so that others begin before all of it is there.

What a node comes to never depends on what was told first: it is gathered in the order of the candidates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from archc.calls import Completion
from archc.ir.drawn import candidate_of
from archc.ir.elementwise import Elementwise
from archc.ir.op import Context, together
from archc.runtime.query import Sample
from archc.values import Candidate

Settled = Callable[[Sequence[Candidate], int], bool]
Slot = asyncio.Future[Candidate | None]
"""Where a candidate will be; None where there is none."""


class Stream:
    """The slots of a node. All are filled when it is done."""

    def __init__(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        self.slots: list[Slot] = [loop.create_future() for _ in range(count)]
        self.tests: tuple[str, ...] = ()
        """The question's tests, known before any candidate is."""
        self._wanted = 0
        self._enough = False
        self._changed = asyncio.Event()

    def give(self, index: int, candidate: Candidate | None) -> None:
        """Fills a slot; the first time counts."""
        if not self.slots[index].done():
            self.slots[index].set_result(candidate)

    def hear(self, start: int, index: int, sample: Sample) -> None:
        """The same with a sample of the part that begins at `start`."""
        self.give(start + index, candidate_of(sample) if isinstance(sample, Completion) else None)

    def close(self) -> None:
        """Nothing more comes."""
        for index in range(len(self.slots)):
            self.give(index, None)

    # ---- between the samples that are drawn in parts, and the node that tells when they are enough

    def want(self, index: int) -> None:
        """Says that all slots before this one have been looked at, and were not enough."""
        self._wanted = max(self._wanted, index)
        self._changed.set()

    def stop(self) -> None:
        """Says that they are enough."""
        self._enough = True
        self._changed.set()

    async def wants(self, index: int) -> bool:
        """Waits until this slot is wanted (True), or none any more."""
        while not self._enough and self._wanted < index:
            self._changed.clear()
            await self._changed.wait()
        return not self._enough


async def watch(settled: Settled, slots: Sequence[Slot], source: Stream, part: int, least: int) -> None:
    """Looks at candidates as they come, and stops their source when `least` of them settle what a node gives."""
    seen: list[Candidate] = []
    for index, slot in enumerate(slots):
        if not slot.done():
            if index % part == 0 and len(seen) >= least and settled(seen, len(slots) - index):
                break
            source.want(index)
        if (candidate := await slot) is not None:
            seen.append(candidate)
    source.stop()


async def made_of(
    op: Elementwise,
    ctx: Context,
    slots: Sequence[Slot],
    told: Stream,
    out: Stream | None,
    source: Stream | None,
    least: int,
) -> list[Candidate]:
    """What an op makes of each candidate, begun as soon as it is there. The tests are those of `told`."""
    if op.window:
        return await _in_rounds(op, ctx, slots, told, source, least)

    async def one(index: int, slot: Slot) -> Candidate | None:
        candidate = await slot
        made = None if candidate is None else await op.each(ctx, candidate, told.tests)
        if out:
            out.tests = told.tests
            out.give(index, made)
        return made

    found = await together(one(index, slot) for index, slot in enumerate(slots))
    return [made for made in found if made is not None]


async def _in_rounds(
    op: Elementwise, ctx: Context, slots: Sequence[Slot], told: Stream, source: Stream | None, least: int
) -> list[Candidate]:
    """The same, so many at a time as `run` would, until it is settled and `least` candidates are there."""
    made: list[Candidate] = []
    waiting: list[Candidate] = []
    seen, is_over = 0, False
    for index, slot in enumerate(slots):
        if is_over and (source is None or seen >= least):
            break
        if source and not slot.done():
            source.want(index)
        if (candidate := await slot) is None:
            continue
        seen += 1
        if not is_over:
            waiting.append(candidate)
        if len(waiting) == op.window:
            made += await together(op.each(ctx, one, told.tests) for one in waiting)
            waiting, is_over = [], op.settled(made, len(slots) - index - 1)
    if source:
        source.stop()
    return made + await together(op.each(ctx, one, told.tests) for one in waiting)
