"""refine: rewrite each answer by what was found wrong with it."""

from __future__ import annotations

from typing import Literal

from archc.calls import Completion, Failed
from archc.ir.drawn import candidate_of
from archc.ir.elementwise import Elementwise
from archc.ir.op import FENCE_TOKENS, Calls, Context, ModelOp
from archc.ir.shape import Shape
from archc.prompts.fence import fence
from archc.values import Candidate, Facet, Facets, Interval, facets


class Refine(ModelOp, Elementwise):
    """Rewrite each answer from its critique, or from the reason why its verdict was negative.

    One call per answer, all at once. An answer without such a note, one that passed (`by: verdict`) and one whose call
    fails go on as they were. None carries its old facets.

    Source: Self-Refine (arXiv 2303.17651); by failed tests as Reflexion (arXiv 2303.11366).

    Example:
        - generate: {model: small, n: 4}
        - critique: {model: big}
        - refine: {model: small, by: critique}
    """

    by: Literal["critique", "verdict"] = "critique"
    """Which note to work from."""
    prompt: str | None = None
    """Another prompt, with `{question}`, `{candidate}`, `{about}` (what the note is) and `{note}`."""

    @property
    def needs(self) -> Facets:
        return facets(Facet.CRITIQUE if self.by == "critique" else Facet.VERDICT)

    def shape(self, before: Shape) -> Shape:
        return before.fresh(before.size, max(before.tokens, self.max_tokens))

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        holds = before.tokens + before.notes + 2 * FENCE_TOKENS + len(self.text(self.by).encode())
        return (self.price("prompt", Interval(0, before.size.hi), before, holds),)

    def depth(self, before: Shape) -> Interval:
        return Interval(0, min(1, before.size.hi))

    async def each(self, ctx: Context, candidate: Candidate, tests: tuple[str, ...]) -> Candidate:
        note = self._note(candidate)
        if not note:
            return candidate.bare()
        messages = self.messages(
            ctx, "prompt", candidate=fence([candidate.text]), about=self.text(self.by), note=fence([note], "note")
        )
        [drawn] = await ctx.ask(self.model, messages, self.sampling, prompt="prompt")
        if isinstance(drawn, Completion) and drawn.text.strip():
            return candidate_of(drawn)
        ctx.note("failed", what="refinement", reason=drawn.reason if isinstance(drawn, Failed) else "an empty reply")
        return candidate.bare()

    def _note(self, candidate: Candidate) -> str:
        if self.by == "critique":
            return (candidate.critique or "").strip()
        verdict = candidate.verdict
        return "" if verdict is None or verdict.passed else verdict.reason.strip()
