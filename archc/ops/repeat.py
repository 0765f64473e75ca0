"""repeat: run a block again and again on what it gave before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from archc.ir.condition import Condition
from archc.ir.control import Block, Control, Test, Visit, in_turn, instead
from archc.ir.op import Context, Turn
from archc.ir.shape import Shape
from archc.values import CandidateSet, Interval


class Repeat(Control):
    """Run `do` on what arrives, then on what that gave, `times` times or until a condition holds of what it gave.

    Each round draws samples of its own. If a round gives nothing, what was there before it goes on.

    Source: Self-Refine (arXiv 2303.17651) is `critique` and `refine` in such a loop.

    Example:
        - generate: {model: small, n: 4}
        - repeat:
            times: 2
            do:
              - critique: {model: big}
              - refine: {model: small}
    """

    main: ClassVar[str] = "times"
    loops: ClassVar[bool] = True

    times: Annotated[int, Field(ge=1, le=1000, examples=[3])]
    """How many rounds, at most."""
    until: Test | None = None
    """Ends the loop when it holds after a round."""
    do: Block
    """One round."""

    @property
    def rounds(self) -> int:
        return self.times

    def _arrivals(self, before: Shape) -> list[Shape]:
        """What arrives at each round, up to where it stays the same."""
        shapes = [before]
        while len(shapes) < self.times:
            after = replace(self.do.shape(shapes[-1]), around=before.around)
            if after == shapes[-1]:
                break
            shapes.append(after)
        return shapes

    def visits(self, before: Shape) -> tuple[Visit, ...]:
        arrivals = self._arrivals(before)
        last = self.times - len(arrivals) + 1
        times = [*(1 for _ in arrivals[1:]), last]
        sure = [int(self.until is None or not i) for i in range(len(arrivals))]
        return tuple(
            Visit("do", shape, Interval(n if self.until is None else certain, n))
            for shape, n, certain in zip(arrivals, times, sure, strict=True)
        )

    def waits(self, depths: Sequence[Interval], before: Shape) -> Interval:
        return in_turn(depths, self.visits(before))

    def shape(self, before: Shape) -> Shape:
        given = [self.do.shape(arrives) for arrives in self._arrivals(before)]
        whole = given[-1]
        for shape in given[:-1]:
            whole = whole.covering(shape) if self.until is None else whole.hull(shape)
        return whole.covering(before)

    def judged(self, before: Shape) -> tuple[tuple[Condition, Shape], ...]:
        return tuple((self.until, self.do.shape(s)) for s in self._arrivals(before)) if self.until else ()

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        turns: list[Turn] = []
        for number in range(self.times):
            turn = await ctx.enter("do", before, turn=number)
            ctx.took(turn)
            if turn.failed:
                return instead(ctx, turn, before)
            turns.append(turn)
            before = turn.result
            if self.until and ctx.holds("until", before, turns):
                break
        return before
