"""Elementwise: ops that treat each candidate for itself, so that one can be begun before the others are there."""

from __future__ import annotations

import abc

from archc.ir.op import Context, Op, together
from archc.values import Candidate, CandidateSet


class Elementwise(Op, abc.ABC):
    """Base of the ops that do to each candidate the same, whatever the others are, and then look at what came of all.

    The runtime calls `each` as soon as a candidate exists; `run` does the same for a set that is there at once.
    """

    @property
    def apart(self) -> bool:
        """Whether it does so with these parameters; if not, it has a `run` of its own."""
        return True

    @property
    def window(self) -> int:
        """How many at a time, in order, until it is `settled`; 0 for all at once."""
        return 0

    @property
    def keeps_all(self) -> bool:
        """Whether what `each` has made goes on as it is, whatever came of the others."""
        return True

    @abc.abstractmethod
    async def each(self, ctx: Context, candidate: Candidate, tests: tuple[str, ...]) -> Candidate:
        """What becomes of one candidate; never an abstention."""

    def gathered(self, ctx: Context, made: list[Candidate], before: CandidateSet) -> list[Candidate]:
        """What goes on, of all that `each` has made, in order; with a `window` it may be of the first ones only."""
        return made

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        old = before.candidates
        made: list[Candidate] = []
        for start in range(0, len(old), step := self.window or max(1, len(old))):
            each = (self.each(ctx, c, before.tests) for c in old[start : start + step])
            made += await together(each) if self.models or self.executes else [await one for one in each]
            if self.window and self.settled(made, len(old) - len(made)):
                break
        return before.with_candidates(self.gathered(ctx, made, before))
