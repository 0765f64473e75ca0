"""cascade: ask one model after the other until one is sure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archc.ir.condition import Condition
from archc.ir.control import Block, Control, NoResult, Test, Visit, in_turn
from archc.ir.op import Context, ModelName, Turn
from archc.ir.shape import Shape
from archc.values import CandidateSet, Interval


class Cascade(Control):
    """Run `do` with each of `models` in turn, as `$model`, until a condition holds of what one of them gave.

    A model whose turn gives nothing is passed over.

    Source: FrugalGPT (arXiv 2305.05176); with `keep: all` and a vote after it ModelSwitch (arXiv 2504.00762).

    Example:
        - cascade:
            models: [small, big]
            until: agreement == 1
            keep: all
            do:
              - generate: {model: $model, n: 4}
              - extract: {kind: number}
        - vote
    """

    main: ClassVar[str] = "models"
    hands_on: ClassVar[bool] = False
    unrolled: ClassVar[tuple[str, str] | None] = ("models", "model")

    chain: Annotated[tuple[ModelName, ...], Field(alias="models", min_length=1, examples=["[small, big]"])]
    """The models, the one to ask first first."""
    until: Annotated[Test, Field(examples=["agreement == 1"])]
    """Ends it when it holds of what the last model gave."""
    keep: Literal["last", "all"] = "last"
    """Whether the candidates of the last model go on, or of all that were asked."""
    do: tuple[Block, ...]
    """What to do with a model, which is called `$model` here; it starts from what arrives."""

    def visits(self, before: Shape) -> tuple[Visit, ...]:
        return tuple(Visit(name, before, Interval(int(not i), 1)) for i, name in enumerate(self.blocks))

    def waits(self, depths: Sequence[Interval], before: Shape) -> Interval:
        return in_turn(depths, self.visits(before))

    def shape(self, before: Shape) -> Shape:
        given = [block.shape(before) for block in self.do]
        whole = given[0]
        for i, shape in enumerate(given[1:], 2):
            whole = whole.hull(shape if self.keep == "last" else Shape.concat(given[:i], before))
        return whole

    def judged(self, before: Shape) -> tuple[tuple[Condition, Shape], ...]:
        return tuple((self.until, block.shape(before)) for block in self.do)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        turns: list[Turn] = []
        for index, (name, model) in enumerate(zip(self.blocks, self.chain, strict=True)):
            turn = await ctx.enter(name, before, turn=index)
            ctx.took(turn)
            turns.append(turn)
            if turn.failed:
                ctx.note("failed", what=f"turn of `{model}`", reason=turn.failed.headline)
            elif ctx.holds("until", turn.result, turns):
                break
        given = [turn.result for turn in turns if not turn.failed]
        if not given:
            raise NoResult(next(turn.failed for turn in turns if turn.failed))
        ctx.note("asked", models=list(self.chain[: len(turns)]))
        return given[-1] if self.keep == "last" else CandidateSet.concat(given)
