"""fuse: write new answers that keep what is right in the old ones."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveInt

from archc.calls import Completion, Failed
from archc.ir.drawn import candidate_of
from archc.ir.op import Calls, Context, ModelOp, shown
from archc.ir.shape import Shape
from archc.prompts.fence import fence
from archc.values import Candidate, CandidateSet, Facet, Facets, Interval, facets


class Fuse(ModelOp):
    """Write `n` new answers from all that arrive, with their critiques where they have them.

    The new answers carry none of the old facets. If every call fails, the first answers that arrived go on.

    Source: Mixture-of-Agents (arXiv 2406.04692) and the fuser of Archon (arXiv 2409.15254).
    Models of 7B and below fuse badly (Archon, Table 38): there, prefer `rank` or `vote`.

    Example:
        - generate: {model: small, n: 4}
        - fuse: {model: big}
    """

    needs_large: ClassVar[bool] = True

    n: PositiveInt = 1
    """How many new answers."""
    length_control: bool = False
    """Whether to ask for an answer no longer than the longest that arrived."""
    prompt: str | None = None
    """Another prompt, with `{question}`, `{candidates}`, `{critiques}` and `{length}`."""

    @property
    def reads(self) -> Facets:
        return facets(Facet.CRITIQUE)

    def shape(self, before: Shape) -> Shape:
        return before.fresh(Interval.exactly(self.n), self.max_tokens)

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        extra = len((self.text("critiques") + self.text("length")).encode())
        return (self.price("prompt", Interval.exactly(self.n), before, shown(before, notes=True) + extra),)

    def depth(self, before: Shape) -> Interval:
        return Interval.exactly(1)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        old = before.candidates
        messages = self.messages(
            ctx,
            "prompt",
            candidates=fence([c.text for c in old]),
            critiques=self._critiques(old),
            length=self.text("length") if self.length_control else "",
        )
        drawn = await ctx.ask(self.model, messages, self.sampling, prompt="prompt", n=self.n)
        failed = [c for c in drawn if isinstance(c, Failed)]
        fused = [candidate_of(c) for c in drawn if isinstance(c, Completion)]
        if not fused:
            ctx.note("degraded", fallback="kept the answers that arrived", reason=failed[0].reason)
            fused = [c.bare() for c in old[: self.n]]
        return before.with_candidates(fused, failed)

    def _critiques(self, old: tuple[Candidate, ...]) -> str:
        if not any(c.critique for c in old):
            return ""
        blocks = fence([c.critique or "(no critique)" for c in old], "critique")
        return self.text("critiques").replace("{list}", blocks)
