"""abstain: give no answer rather than a wrong one."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from archc.ir.op import Context, Op
from archc.ir.shape import Shape
from archc.values import Candidate, CandidateSet, Interval


class Abstain(Op):
    """Put one abstention in the place of the candidates.

    An abstention is a candidate that says there is no answer. Steps pass over it: it is not voted for, judged, fused
    or shown to a model, and goes on only where nothing else is left. A run that ends with one has `abstained` set.

    Source: selective question answering (Kamath et al. 2020, arXiv 2006.09462).

    Example:
        - generate: {model: small, n: 8}
        - extract: {kind: number}
        - when: {condition: agreement < 0.5, then: [abstain], else: [vote]}
    """

    main: ClassVar[str] = "say"

    say: str = "I do not know."
    """What the answer says."""

    def shape(self, before: Shape) -> Shape:
        given = before.fresh(Interval.exactly(1), len(self.say.encode()))
        return replace(given, may_abstain=True)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        ctx.note("abstained", of=len(before))
        return before.with_candidates([replace(Candidate.of(self.say), abstained=True)])
