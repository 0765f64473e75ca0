"""each: run a block on every candidate on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from archc.ir.control import Block, Control, Visit, at_once, tests_of_copies
from archc.ir.op import Context, together
from archc.ir.shape import Shape
from archc.values import CandidateSet, Interval


class Each(Control):
    """Run `do` on every candidate on its own, all at once; what they give follows each other in the old order.

    A candidate for which the block gives nothing goes on as it was.

    Example:
        - generate: {model: small, n: 4}
        - each:
            do:
              - critique: {model: big}
              - refine: {model: small}
              - verify: {model: big, filter: false}
    """

    reads_candidates: ClassVar[bool] = True

    do: Block
    """What to do with one candidate."""

    def visits(self, before: Shape) -> tuple[Visit, ...]:
        return (Visit("do", before.one(), before.size),)

    def waits(self, depths: Sequence[Interval], before: Shape) -> Interval:
        return at_once(depths) * before.size.at_most(1)

    def shape(self, before: Shape) -> Shape:
        one = self.do.shape(before.one())
        tests = tests_of_copies(self.do, before.one(), max(1, before.size.hi))
        size = Interval(one.size.lo * before.size.lo, max(one.size.hi, 1) * before.size.hi)
        return replace(one.covering(before.one()), size=size, tests=tests)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        alone = [before.with_candidates([candidate]) for candidate in before.candidates]
        turns = await together(ctx.enter("do", one, turn=index) for index, one in enumerate(alone))
        ctx.took(*turns)
        for turn in turns:
            if turn.failed:
                ctx.note("failed", what="turn", reason=turn.failed.headline)
        given = (one if turn.failed else turn.result for one, turn in zip(alone, turns, strict=True))
        return CandidateSet.concat(given) if alone else before
