"""race: try several ways at once and take the first that is good enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from archc.ir.condition import Condition
from archc.ir.control import Block, Control, NoResult, Test, Visit, at_once, started
from archc.ir.op import Context, Turn
from archc.ir.shape import Shape
from archc.values import CandidateSet, Interval


class Race(Control):
    """Run all `branches` at once, take the `first` ones whose candidates pass a condition, and cancel the others.

    `by: order` takes those that are written first, so that the answer does not depend on who is faster; a branch is
    cancelled as soon as enough of those before it have passed. `by: arrival` takes those that are done first: quicker,
    but another run may answer otherwise. If none passes, the first one that gave anything goes on.

    Example:
        - race:
            condition: verified >= 1
            branches:
              - [generate: {model: small, n: 4}, verify: {model: big}]
              - [generate: {model: big}, verify: {model: big}]
    """

    main: ClassVar[str] = "condition"
    hands_on: ClassVar[bool] = False

    branches: Annotated[tuple[Block, ...], Field(min_length=2)]
    """The ways, the preferred one first."""
    condition: Test | None = None
    """What a branch must pass; by default it must only give something."""
    first: PositiveInt = 1
    """How many branches to take."""
    by: Literal["order", "arrival"] = "order"
    """Which of those that pass are first."""

    @model_validator(mode="after")
    def _some_are_left_out(self) -> Self:
        if self.first >= len(self.branches):
            raise ValueError(f"`first` must be less than the {len(self.branches)} branches")
        return self

    def visits(self, before: Shape) -> tuple[Visit, ...]:
        sure = 1 if self.by == "order" else 0
        return tuple(Visit(name, before, Interval(int(i < sure), 1)) for i, name in enumerate(self.blocks))

    def waits(self, depths: Sequence[Interval], before: Shape) -> Interval:
        return Interval(depths[0].lo if self.by == "order" else min(d.lo for d in depths), at_once(depths).hi)

    def shape(self, before: Shape) -> Shape:
        given = [branch.shape(before) for branch in self.branches]
        whole = given[0]
        for shape in given[1:]:
            whole = whole.hull(shape)
        most = sorted((shape.size.hi for shape in given), reverse=True)[: self.first]
        return whole.adding(size=Interval(whole.size.lo, sum(most)))

    def judged(self, before: Shape) -> tuple[tuple[Condition, Shape], ...]:
        return tuple((self.condition, b.shape(before)) for b in self.branches) if self.condition else ()

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        taken: list[tuple[int, Turn]] = []
        others: list[Turn] = []
        async with started(ctx.enter(name, before, turn=i) for i, name in enumerate(self.blocks)) as tasks:
            async for index in _finishers(tasks, self.by == "order"):
                turn = tasks[index].result()
                if self._passes(ctx, turn):
                    taken.append((index, turn))
                    if len(taken) == self.first:
                        break
                else:
                    others.append(turn)
        if taken:
            winners = [turn for _, turn in sorted(taken, key=lambda one: one[0])]
            ctx.took(*others, *winners)
            ctx.note("won", branches=sorted(index for index, _ in taken))
            return CandidateSet.concat(turn.result for turn in winners)
        ctx.took(*others)
        left = next((turn for turn in others if not turn.failed), None)
        if left is None:
            raise NoResult(next(turn.failed for turn in others if turn.failed))
        ctx.note("degraded", fallback="took the first branch", reason="no branch passed the condition")
        return left.result

    def _passes(self, ctx: Context, turn: Turn) -> bool:
        if turn.failed or not any(not c.abstained for c in turn.result.candidates):
            return False
        return self.condition is None or ctx.holds("condition", turn.result, [turn])


async def _finishers(tasks: Sequence[asyncio.Task[Turn]], in_order: bool) -> AsyncIterator[int]:
    """The tasks that are done, in written order or as they arrive."""
    waiting = set(tasks)
    for index, task in enumerate(tasks):
        if in_order:
            await asyncio.wait([task])
            yield index
        else:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            waiting |= set(list(done)[1:])
            yield tasks.index(next(iter(done)))
