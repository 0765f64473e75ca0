"""when: go one way or the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from archc.ir.condition import Condition
from archc.ir.control import Block, Control, Test, Visit, can_fail, instead
from archc.ir.op import Context
from archc.ir.shape import Shape
from archc.spec.conditions import constant
from archc.values import CandidateSet, Interval


class When(Control):
    """Run `then` if a condition holds of what arrives, and `else` if it does not; without `else` that goes on as it is.

    A condition over parameters alone is decided before anything runs, and only the way taken is kept. If the way taken
    gives nothing, what arrived goes on.

    Source: a cheap check before a dear step, as in adaptive computation (Snell et al. 2024, arXiv 2408.03314).

    Example:
        - generate: {model: small, n: 4}
        - extract: {kind: number}
        - when:
            condition: agreement < 0.75
            then: [fuse: {model: big}]
            else: [vote]
    """

    main: ClassVar[str] = "condition"
    exclusive: ClassVar[bool] = True

    condition: Annotated[Test, Field(examples=["agreement < 0.5"])]
    """What decides."""
    then: Block
    """What to do if it holds."""
    otherwise: Block | None = Field(None, alias="else")
    """What to do if it does not."""

    @classmethod
    def taken(cls, conditions: Mapping[str, Condition]) -> str | None:
        known = constant(conditions["condition"].expr) if "condition" in conditions else None
        return None if known is None else "then" if known else "else"

    @property
    def skips(self) -> bool:
        return self.otherwise is None

    def visits(self, before: Shape) -> tuple[Visit, ...]:
        return tuple(Visit(name, before, Interval(0, 1)) for name in self.blocks)

    def waits(self, depths: Sequence[Interval], before: Shape) -> Interval:
        ways = [*depths] if self.otherwise else [*depths, Interval(0, 0)]
        return Interval(min(d.lo for d in ways), max(d.hi for d in ways))

    def shape(self, before: Shape) -> Shape:
        given = self.then.shape(before).hull(self.otherwise.shape(before) if self.otherwise else before)
        return given.covering(before) if any(map(can_fail, self.blocks.values())) else given

    def judged(self, before: Shape) -> tuple[tuple[Condition, Shape], ...]:
        return ((self.condition, before),)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        way = "then" if ctx.holds("condition", before) else "otherwise"
        ctx.note("way", taken="else" if way == "otherwise" else way)
        if way not in self.blocks:
            return before
        turn = await ctx.enter(way, before)
        ctx.took(turn)
        return instead(ctx, turn, before) if turn.failed else turn.result
