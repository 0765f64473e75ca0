"""think: draw n answers, each after a train of thought whose length is bounded from both sides."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field, NonNegativeInt, PositiveInt

from archc.calls import MESSAGE_TOKENS, Capability, Completion, Conversation, Failed, Finish, Message, Sampling
from archc.ir.drawn import candidate_of
from archc.ir.op import Calls, Context, ModelOp, together
from archc.ir.shape import Shape
from archc.values import Candidate, CandidateSet, Interval


class Think(ModelOp):
    """Draw `n` answers, each after at most `at_most` tokens of thought; `extend` times an early end is put off.

    The model goes on with a reply that archc has begun: with `begin`, then with its own thoughts up to `end`. Where
    they end with tokens left, `wait` is put behind them and it thinks on; where they do not end, they are cut. Then
    `end` and `cue` are put behind them, and it answers. With `at_most: 0` it reads that it has thought (`done`), and
    answers at once. Only the answer is kept. `begin` and `end` are those that the model was trained with; plain words
    do as well.

    Source: budget forcing of s1 (arXiv 2501.19393); `at_most: 0` as NoThinking (arXiv 2504.09858).

    Example:
        - think: {model: small, n: 4, at_most: 512, extend: 1}
        - extract: number
        - vote
    """

    reads_candidates: ClassVar[bool] = False

    n: PositiveInt = 1
    """How many."""
    at_most: NonNegativeInt = 2048
    """Tokens of one train of thought, at most."""
    extend: Annotated[int, Field(ge=0, le=64)] = 0
    """How often an end of the thoughts is put off, as long as tokens are left."""
    wait: str = "Wait"
    """What is put in the place of an end that is put off."""
    begin: str = "<think>\n"
    """What thoughts begin with."""
    end: Annotated[str, Field(pattern=r"\S")] = "\n</think>\n\n"
    """What they end with."""
    done: str = "Okay, I think I have finished thinking."
    """All the thoughts that there are with `at_most: 0`."""
    cue: str = ""
    """What the answer begins with, such as `Final Answer:`."""
    prompt: str | None = None
    """What to say instead of the bare question, with `{question}`."""
    min_valid: PositiveInt = 1
    """With fewer answers than this the question fails."""

    @property
    def requires(self) -> frozenset[Capability]:
        return frozenset({"text", "continuation"})

    @property
    def min_candidates(self) -> int:
        return self.min_valid

    def shape(self, before: Shape) -> Shape:
        return before.fresh(Interval.exactly(self.n), self.max_tokens + len(self.cue.encode()))

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        begun = len((self.begin + self.done + self.end + self.cue).encode()) + 2 * MESSAGE_TOKENS
        begun += self.at_most + self.extend * len(self.wait.encode())
        answers = self.price("prompt", Interval.exactly(self.n), before, begun)
        if not self.at_most:
            return (answers,)
        thoughts = replace(answers, completion=self.at_most)
        more = replace(thoughts, count=Interval(0, self.n * self.extend))
        return (thoughts, more, answers) if self.extend else (thoughts, answers)

    def depth(self, before: Shape) -> Interval:
        return Interval(2, 2 + self.extend) if self.at_most else Interval(1, 1)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        messages = self.messages(ctx, "prompt")
        thoughts: tuple[Completion | Failed, ...] = (Completion(self.done),) * self.n
        if self.at_most:
            thoughts = await ctx.ask(
                self.model, begun(messages, self.begin), self._thinking(self.at_most), prompt="think", n=self.n
            )
        answers = await together(self._answer(ctx, messages, i, first) for i, first in enumerate(thoughts))
        failed = [one for one in answers if isinstance(one, Failed)]
        return before.with_candidates((one for one in answers if isinstance(one, Candidate)), failed)

    async def _answer(
        self, ctx: Context, messages: Conversation, index: int, first: Completion | Failed
    ) -> Candidate | Failed:
        if isinstance(first, Failed):
            return first
        said = self.begin + await self._thought(ctx, messages, index, first) + self.end + self.cue
        [reply] = await ctx.ask(self.model, begun(messages, said), self.sampling, prompt="answer", first=index)
        if isinstance(reply, Failed):
            return reply
        return candidate_of(replace(reply, text=(self.cue + reply.text).strip()))

    async def _thought(self, ctx: Context, messages: Conversation, index: int, reply: Completion) -> str:
        """All thoughts of one answer, of which these are the first."""
        thought, left = reply.text, self.at_most - reply.usage.completion
        for _ in range(self.extend):
            if left <= 0 or reply.finish not in (Finish.STOP, Finish.EOS):
                break
            thought += self.wait
            [more] = await ctx.ask(
                self.model,
                begun(messages, self.begin + thought),
                self._thinking(left),
                prompt="think",
                first=index,
            )
            if isinstance(more, Failed):
                ctx.note("degraded", fallback="it thinks no longer", reason=more.reason)
                break
            thought, left, reply = thought + more.text, left - more.usage.completion, more
        return thought

    def _thinking(self, tokens: int) -> Sampling:
        return Sampling(self.temperature, tokens, stop=(self.end.strip(),))


def begun(messages: Conversation, said: str) -> Conversation:
    """The messages with a reply that is begun and to be gone on with."""
    return (*messages, Message("assistant", said))
