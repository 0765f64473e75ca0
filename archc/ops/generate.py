"""generate: draw n answers to the question from one model."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt

from archc.calls import Capability, Completion, Failed, Sampling
from archc.ir.drawn import candidate_of, with_system
from archc.ir.op import Calls, Context, ModelOp
from archc.ir.shape import Shape
from archc.values import CandidateSet, Facet, Facets, Interval, facets


class Generate(ModelOp):
    """Draw `n` answers to the question, independently. Several in one layer make an ensemble.

    Source: repeated sampling, Brown et al. 2024 (arXiv 2407.21787); the generator of Archon (arXiv 2409.15254).

    Example:
        - generate: {model: small, n: 8}
    """

    reads_candidates: ClassVar[bool] = False

    n: PositiveInt = 1
    """How many."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus sampling."""
    stop: tuple[str, ...] = ()
    """Strings that end an answer; they are not part of it."""
    prompt: str | None = None
    """What to say instead of the bare question, with `{question}` and `{tests}`."""
    system: str | None = None
    """A system text for this step alone."""
    use_tests: bool = False
    """Whether the answer is told which tests it must pass."""
    logprobs: bool = False
    """Whether to keep the mean log-probability of each answer."""
    min_valid: PositiveInt = 1
    """With fewer answers than this the question fails."""
    batch: PositiveInt | None = None
    """Draw so many at a time, as long as more can change what a later `vote` or `first_k` comes to: fewer calls, but in
    rounds. All at once by default."""

    @property
    def needs(self) -> Facets:
        return facets(Facet.TESTS) if self.use_tests else frozenset()

    @property
    def min_candidates(self) -> int:
        return self.min_valid

    @property
    def samples(self) -> int:
        return self.n

    @property
    def at_a_time(self) -> int:
        return self.batch or 0

    @property
    def requires(self) -> frozenset[Capability]:
        return frozenset({"text", "logprobs"} if self.logprobs else {"text"})

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.max_tokens, self.top_p, self.stop)

    def shape(self, before: Shape) -> Shape:
        adds = (Facet.LOGPROB,) if self.logprobs else ()
        return before.fresh(Interval.exactly(self.n), self.max_tokens, *adds)

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        system = len((self.system or "").encode())
        tests = before.tests + len(self.text("tests").encode()) if self.use_tests else 0
        return (self.price("prompt", Interval.exactly(self.n), before, system + tests),)

    def depth(self, before: Shape) -> Interval:
        return Interval(1, -(-self.n // self.batch) if self.batch else 1)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        tests = self.text("tests").replace("{list}", "\n".join(f"- {t}" for t in before.tests))
        messages = self.messages(ctx, "prompt", tests=tests if self.use_tests and before.tests else "")
        if self.system is not None:
            messages = with_system(messages, self.system)
        drawn = await ctx.ask(self.model, messages, self.sampling, prompt="prompt", n=self.n, logprobs=self.logprobs)
        return before.with_candidates(
            (candidate_of(c) for c in drawn if isinstance(c, Completion)), (c for c in drawn if isinstance(c, Failed))
        )
