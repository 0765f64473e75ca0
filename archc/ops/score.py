"""score: give each answer a number from 0 to 1."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from archc.calls import Failed
from archc.ir.elementwise import Elementwise
from archc.ir.op import FENCE_TOKENS, Calls, Context, ModelName, ModelOp
from archc.ir.shape import Shape
from archc.prompts.fence import fence
from archc.prompts.reply import Reply, ask_reply
from archc.values import Candidate, Facet, Facets, Interval, facets


class Rating(Reply):
    """A score from 1 to 10 and why."""

    explanation: str
    score: Annotated[int, Field(ge=1, le=10)]

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Reads a reply that is one number and nothing else, such as `7` or `7/10`."""
        match = _NUMBER.fullmatch(text.strip())
        return cls(explanation="", score=int(match[1])) if match else None


_NUMBER = re.compile(r"(?:Score:\s*)?(10|[1-9])(?:\s?/\s?10)?\.?", re.IGNORECASE)


class Score(ModelOp, Elementwise):
    """Give each answer a score from 0 to 1; all stay.

    `by: judge` asks for 1 to 10, `votes` times per answer, and takes the mean of what can be read; an answer with no
    readable judgement has no score and comes last wherever scores are compared. `by: logprob` asks nobody: the score
    is the geometric mean probability of the answer's tokens.

    Source: single-answer grading of LLM-as-a-judge (arXiv 2306.05685).

    Example:
        - generate: {model: small, n: 8}
        - score: {model: big}
        - select: {by: score}
    """

    model: ModelName = ""
    """A name from `models`; needed for `by: judge`."""
    by: Literal["judge", "logprob"] = "judge"
    """Who scores: a judge, or the log-probabilities that the answers have."""
    votes: PositiveInt = 1
    """Independent judgements per answer; their mean is the score."""
    repair: bool = True
    """Whether an unreadable judgement is asked for once more."""
    prompt: str | None = None
    """Another prompt, with `{question}` and `{candidate}`."""

    @model_validator(mode="after")
    def _a_judge_needs_a_model(self) -> Self:
        if self.by == "judge" and not self.model:
            raise ValueError("`by: judge` needs a `model`")
        return self

    @property
    def needs(self) -> Facets:
        return facets(Facet.LOGPROB) if self.by == "logprob" else frozenset()

    @property
    def annotates(self) -> bool:
        return True

    @property
    def scores_are_shares(self) -> bool:
        return True

    def shape(self, before: Shape) -> Shape:
        return before.adding(Facet.SCORE)

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        if self.by == "logprob":
            return ()
        prices = self.price_with_repair("prompt", before.size * self.votes, before, before.tokens + FENCE_TOKENS)
        return prices if self.repair else prices[:1]

    def depth(self, before: Shape) -> Interval:
        if self.by == "logprob":
            return Interval(0, 0)
        return before.size.at_most(1) * Interval(1, 2 if self.repair else 1)

    async def each(self, ctx: Context, candidate: Candidate, tests: tuple[str, ...]) -> Candidate:
        if self.by == "logprob":
            return replace(candidate, score=None if candidate.logprob is None else math.exp(candidate.logprob))
        return replace(candidate, score=await self._judged(ctx, candidate))

    async def _judged(self, ctx: Context, candidate: Candidate) -> float | None:
        replies = await ask_reply(
            ctx.ask,
            self.model,
            self.messages(ctx, "prompt", candidate=fence([candidate.text])),
            self.sampling,
            Rating,
            prompt="prompt",
            n=self.votes,
            repair=self.repair,
        )
        for failed in (r for r in replies if isinstance(r, Failed)):
            ctx.note("failed", what="score", reason=failed.reason)
        ratings = [(r.score - 1) / 9 for r in replies if isinstance(r, Rating)]
        return sum(ratings) / len(ratings) if ratings else None
