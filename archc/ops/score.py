"""score: give each answer a number from 0 to 1."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from archc.calls import MESSAGE_TOKENS, Capability, Completion, Failed, FailureKind, Message, Sampling
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


def logistic(x: float) -> float:
    """1 / (1 + exp(-x)), for any number and as exact at both ends."""
    small = math.exp(-abs(x))
    return (1.0 if x > 0 else small) / (1 + small)


class Score(ModelOp, Elementwise):
    """Give each answer a score from 0 to 1; all stay.

    `by: judge` asks for 1 to 10, `votes` times per answer, and takes the mean of what can be read; an answer with no
    readable judgement has no score and comes last wherever scores are compared. `by: reward` asks a reward model
    (`backend: reward`) once per answer, as the conversation that the answer ends; the score is the logistic function of
    its reward, as in a Bradley-Terry model. `by: logprob` asks nobody: the score is the geometric mean probability of
    the answer's tokens.

    Source: single-answer grading of LLM-as-a-judge (arXiv 2306.05685); best-of-n by a trained verifier, Cobbe et al.
    2021 (arXiv 2110.14168).

    Example:
        - generate: {model: small, n: 8}
        - score: {model: big}
        - select: {by: score}
    """

    model: ModelName = ""
    """A name from `models`; not needed for `by: logprob`."""
    by: Literal["judge", "reward", "logprob"] = "judge"
    """Who scores: a judge by what it writes, a reward model, or the log-probabilities that the answers have."""
    votes: PositiveInt = 1
    """Independent judgements per answer by a judge; their mean is the score."""
    repair: bool = True
    """Whether an unreadable judgement is asked for once more, by a judge."""
    prompt: str | None = None
    """Another prompt, with `{question}` and `{candidate}`."""

    @model_validator(mode="after")
    def _who_judges_is_a_model(self) -> Self:
        if self.by != "logprob" and not self.model:
            raise ValueError(f"`by: {self.by}` needs a `model`")
        return self

    @property
    def requires(self) -> frozenset[Capability]:
        return frozenset({"reward" if self.by == "reward" else "text"})

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
        if self.by == "reward":
            most = before.question + before.tokens + 2 * MESSAGE_TOKENS
            return (Calls(self.model, before.size, Interval(1, most), 1, most),)
        prices = self.price_with_repair("prompt", before.size * self.votes, before, before.tokens + FENCE_TOKENS)
        return prices if self.repair else prices[:1]

    def depth(self, before: Shape) -> Interval:
        if self.by == "logprob":
            return Interval(0, 0)
        return before.size.at_most(1) * Interval(1, 2 if self.repair and self.by == "judge" else 1)

    async def each(self, ctx: Context, candidate: Candidate, tests: tuple[str, ...]) -> Candidate:
        if self.by == "logprob":
            return replace(candidate, score=None if candidate.logprob is None else math.exp(candidate.logprob))
        scored = self._rewarded if self.by == "reward" else self._judged
        return replace(candidate, score=await scored(ctx, candidate))

    async def _rewarded(self, ctx: Context, candidate: Candidate) -> float | None:
        said = (*ctx.question, Message("assistant", candidate.text))
        [reply] = await ctx.ask(self.model, said, Sampling(temperature=0.0, max_tokens=1), prompt="reward")
        if isinstance(reply, Completion):
            with suppress(ValueError):
                if not math.isnan(reward := float(reply.text)):
                    return logistic(reward)
            reply = Failed(FailureKind.UNPARSABLE, f"the reward is no number: {reply.text[:80]!r}")
        ctx.note("failed", what="score", reason=reply.reason)
        return None

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
