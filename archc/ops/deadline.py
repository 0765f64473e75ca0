"""deadline: what a block has found after so many seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field, PositiveFloat

from archc.ir.control import Block, Control, Visit, at_once, can_fail, instead
from archc.ir.op import Context
from archc.ir.shape import Shape
from archc.spec.model import Budget
from archc.values import CandidateSet, Interval


class Deadline(Control):
    """Run `do` for at most so many seconds. Calls not answered by then are cancelled, and each step goes on with what
    it has: fewer samples, the order as it was, the candidate as it was. If that is nothing, what arrived goes on.

    Example:
        - generate: {model: small, n: 4}
        - deadline:
            seconds: 20
            do:
              - critique: {model: big}
              - fuse: {model: big}
    """

    main: ClassVar[str] = "seconds"

    seconds: Annotated[PositiveFloat, Field(examples=[20])]
    """How long."""
    do: Block
    """What to do."""

    @property
    def limit(self) -> Budget | None:
        return Budget(seconds=self.seconds)

    def visits(self, before: Shape) -> tuple[Visit, ...]:
        return (Visit("do", before, Interval(0, 1)),)

    def waits(self, depths: Sequence[Interval], before: Shape) -> Interval:
        return Interval(0, at_once(depths).hi)

    def shape(self, before: Shape) -> Shape:
        given = self.do.shape(before)
        return given.covering(before) if can_fail(self.do) else given

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        turn = await ctx.enter("do", before, limit=self.limit)
        ctx.took(turn)
        return instead(ctx, turn, before) if turn.failed else turn.result
