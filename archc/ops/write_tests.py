"""write_tests: state what a good answer must fulfil, or write code that tries it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import ClassVar, Literal, Self

from pydantic import PositiveInt

from archc.calls import Failed
from archc.ir.op import Calls, Context, ModelOp
from archc.ir.shape import Shape
from archc.ops._asserts import written_asserts
from archc.ops._programs import LONGEST_NAME, asked_for
from archc.prompts.fence import neutral
from archc.prompts.reply import Reply, ask_reply, schema_of
from archc.values import CandidateSet, Facet, Interval

TEST_TOKENS = 12
"""The most tokens that the number and the line end add to a test that is shown."""
GENERIC = "The answer addresses the question completely and correctly."
"""The test to fall back to."""
UNNAMED = "the function that the question asks for"
"""What `{entry}` is where the question has no `def NAME(`."""


class Assertions(Reply):
    """Statements about a good answer."""

    tests: list[str]

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Reads a JSON list of texts, or bulleted or numbered lines after at most one line that ends in `:`."""
        try:
            listed = json.loads(text)
        except (ValueError, RecursionError):
            return cls._from_lines([line.strip() for line in text.splitlines() if line.strip()])
        texts = isinstance(listed, list) and all(isinstance(one, str) for one in listed)
        return cls(tests=listed) if texts and listed else None

    @classmethod
    def _from_lines(cls, lines: list[str]) -> Self | None:
        found = [_LINE.match(line) for line in lines]
        if found and not found[0] and lines[0].endswith(":"):
            del found[0]
        tests = [match[1] for match in found if match]
        return cls(tests=tests) if tests and len(tests) == len(found) else None


_LINE = re.compile(r"(?:[-*•]|\[?\d{1,3}[\].):]+)\s+(\S.*)")


class WriteTests(ModelOp):
    """Write up to `n` tests that a correct and complete answer must pass, for a later `evaluate` or `generate`.

    `kind: statements` are sentences that a judge can check. If none can be had, one generic test stands in, marked in
    the trace. `kind: code` are Python asserts for `evaluate: {by: execution}`, each a test of its own: those in the
    reply that are Python and call the function asked for, which is the last `def NAME(` in the question; without one,
    those that call any function. If none can be had, there are none.

    The answers that arrive pass through unseen; the tests replace those of the same kind that were there.

    Source: the unit test generator of Archon (arXiv 2409.15254); `kind: code` as in CodeT (arXiv 2207.10397).

    Example:
        - generate: {model: small, n: 4}
        - write_tests: {model: big, n: 5}
        - evaluate: {model: big}
    """

    reads_candidates: ClassVar[bool] = False

    kind: Literal["statements", "code"] = "statements"
    """Sentences for a judge, or Python to run."""
    n: PositiveInt = 5
    """How many tests, at most."""
    repair: bool = True
    """Whether an unreadable list of statements is asked for once more."""
    prompt: str | None = None
    """Another prompt for statements, with `{question}` and `{n}`."""
    code_prompt: str | None = None
    """Another prompt for code, with `{question}`, `{n}` and `{entry}` (how the function is called)."""

    @property
    def annotates(self) -> bool:
        return True

    def shape(self, before: Shape) -> Shape:
        if self.kind == "code":
            return before.adding(Facet.ASSERTS)
        tests = max(self.max_tokens, len(GENERIC)) + self.n * TEST_TOKENS
        return replace(before.adding(Facet.TESTS), tests=tests)

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        once = Interval.exactly(1)
        if self.kind == "code":
            return (self.price("code", once, before, len(str(self.n)) + LONGEST_NAME),)
        prices = self.price_with_repair("prompt", once, before, len(str(self.n)))
        return prices if self.repair else prices[:1]

    def depth(self, before: Shape) -> Interval:
        return Interval(1, 2 if self.repair and self.kind == "statements" else 1)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        if self.kind == "code":
            return replace(before, asserts=await self._asserts(ctx))
        messages = self.messages(ctx, "prompt", n=str(self.n))
        schema = schema_of(Assertions, tests={"minItems": 1, "maxItems": self.n})
        [reply] = await ask_reply(
            ctx.ask, self.model, messages, self.sampling, Assertions, prompt="prompt", schema=schema, repair=self.repair
        )
        tests = [] if isinstance(reply, Failed) else _clean(reply.tests)[: self.n]
        if not tests:
            reason = reply.reason if isinstance(reply, Failed) else "no test in the reply"
            ctx.note("degraded", fallback="one generic test", reason=reason)
        return replace(before, tests=tuple(tests) or (GENERIC,))

    async def _asserts(self, ctx: Context) -> tuple[str, ...]:
        entry = asked_for(ctx.question[-1].content)
        messages = self.messages(ctx, "code", n=str(self.n), entry=f"`{entry}`" if entry else UNNAMED)
        [reply] = await ctx.ask(self.model, messages, self.sampling, prompt="code")
        found = [] if isinstance(reply, Failed) else written_asserts(reply.text, entry)[: self.n]
        if not found:
            reason = reply.reason if isinstance(reply, Failed) else "no assert in the reply calls the function"
            ctx.note("degraded", fallback="no tests", reason=reason)
        return tuple(found)


def _clean(tests: list[str]) -> list[str]:
    """Each test as one line, without empty and equal ones."""
    lines = (" ".join(neutral(test).split()) for test in tests)
    return list(dict.fromkeys(_unquoted(line) for line in lines if line))


def _unquoted(line: str) -> str:
    return line[1:-1] if len(line) > 2 and line[0] == line[-1] == '"' and '"' not in line[1:-1] else line
