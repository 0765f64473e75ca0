"""fold: take many candidates into a few, a window at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from archc.ir.control import Block, Control, Visit, in_turn, instead
from archc.ir.op import Context
from archc.ir.shape import Shape
from archc.values import CandidateSet, Interval


class Fold(Control):
    """Run `do` on the first `window` candidates, then on what that gave together with the next ones, to the last.

    No prompt holds more than a window, however many there are. Of what a round gives, at most `window - 1` go on; if it
    gives nothing, those of its window that came first.

    Source: Self-MoA-Seq (arXiv 2502.00674).

    Example:
        - generate: {model: small, n: 12}
        - fold:
            window: 4
            do: [fuse: {model: big}]
    """

    main: ClassVar[str] = "window"
    reads_candidates: ClassVar[bool] = True
    loops: ClassVar[bool] = True

    window: Annotated[int, Field(ge=2, examples=[6])]
    """How many the block sees at once."""
    do: Block
    """What makes few of many."""

    def _first(self, before: Shape) -> Shape:
        return replace(before, size=before.size.at_most(self.window))

    def _later(self, before: Shape) -> Shape:
        """What arrives at every round but the first, at most."""
        new = replace(before, around=())
        given = self.do.shape(self._first(before))
        window = Interval(2, self.window)
        for _ in range(_ENOUGH):
            arrives = replace(Shape.concat([given, new], before), size=window, around=before.around)
            wider = given.hull(self.do.shape(arrives))
            if wider == given:
                break
            given = wider
        return arrives

    def _rounds(self, before: Shape) -> Interval:
        """How many follow the first."""
        made = self.do.shape(self._first(before)).size
        hi = max(made.hi, self.do.shape(self._later(before)).size.hi)
        return Interval(self._count(before.size.lo, 0), self._count(before.size.hi, min(hi, self.window - 1)))

    def _count(self, candidates: int, carried: int) -> int:
        return -(-max(0, candidates - self.window) // (self.window - carried))

    def visits(self, before: Shape) -> tuple[Visit, ...]:
        first = Visit("do", self._first(before), Interval(1, 1))
        if before.size.hi <= self.window:
            return (first,)
        return (first, Visit("do", self._later(before), self._rounds(before)))

    def waits(self, depths: Sequence[Interval], before: Shape) -> Interval:
        return in_turn(depths, self.visits(before))

    def shape(self, before: Shape) -> Shape:
        given = self.do.shape(self._first(before))
        if before.size.hi > self.window:
            given = given.hull(self.do.shape(self._later(before)))
        given = given.covering(before)
        return replace(given, size=given.size.at_most(self.window - 1))

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        waiting = before.candidates
        current = before.with_candidates(())
        number = 0
        while waiting or not number:
            room = max(1, self.window - len(current))
            arrives = current.with_candidates((*current.candidates, *waiting[:room]))
            waiting = waiting[room:]
            turn = await ctx.enter("do", arrives, turn=number)
            ctx.took(turn)
            given = instead(ctx, turn, arrives) if turn.failed else turn.result
            current = given.with_candidates(given.candidates[: self.window - 1])
            number += 1
        return current


_ENOUGH = 8
"""Rounds after which a shape does not change any more: there are only so many facets."""
