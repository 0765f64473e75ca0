"""until: sample until a statistic says that it is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt

from archc.ir.condition import Condition
from archc.ir.control import Block, Control, NoResult, Test, Visit, at_once, started, tests_of_copies
from archc.ir.op import Context, Turn
from archc.ir.shape import Shape
from archc.values import CandidateSet, Interval


class Until(Control):
    """Run copies of `do`, `batch` of them at a time, until a condition holds of what the first of them gave together.

    The condition is looked at after each copy in index order, whichever is done first, and the result is the shortest
    row of copies for which it holds: neither `batch` nor chance changes it. What is still under way then is cancelled.
    A step of `n` samples in copy i draws samples i·n … i·n + n - 1, as it would in one step of many samples.

    One answer agrees with itself, so a condition on `agreement` should also ask for a `count`.

    Source: Adaptive-Consistency (arXiv 2305.11860) with `confidence >= 0.95`.

    Example:
        - until:
            condition: confidence >= 0.95
            max: 16
            batch: 4
            do:
              - generate: {model: small}
              - extract: {kind: number}
        - vote
    """

    main: ClassVar[str] = "condition"
    hands_on: ClassVar[bool] = False
    gathers: ClassVar[bool] = True

    condition: Annotated[Test, Field(examples=["confidence >= 0.95"])]
    """What ends it."""
    max: Annotated[int, Field(ge=1, le=100_000, examples=[16])]
    """How many copies, at most."""
    batch: PositiveInt = 8
    """How many at a time."""
    do: Block
    """What a copy does; it starts from what arrives."""

    def visits(self, before: Shape) -> tuple[Visit, ...]:
        return (Visit("do", before, Interval(1, self.max)),)

    def waits(self, depths: Sequence[Interval], before: Shape) -> Interval:
        one = at_once(depths)
        return Interval(one.lo, one.hi * -(-self.max // self.batch))

    def shape(self, before: Shape) -> Shape:
        one = self.do.shape(before)
        tests = tests_of_copies(self.do, before, self.max)
        return replace(one, size=Interval(one.size.lo, one.size.hi * self.max), tests=tests)

    def judged(self, before: Shape) -> tuple[tuple[Condition, Shape], ...]:
        return ((self.condition, self.do.shape(before)),)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        turns: list[Turn] = []
        while len(turns) < self.max:
            copies = range(len(turns), min(self.max, len(turns) + self.batch))
            async with started(ctx.enter("do", before, copy=copy) for copy in copies) as tasks:
                for task in tasks:
                    turns.append(await task)
                    if not turns[-1].failed and ctx.holds("condition", _together(turns), turns):
                        ctx.took(*turns)
                        ctx.note("enough", copies=len(turns), of=self.max)
                        return _together(turns)
        ctx.took(*turns)
        if failed := [turn.failed for turn in turns if turn.failed]:
            if len(failed) == len(turns):
                raise NoResult(failed[0])
            ctx.note("failed", what="copy", reason=failed[0].headline, copies=len(failed))
        return _together(turns)


def _together(turns: Sequence[Turn]) -> CandidateSet:
    return CandidateSet.concat(turn.result for turn in turns if not turn.failed)
