"""select: keep the k best by what is known of them."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, Self, TypeVar

from pydantic import PositiveInt, model_validator

from archc.calls import MESSAGE_TOKENS, Capability, Completion, Failed, FailureKind, Message, Sampling
from archc.ir.op import Calls, Context, ModelName, Op, together
from archc.ir.shape import Shape
from archc.values import Candidate, CandidateSet, Facet, Facets, Interval, facets
from archc.vectors import cosine, unpacked

T = TypeVar("T")

_FACET = {"score": Facet.SCORE, "logprob": Facet.LOGPROB, "verdict": Facet.VERDICT}
_WORD = re.compile(r"\w+")


class Select(Op):
    """Keep `k` answers, the best first, without asking a judge.

    Ties go to the answer that arrived first; one that lacks what is sorted by comes last. `verdict` sorts by the share
    of votes that approved, `medoid` by how like the others an answer is: by the mean overlap of its words with those of
    each other answer, or with a `model` (`backend: embedding`) by the mean cosine of their vectors.

    Source: best-of-n; `medoid` is minimum Bayes risk decoding (Kumar and Byrne 2004), with the Jaccard index as gain.

    Example:
        - generate: {model: small, n: 8}
        - score: {model: big}
        - select: {by: score}
    """

    main: ClassVar[str] = "by"

    by: Literal["first", "score", "logprob", "verdict", "shortest", "longest", "random", "medoid"] = "first"
    """What makes an answer better."""
    k: PositiveInt = 1
    """How many to keep."""
    model: ModelName = ""
    """An embedding model, for `medoid`: a call for each answer."""

    @model_validator(mode="after")
    def _only_medoids_need_vectors(self) -> Self:
        if self.model and self.by != "medoid":
            raise ValueError("only `by: medoid` takes a `model`")
        return self

    @property
    def models(self) -> dict[str, str]:
        return {"model": self.model} if self.model else {}

    @property
    def requires(self) -> frozenset[Capability]:
        return frozenset({"embeddings"})

    @property
    def needs(self) -> Facets:
        return facets(_FACET[self.by]) if self.by in _FACET else frozenset()

    @property
    def picks(self) -> bool:
        return not self.model

    def shape(self, before: Shape) -> Shape:
        return before.adding(size=before.size.at_most(self.k))

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        if not self.model or before.size.hi <= self.k:
            return ()
        count = Interval(before.size.lo if before.size.lo > self.k else 0, before.size.hi)
        most = before.tokens + MESSAGE_TOKENS
        return (Calls(self.model, count, Interval(0, most), 1, most),)

    def depth(self, before: Shape) -> Interval:
        asked = self.calls(before)
        return Interval(min(1, asked[0].count.lo), 1) if asked else Interval(0, 0)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        old = before.candidates
        if self.by == "random":
            order: Sequence[int] = ctx.order(len(old))
        else:
            worth = await self._typical(ctx, old) if self.by == "medoid" else [self._worth(c) for c in old]
            order = sorted(range(len(old)), key=lambda i: -worth[i])
        return before.with_candidates(old[i] for i in order[: self.k])

    async def _typical(self, ctx: Context, old: Sequence[Candidate]) -> list[float]:
        """How like the others each one is; none is asked about where all are kept."""
        if not self.model or len(old) <= self.k:
            return _typical([frozenset(_WORD.findall(c.text.lower())) for c in old], _overlap)
        vectors = await together(self._vector(ctx, candidate.text) for candidate in old)
        known = iter(_typical([vector for vector in vectors if vector], cosine))
        return [next(known) if vector else -math.inf for vector in vectors]

    async def _vector(self, ctx: Context, text: str) -> array[float] | None:
        said = (Message("user", text),)
        [reply] = await ctx.ask(self.model, said, Sampling(temperature=0.0, max_tokens=1), prompt="embedding")
        if isinstance(reply, Completion):
            try:
                return unpacked(reply.text)
            except ValueError as error:
                reply = Failed(FailureKind.UNPARSABLE, str(error))
        ctx.note("failed", what="embedding", reason=reply.reason)
        return None

    def _worth(self, candidate: Candidate) -> float:
        match self.by:
            case "score":
                return _or_last(candidate.score)
            case "logprob":
                return _or_last(candidate.logprob)
            case "verdict":
                verdict = candidate.verdict
                return _or_last(verdict.approvals / max(1, verdict.votes) if verdict else None)
            case "shortest":
                return -len(candidate.text)
            case "longest":
                return len(candidate.text)
            case _:
                return 0.0


def _or_last(value: float | None) -> float:
    return -math.inf if value is None else value


def _typical(items: Sequence[T], gain: Callable[[T, T], float]) -> list[float]:
    """How much each one has in common with the others, together."""
    return [math.fsum(gain(one, other) for j, other in enumerate(items) if i != j) for i, one in enumerate(items)]


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0
