"""optional: a block to leave out where the budget is short."""

from __future__ import annotations

from collections.abc import Sequence

from archc.ir.control import Block, Control, Visit, at_once, can_fail, instead
from archc.ir.op import Context
from archc.ir.shape import Shape
from archc.values import CandidateSet, Interval


class Optional(Control):
    """Run `do`, or leave it out where a budget with `on_exhausted: degrade` has no room for it beside what must come.

    What arrives goes on then, and later steps must do with it. Without such a budget `do` is always run.

    Example:
        - generate: {model: small, n: 8}
        - optional: [critique: {model: big}]
        - fuse: {model: big}
    """

    do: Block
    """What may be left out."""

    def visits(self, before: Shape) -> tuple[Visit, ...]:
        return (Visit("do", before, Interval(0, 1)),)

    def waits(self, depths: Sequence[Interval], before: Shape) -> Interval:
        return Interval(0, at_once(depths).hi)

    def shape(self, before: Shape) -> Shape:
        given = self.do.shape(before).hull(before)
        return given.covering(before) if can_fail(self.do) else given

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        if not ctx.has_room():
            ctx.note("degraded", fallback="left out", reason="the budget has no room for it beside what must come")
            return before
        turn = await ctx.enter("do", before)
        ctx.took(turn)
        return instead(ctx, turn, before) if turn.failed else turn.result
