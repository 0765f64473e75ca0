"""verify: judge each answer as correct or not, or check it by a program, and keep the correct ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from archc.calls import Capability, Completion, Failed, FailureKind, Limits, Sampling
from archc.ir.elementwise import Elementwise
from archc.ir.op import FENCE_TOKENS, Calls, Context, ModelOp, together
from archc.ir.shape import Shape
from archc.ops._checks import checking
from archc.ops._matrix import REASON_BYTES, cut
from archc.prompts.fence import fence
from archc.prompts.reply import Reply, ask_reply
from archc.values import Candidate, CandidateSet, Facet, Interval, Verdict


class Judgement(Reply):
    """A binary verdict and why."""

    explanation: str
    verdict: Literal["correct", "incorrect"]

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Reads a reply that is one label and nothing else."""
        label = text.strip("[]*. \n").lower()
        return cls(explanation="", verdict=label) if label in ("correct", "incorrect") else None


@dataclass(frozen=True, slots=True)
class Approval:
    """How much one judgement is for an answer, from 0 to 1, and why."""

    share: float
    reason: str


_YES, _NO = "yes", "no"


class Verify(ModelOp, Elementwise):
    """Judge each answer `votes` times as correct or incorrect; keep those that a majority approves.

    `by: judge` asks a model. With `reason` a first call works through the answer, for and against, and a second one
    decides. `by: code` asks the model for a Python program that checks the answer, and runs it in the sandbox: asserts
    that all hold are a vote for the answer, one that does not is a vote against it. A program that is no Python, that
    reaches no assert, or that ends in another way, is no vote. `by: likelihood` asks a model whether the answer is
    correct and takes how likely its first token is a yes, beside a no: one token, and a score from 0 to 1 that is kept.
    Several votes are averaged.

    A judgement that fails counts as no vote; an answer without any vote is not approved. If none is approved, all go
    on, marked in the trace. With `first_k` answers are judged in rounds of `first_k` until so many are approved; the
    others are dropped unjudged.

    Source: the verifier of Archon (arXiv 2409.15254); several votes as Verification@k (arXiv 2502.01839); `by: code` as
    in tool-integrated self-verification (T1, arXiv 2504.04718); `by: likelihood` as in generative verifiers (GenRM,
    arXiv 2408.15240), with and without reasoning.

    Example:
        - generate: {model: small, n: 8}
        - verify: {model: big}
    """

    by: Literal["judge", "code", "likelihood"] = "judge"
    """Who decides: the model by what it says, a program that it writes, or how likely it is to say yes."""
    votes: PositiveInt = 1
    """Independent judgements per answer; more than half must approve."""
    reason: bool = True
    """Whether a call that reasons comes before the verdict; not where a program decides."""
    first_k: PositiveInt | None = None
    """Stop when this many are approved."""
    filter: bool = True
    """Whether to drop the others; if not, all stay and their score is the share of approving votes."""
    repair: bool = True
    """Whether an unreadable verdict is asked for once more, by a judge."""
    seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Wall-clock time that a checking program may take."""
    reason_prompt: str | None = None
    """Another prompt for the reasoning, with `{question}` and `{candidate}`."""
    verdict_prompt: str | None = None
    """Another prompt for the verdict, with `{question}`, `{candidate}` and `{reasoning}`."""
    code_prompt: str | None = None
    """Another prompt for the checking program, with `{question}` and `{candidate}`."""
    likelihood_prompt: str | None = None
    """Another prompt to be answered by yes or no, with `{question}`, `{candidate}` and `{reasoning}`."""

    @model_validator(mode="after")
    def _votes_differ(self) -> Self:
        if self.by == "likelihood" and self.votes > 1 and not self.reason:
            raise ValueError("without `reason` all votes are the same: leave `votes`")
        return self

    @property
    def requires(self) -> frozenset[Capability]:
        return frozenset({"text", "logprobs"} if self.by == "likelihood" else {"text"})

    @property
    def executes(self) -> bool:
        return self.by == "code"

    @property
    def scores_are_shares(self) -> bool:
        return True

    def shape(self, before: Shape) -> Shape:
        adds = (Facet.VERDICT, Facet.SCORE) if self._scores else (Facet.VERDICT,)
        size = Interval(min(1, before.size.lo), before.size.hi) if self.filter else before.size
        each = REASON_BYTES if self.executes else self.max_tokens
        return before.adding(*adds, notes=self.votes * (each + 1), size=size)

    @property
    def _scores(self) -> bool:
        return not self.filter or self.by == "likelihood"

    @property
    def annotates(self) -> bool:
        return not self.filter

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        judged = self._judged(before) * self.votes
        candidate = before.tokens + FENCE_TOKENS
        if self.executes:
            return (self.price("code", judged, before, candidate),)
        reasons = (self.price("reason", judged, before, candidate),) if self.reason else ()
        holds = candidate + (self.max_tokens + FENCE_TOKENS if self.reason else 0)
        if self.by == "likelihood":
            return (*reasons, replace(self.price("likelihood", judged, before, holds), completion=1))
        verdicts = self.price_with_repair("verdict", judged, before, holds)
        return reasons + (verdicts if self.repair else verdicts[:1])

    def _judged(self, before: Shape) -> Interval:
        return Interval(min(before.size.lo, self.first_k or before.size.lo), before.size.hi)

    def depth(self, before: Shape) -> Interval:
        rounds = Interval(1, max(1, -(-before.size.hi // self.first_k))) if self.first_k else Interval.exactly(1)
        if self.executes:
            return rounds
        asked_again = self.repair and self.by == "judge"
        return rounds * (Interval(1, 2 if asked_again else 1) + Interval.exactly(int(self.reason)))

    @property
    def keeps_all(self) -> bool:
        return not (self.filter or self.first_k)

    @property
    def window(self) -> int:
        return self.first_k or 0

    def settles(self, most: int, bounded: bool) -> int | None:
        return self.first_k if self.filter else None

    def settled(self, seen: Sequence[Candidate], left: int) -> bool:
        return not left or (self.first_k is not None and sum(_passed(c) for c in seen) >= self.first_k)

    def gathered(self, ctx: Context, made: list[Candidate], before: CandidateSet) -> list[Candidate]:
        if not self.filter:
            return made + list(before.candidates[len(made) :])
        approved = [c for c in made if _passed(c)]
        if not approved:
            ctx.note("degraded", fallback="no answer was approved; all go on", reason=f"{len(before)} judged incorrect")
        return (approved or made)[: self.first_k if approved else None]

    async def each(self, ctx: Context, candidate: Candidate, tests: tuple[str, ...]) -> Candidate:
        replies = await (self._run_checks if self.executes else self._replies)(ctx, candidate.text)
        votes = [r for r in replies if isinstance(r, Approval)]
        share = sum(vote.share for vote in votes) / max(1, len(votes))
        if not votes:
            failed = next((r for r in replies if isinstance(r, Failed)), None)
            ctx.note("failed", what="verdict", reason=failed.reason if failed else "")
        reason = "\n".join(vote.reason for vote in votes)
        verdict = Verdict(share > 0.5, reason, sum(vote.share > 0.5 for vote in votes), len(votes))
        return replace(candidate, verdict=verdict, score=share if self._scores else candidate.score)

    async def _run_checks(self, ctx: Context, text: str) -> list[Approval | Failed]:
        messages = self.messages(ctx, "code", candidate=fence([text]))
        drawn = await ctx.ask(self.model, messages, self.sampling, prompt="code", n=self.votes)
        return await together(self._run_check(ctx, text, reply) for reply in drawn)

    async def _run_check(self, ctx: Context, text: str, reply: Completion | Failed) -> Approval | Failed:
        if isinstance(reply, Failed):
            return reply
        if (check := checking(reply.text, text)) is None:
            return Failed(FailureKind.UNPARSABLE, "the reply is no Python program with an assert")
        [outcome] = await ctx.execute("", [check], Limits(seconds=self.seconds))
        if isinstance(outcome, Failed):
            return outcome
        if outcome.status not in ("passed", "failed"):
            return Failed(FailureKind.UNPARSABLE, f"the checking program gave no verdict: {outcome.message[:120]!r}")
        return Approval(float(outcome.passed), cut(outcome.message))

    async def _replies(self, ctx: Context, text: str) -> list[Approval | Failed]:
        shown = fence([text])
        decided = self._likelihood if self.by == "likelihood" else self._verdicts
        if not self.reason:
            return await decided(ctx, shown, "", self.votes, first=0)
        reasons = await ctx.ask(
            self.model, self.messages(ctx, "reason", candidate=shown), self.sampling, prompt="reason", n=self.votes
        )
        replies = await together(
            decided(ctx, shown, fence([r.text], "reasoning"), 1, first=i)
            for i, r in enumerate(reasons)
            if isinstance(r, Completion)
        )
        return [r for some in replies for r in some] + [r for r in reasons if isinstance(r, Failed)]

    async def _verdicts(self, ctx: Context, shown: str, reasoning: str, n: int, first: int) -> list[Approval | Failed]:
        messages = self.messages(ctx, "verdict", candidate=shown, reasoning=reasoning)
        replies = await ask_reply(
            ctx.ask,
            self.model,
            messages,
            self.sampling,
            Judgement,
            prompt="verdict",
            n=n,
            first=first,
            repair=self.repair,
        )
        return [r if isinstance(r, Failed) else Approval(float(r.verdict == "correct"), r.explanation) for r in replies]

    async def _likelihood(
        self, ctx: Context, shown: str, reasoning: str, n: int, first: int
    ) -> list[Approval | Failed]:
        messages = self.messages(ctx, "likelihood", candidate=shown, reasoning=reasoning)
        sampling = Sampling(temperature=0.0, max_tokens=1)
        said = await ctx.ask(self.model, messages, sampling, prompt="likelihood", n=n, first=first, labels=(_YES, _NO))
        return [r if isinstance(r, Failed) else _vote(r) for r in said]


def _vote(said: Completion) -> Approval | Failed:
    if said.logprob is None:
        return Failed(FailureKind.UNPARSABLE, f"the model said neither yes nor no: {said.text[:80]!r}")
    share = math.exp(said.logprob)
    share = share if said.text == _YES else 1 - share
    return Approval(share, f"{share:.3f} for yes")


def _passed(candidate: Candidate) -> bool:
    return candidate.verdict is not None and candidate.verdict.passed
