"""rank: order the answers by quality and keep the best."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from archc.calls import Failed
from archc.ir.op import Calls, Context, ModelName, ModelOp, shown
from archc.ir.shape import Shape
from archc.prompts.fence import fence
from archc.prompts.reply import Reply, ask_reply, schema_of
from archc.values import Candidate, CandidateSet, Facet, Facets, Interval, facets


class Ranking(Reply):
    """Candidate numbers, best first."""

    ranking: list[int]

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Reads `[3] > [1] > [2]`, alone on the first line."""
        match = _ORDER.match(text)
        return cls(ranking=[int(n) for n in re.findall(r"\d+", match[0])]) if match else None


_ORDER = re.compile(r"(?:Answer:\s*)?\[?\d{1,9}\]?(?:\s*>\s*\[?\d{1,9}\]?)*\s*(?=\n|\Z)")


class Rank(ModelOp):
    """Order the answers, best first, and keep `top_k`.

    `by: list` shows all to a judge at once, shuffled by seed so that its position bias averages out; `by: score` sorts
    by the scores they have and asks nobody. Answers that the judge leaves out follow in the order in which they
    arrived. If the judgement fails, the order stays as it was and the trace says so.

    Source: the ranker of Archon (arXiv 2409.15254); listwise ranking as RankGPT (arXiv 2304.09542).

    Example:
        - generate: {model: small, n: 8}
        - rank: {model: big, top_k: 3}
    """

    model: ModelName = ""
    """A name from `models`; needed for `by: list`."""
    by: Literal["list", "score"] = "list"
    """Who orders: a judge that sees the whole list, or existing scores."""
    top_k: PositiveInt | None = None
    """How many to keep; all by default."""
    use_critiques: bool = True
    """Whether the judge also sees the critiques, where there are any."""
    always: bool = False
    """Whether to ask the judge even about one answer, where there is nothing to choose (Archon does)."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Sampling temperature of the judge."""
    repair: bool = True
    """Whether an unreadable ranking is asked for once more."""
    prompt: str | None = None
    """Another prompt, with `{question}`, `{candidates}` and `{critiques}`."""

    @model_validator(mode="after")
    def _a_judge_needs_a_model(self) -> Self:
        if self.by == "list" and not self.model:
            raise ValueError("`by: list` needs a `model`")
        return self

    @property
    def needs(self) -> Facets:
        return facets(Facet.SCORE) if self.by == "score" else frozenset()

    @property
    def reads(self) -> Facets:
        return self.needs if self.by == "score" or not self.use_critiques else facets(Facet.CRITIQUE)

    @property
    def welcomes(self) -> dict[str, Facet]:
        return {"use_critiques": Facet.CRITIQUE} if self.use_critiques and self.by == "list" else {}

    @property
    def chooses(self) -> bool:
        return True

    @property
    def picks(self) -> bool:
        return True

    def shape(self, before: Shape) -> Shape:
        return before.adding(size=before.size.at_most(self.top_k) if self.top_k else before.size)

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        if self.by == "score":
            return ()
        holds = shown(before, self.use_critiques) + len(self.text("critiques").encode())
        prices = self.price_with_repair("prompt", self._rounds(before), before, holds)
        return prices if self.repair else prices[:1]

    def depth(self, before: Shape) -> Interval:
        if self.by == "score":
            return Interval(0, 0)
        return self._rounds(before) * Interval(1, 2 if self.repair else 1)

    def _rounds(self, before: Shape) -> Interval:
        """A list of one is not worth a call."""
        few = 0 if self.always else 1
        return Interval(int(before.size.lo > few), int(before.size.hi > few))

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        old = before.candidates
        if self.by == "score":
            order = sorted(range(len(old)), key=lambda i: -_score(old[i]))
        else:
            order = await self._judged(ctx, old)
        return before.with_candidates(old[i] for i in order[: self.top_k])

    async def _judged(self, ctx: Context, old: tuple[Candidate, ...]) -> list[int]:
        if len(old) < (1 if self.always else 2):
            return list(range(len(old)))
        place = ctx.order(len(old))
        shuffled = [old[i] for i in place]
        messages = self.messages(
            ctx, "prompt", candidates=fence([c.text for c in shuffled]), critiques=self._critiques(shuffled)
        )
        numbers = {"items": {"type": "integer", "minimum": 1, "maximum": len(old)}}
        schema = schema_of(Ranking, ranking=numbers | {"minItems": len(old), "maxItems": len(old)})
        [reply] = await ask_reply(
            ctx.ask, self.model, messages, self.sampling, Ranking, prompt="prompt", schema=schema, repair=self.repair
        )
        if isinstance(reply, Failed):
            ctx.note("degraded", fallback="kept the order in which the answers arrived", reason=reply.reason)
            return list(range(len(old)))
        named = [place[number - 1] for number in dict.fromkeys(reply.ranking) if 1 <= number <= len(old)]
        return named + [i for i in range(len(old)) if i not in named]

    def _critiques(self, old: list[Candidate]) -> str:
        if not self.use_critiques or not any(c.critique for c in old):
            return ""
        blocks = fence([c.critique or "(no critique)" for c in old], "critique")
        return self.text("critiques").replace("{list}", blocks)


def _score(candidate: Candidate) -> float:
    return candidate.score if candidate.score is not None else float("-inf")
