"""shorten: rewrite each answer in one sentence."""

from archc.calls import Completion
from archc.ir.drawn import candidate_of
from archc.ir.op import FENCE_TOKENS, Calls, Context, ModelOp, together
from archc.ir.shape import Shape
from archc.prompts.fence import fence
from archc.values import Candidate, CandidateSet, Interval


class Shorten(ModelOp):
    """Rewrite each answer in one sentence; one whose call fails stays as it was.

    Example:
        - generate: {model: small, n: 2}
        - shorten: {model: small}
    """

    prompt: str | None = None
    """Another prompt, with `{question}` and `{candidate}`."""

    def shape(self, before: Shape) -> Shape:
        return before.fresh(before.size, max(before.tokens, self.max_tokens))

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        return (self.price("prompt", before.size, before, before.tokens + FENCE_TOKENS),)

    def depth(self, before: Shape) -> Interval:
        return Interval.exactly(1)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        return before.with_candidates(await together(self._shorten(ctx, c) for c in before.candidates))

    async def _shorten(self, ctx: Context, candidate: Candidate) -> Candidate:
        messages = self.messages(ctx, "prompt", candidate=fence([candidate.text]))
        [reply] = await ctx.ask(self.model, messages, self.sampling, prompt="prompt")
        return candidate_of(reply) if isinstance(reply, Completion) else candidate.bare()
