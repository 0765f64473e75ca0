"""select: keep the k best by what is known of them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import PositiveInt

from archc.ir.op import Context, Op
from archc.ir.shape import Shape
from archc.values import Candidate, CandidateSet, Facet, Facets, facets

_FACET = {"score": Facet.SCORE, "logprob": Facet.LOGPROB, "verdict": Facet.VERDICT}
_WORD = re.compile(r"\w+")


class Select(Op):
    """Keep `k` answers, the best first, without asking a model.

    Ties go to the answer that arrived first; one that lacks what is sorted by comes last. `verdict` sorts by the share
    of votes that approved, `medoid` by the mean overlap of an answer's words with those of each other answer.

    Source: best-of-n; `medoid` is minimum Bayes risk decoding (Kumar and Byrne 2004) with the Jaccard index as gain.

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

    @property
    def needs(self) -> Facets:
        return facets(_FACET[self.by]) if self.by in _FACET else frozenset()

    @property
    def picks(self) -> bool:
        return True

    def shape(self, before: Shape) -> Shape:
        return before.adding(size=before.size.at_most(self.k))

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        old = before.candidates
        if self.by == "random":
            order: Sequence[int] = ctx.order(len(old))
        else:
            worth = _typical(old) if self.by == "medoid" else [self._worth(c) for c in old]
            order = sorted(range(len(old)), key=lambda i: -worth[i])
        return before.with_candidates(old[i] for i in order[: self.k])

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


def _typical(candidates: Sequence[Candidate]) -> list[float]:
    """How much each one's words overlap with those of the others, on average."""
    words = [frozenset(_WORD.findall(c.text.lower())) for c in candidates]
    return [math.fsum(_overlap(w, other) for j, other in enumerate(words) if i != j) for i, w in enumerate(words)]


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0
