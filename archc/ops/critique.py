"""critique: name the strengths and weaknesses of each answer."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import ClassVar, Literal, Self

from pydantic import PositiveInt

from archc.calls import Completion, Failed, FailureKind
from archc.ir.elementwise import Elementwise
from archc.ir.op import FENCE_TOKENS, Calls, Context, ModelOp, shown
from archc.ir.shape import Shape
from archc.prompts.fence import fence
from archc.prompts.reply import Reply, ask_reply, schema_of
from archc.values import Candidate, CandidateSet, Facet, Interval


class OneCritique(Reply):
    """The critique of one candidate."""

    id: int
    strengths: str
    weaknesses: str

    def __str__(self) -> str:
        return f"Strengths: {self.strengths.strip()}\nWeaknesses: {self.weaknesses.strip()}"


class Critiques(Reply):
    """One critique per candidate."""

    critiques: list[OneCritique]

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Reads blocks headed `[1]`, `[2]`, … in this order and once each, with strengths and then weaknesses."""
        heads = list(_HEADING.finditer(text))
        numbers = [int(m[1] or m[2]) for m in heads]
        if not heads or heads[0].start() > 0 or numbers != list(range(1, len(heads) + 1)):
            return None
        ends = [m.start() for m in heads[1:]] + [len(text)]
        found: list[OneCritique] = []
        for number, head, end in zip(numbers, heads, ends, strict=True):
            block = text[head.end() : end]
            middle = _WEAK_LINE.search(block) or _WEAK.search(block)
            if middle:
                parts = (block[: middle.start()].strip(_MARKUP), block[middle.end() :].strip(_MARKUP))
                found.append(OneCritique(id=number, strengths=parts[0], weaknesses=parts[1]))
        return cls(critiques=found) if found else None


_HEADING = re.compile(
    r"^[ \t#*]*(?:\[(\d{1,4})\]|(\d{1,4})[.)])[ \t:*_]*(?:(?:response|candidate|answer)\b[ \t]*\d*[ \t:*_]*)?"
    r"[-•*_#\s]*+(?<![a-z])strengths?\b",
    re.MULTILINE | re.IGNORECASE,
)
"""A number that strengths follow at once: a citation or a numbered point within a critique is not one."""
_WEAK_LINE = re.compile(r"^[-•*_# \t]*weakness(?:es)?\b", re.MULTILINE | re.IGNORECASE)
_WEAK = re.compile(r"\bweakness(?:es)?\b", re.IGNORECASE)
_MARKUP = " \t\n*_#:"


class Critique(ModelOp, Elementwise):
    """Write the strengths and weaknesses of each answer, for a later `rank`, `fuse` or `refine`.

    `by: list` shows all answers to a critic at once; `by: each` asks once per answer and takes the reply as it is.
    An answer whose critique fails or is left out goes on without one.

    Source: the critic of Archon (arXiv 2409.15254).

    Example:
        - generate: {model: small, n: 4}
        - critique: {model: big}
        - fuse: {model: big}
    """

    needs_large: ClassVar[bool] = True

    by: Literal["list", "each"] = "list"
    """Whether one call sees all answers, or each answer has its own."""
    max_tokens: PositiveInt = 2048
    """The most tokens of one completion."""
    repair: bool = True
    """Whether an unreadable list of critiques is asked for once more."""
    prompt: str | None = None
    """Another prompt for `by: list`, with `{question}` and `{candidates}`."""
    each_prompt: str | None = None
    """Another prompt for `by: each`, with `{question}` and `{candidate}`."""

    @property
    def apart(self) -> bool:
        return self.by == "each"

    @property
    def annotates(self) -> bool:
        return True

    def shape(self, before: Shape) -> Shape:
        return before.adding(Facet.CRITIQUE, notes=self.max_tokens)

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        if self.by == "each":
            return (self.price("each", before.size, before, before.tokens + FENCE_TOKENS),)
        prices = self.price_with_repair("prompt", before.size.at_most(1), before, shown(before))
        return prices if self.repair else prices[:1]

    def depth(self, before: Shape) -> Interval:
        return before.size.at_most(1) * Interval(1, 2 if self.repair and self.by == "list" else 1)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        old = before.candidates
        if not old or self.by == "each":
            return await super().run(ctx, before)
        notes = await self._listed(ctx, old)
        made = [self._noted(ctx, c, note) for c, note in zip(old, notes, strict=True)]
        return before.with_candidates(self.gathered(ctx, made, before))

    def gathered(self, ctx: Context, made: list[Candidate], before: CandidateSet) -> list[Candidate]:
        if made and all(c.critique is None for c in made):
            ctx.note("degraded", fallback="the answers go on without critiques", reason="there is no critique of any")
        return made

    def _noted(self, ctx: Context, candidate: Candidate, note: str | Failed) -> Candidate:
        if isinstance(note, Failed):
            ctx.note("failed", what="critique", reason=note.reason)
        return replace(candidate, critique=None if isinstance(note, Failed) else note)

    async def _listed(self, ctx: Context, old: tuple[Candidate, ...]) -> list[str | Failed]:
        messages = self.messages(ctx, "prompt", candidates=fence([c.text for c in old]))
        schema = schema_of(Critiques, critiques={"minItems": len(old), "maxItems": len(old)})
        [reply] = await ask_reply(
            ctx.ask, self.model, messages, self.sampling, Critiques, prompt="prompt", schema=schema, repair=self.repair
        )
        if isinstance(reply, Failed):
            return [reply] * len(old)
        by_id = {c.id: str(c) for c in reversed(reply.critiques)}
        return [by_id.get(i) or _nothing(f"no critique of candidate {i}") for i in range(1, len(old) + 1)]

    async def each(self, ctx: Context, candidate: Candidate, tests: tuple[str, ...]) -> Candidate:
        messages = self.messages(ctx, "each", candidate=fence([candidate.text]))
        [drawn] = await ctx.ask(self.model, messages, self.sampling, prompt="each")
        text = drawn.text.strip() or _nothing("an empty critique") if isinstance(drawn, Completion) else drawn
        return self._noted(ctx, candidate, text)


def _nothing(reason: str) -> Failed:
    return Failed(FailureKind.UNPARSABLE, reason)
