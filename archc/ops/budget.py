"""budget: a block that may spend only so much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from archc.ir.control import Block, Control, Visit, at_once, can_fail, instead
from archc.ir.op import Context
from archc.ir.shape import Shape
from archc.spec.model import Budget as Limits
from archc.values import CandidateSet, Interval


class Budget(Control):
    """Run `do` with a budget of its own, beside that of the question.

    A call whose worst case does not fit any more is not made, and each step goes on with what it has, as under a
    `deadline`. If that is nothing, what arrived goes on.

    Example:
        - generate: {model: small, n: 4}
        - budget:
            calls: 6
            do:
              - score: {model: big}
        - select: {by: score}
    """

    main: ClassVar[str] = "calls"
    limits_spending: ClassVar[bool] = True

    most_calls: PositiveInt | None = Field(None, alias="calls")
    """Completions drawn from models, at most."""
    tokens: PositiveInt | None = None
    """Prompt and completion tokens together, at most."""
    prompt_tokens: PositiveInt | None = None
    """Tokens of all prompts, at most."""
    completion_tokens: PositiveInt | None = None
    """Tokens that models write, at most."""
    usd: PositiveFloat | None = None
    """Money, by the models' prices, at most."""
    seconds: PositiveFloat | None = None
    """Wall time, at most."""
    do: Block
    """What to do."""

    @model_validator(mode="after")
    def _something_is_limited(self) -> Self:
        if not self.limit.limited and self.seconds is None:
            raise ValueError("give a limit: `calls`, `tokens`, `usd` or `seconds`")
        return self

    @property
    def limit(self) -> Limits:
        return Limits(
            calls=self.most_calls,
            tokens=self.tokens,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            usd=self.usd,
            seconds=self.seconds,
        )

    def visits(self, before: Shape) -> tuple[Visit, ...]:
        return (Visit("do", before, Interval(0, 1)),)

    def waits(self, depths: Sequence[Interval], before: Shape) -> Interval:
        most = at_once(depths).hi
        return Interval(0, most if self.most_calls is None else min(most, self.most_calls))

    def shape(self, before: Shape) -> Shape:
        given = self.do.shape(before)
        return given.covering(before) if can_fail(self.do) else given

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        turn = await ctx.enter("do", before, limit=self.limit)
        ctx.took(turn)
        return instead(ctx, turn, before) if turn.failed else turn.result
