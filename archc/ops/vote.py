"""vote: let equal answers add up, and keep one of the most frequent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import PositiveInt

from archc.ir.op import Context, Op
from archc.ir.shape import Shape
from archc.values import Candidate, CandidateSet, Facet, Facets, Interval, facets

_ROUNDING = 1e-6
"""More than sums of weights can be wrong by."""

Ballot = tuple[int, Candidate, float]
"""Where a candidate arrived, the candidate, and the weight of its vote."""

_WEIGHS = {"score": Facet.SCORE, "logprob": Facet.LOGPROB}


class Vote(Op):
    """Group the answers by what `extract` found and keep one of the heaviest group.

    Each answer weighs 1, or its score, or its mean token probability; the weights of a group are summed, never
    averaged. What is kept is the first of the group, or the heaviest where votes are weighed. Answers in which nothing
    was found have no vote. With fewer than `min_valid` votes the first answer goes on, marked in the trace.

    Source: self-consistency (arXiv 2203.11171); weighted by a scorer as DiVeRSe (arXiv 2206.02336).

    Example:
        - generate: {model: small, n: 8}
        - extract: {kind: number}
        - vote
    """

    main: ClassVar[str] = "by"

    by: Literal["majority", "score", "logprob"] = "majority"
    """What a vote weighs. Where any score is negative, scores are first moved to between 0 and 1."""
    ties: Literal["first", "score", "logprob", "shortest", "random"] = "first"
    """Which of equally heavy groups wins: the one seen first, with the best score or log-probability, with the shortest
    text, or any."""
    min_valid: PositiveInt = 1
    """The fewest votes that decide."""

    @property
    def needs(self) -> Facets:
        return facets(Facet.ANSWER) | {_WEIGHS[key] for key in (self.by, self.ties) if key in _WEIGHS}

    @property
    def picks(self) -> bool:
        return True

    def shape(self, before: Shape) -> Shape:
        return before.adding(size=Interval.exactly(1))

    def settles(self, most: int, bounded: bool) -> int | None:
        if self.by == "score" and not bounded:
            return None
        half = -(-most // 2) if (self.by, self.ties) == ("majority", "first") else most // 2 + 1
        return max(self.min_valid, half)

    def settled(self, seen: Sequence[Candidate], left: int) -> bool:
        """No answer that is still to come can win, nor be the one that is shown of those that have won.

        A vote weighs 1 at most.
        """
        valid = [c for c in seen if c.answer is not None]
        if not left or len(valid) < self.min_valid:
            return not left
        groups = _grouped([(i, c, w) for i, (c, w) in enumerate(zip(valid, self._weights(valid), strict=True))])
        first, *others = sorted(groups, key=lambda group: -_total(group))
        rival = max(map(_total, others), default=0.0)
        lead = _total(first) - rival
        if self.by != "majority":
            return lead > left + _ROUNDING and max(weight for _, _, weight in first) >= 1.0
        if lead == left and self.ties == "first":  # they may come level, and then who was seen first wins
            return all(first[0][0] < other[0][0] for other in others if _total(other) == rival)
        return lead > left

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        valid = [(i, c) for i, c in enumerate(before.candidates) if c.answer is not None]
        if len(valid) < self.min_valid:
            reason = f"{len(valid)} of {len(before)} answers can be counted, {self.min_valid} needed"
            ctx.note("degraded", fallback="kept the first answer", reason=reason)
            return before.with_candidates(before.candidates[:1])
        weights = self._weights([c for _, c in valid])
        groups = _grouped([(i, c, weight) for (i, c), weight in zip(valid, weights, strict=True)])
        most = max(map(_total, groups))
        tied = [group for group in groups if _total(group) == most]
        place = ctx.order(len(before)) if self.ties == "random" else range(len(before))
        winner = min(tied, key=lambda group: self._tie_break(group, place))
        _, kept, _ = max(winner, key=lambda ballot: ballot[2])
        share = math.fsum(w for _, _, w in winner) / (math.fsum(weights) or 1.0)
        ctx.note("vote", histogram=_histogram(groups), share=share)
        return before.with_candidates([kept])

    def _weights(self, valid: Sequence[Candidate]) -> list[float]:
        if self.by == "majority":
            return [1.0] * len(valid)
        if self.by == "logprob":
            return [0.0 if c.logprob is None else math.exp(c.logprob) for c in valid]
        scores = [c.score for c in valid if c.score is not None]
        low, high = min(scores, default=0.0), max(scores, default=0.0)
        if low >= 0:
            return [c.score or 0.0 for c in valid]
        return [0.0 if c.score is None else (c.score - low) / (high - low + 1e-3) for c in valid]

    def _tie_break(self, group: list[Ballot], place: Sequence[int]) -> float:
        """The smallest wins; of equal ones the first."""
        match self.ties:
            case "score":
                return -max(_or_last(c.score) for _, c, _ in group)
            case "logprob":
                return -max(_or_last(c.logprob) for _, c, _ in group)
            case "shortest":
                return min(len(c.text) for _, c, _ in group)
            case _:
                return place[group[0][0]]


def _or_last(value: float | None) -> float:
    return -math.inf if value is None else value


def _grouped(ballots: Sequence[Ballot]) -> list[list[Ballot]]:
    """Those with equal answers together, in the order in which each answer was first given."""
    groups: dict[str, list[Ballot]] = {}
    for ballot in ballots:
        answer = ballot[1].answer
        groups.setdefault(answer.key if answer else "", []).append(ballot)
    return list(groups.values())


def _total(group: Sequence[Ballot]) -> float:
    return math.fsum(weight for _, _, weight in group)


def _histogram(groups: Sequence[Sequence[Ballot]]) -> dict[str, float]:
    """Weight by the text that the first of each group shows."""
    seen: dict[str, float] = {}
    for group in groups:
        answer = group[0][1].answer
        text = answer.text if answer else ""
        seen[text] = seen.get(text, 0.0) + _total(group)
    return seen
