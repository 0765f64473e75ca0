"""write_tests: state what a good answer must fulfil."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import ClassVar, Self

from pydantic import PositiveInt

from archc.calls import Failed
from archc.ir.op import Calls, Context, ModelOp
from archc.ir.shape import Shape
from archc.prompts.fence import neutral
from archc.prompts.reply import Reply, ask_reply, schema_of
from archc.values import CandidateSet, Facet, Interval

TEST_TOKENS = 12
"""The most tokens that the number and the line end add to a test that is shown."""
GENERIC = "The answer addresses the question completely and correctly."
"""The test to fall back to."""


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
    """Write up to `n` statements that a correct and complete answer must fulfil, for a later `evaluate` or `generate`.

    The answers that arrive pass through unseen; the tests replace those that were there. If no test can be had, one
    generic test stands in, marked in the trace.

    Source: the unit test generator of Archon (arXiv 2409.15254).

    Example:
        - generate: {model: small, n: 4}
        - write_tests: {model: big, n: 5}
        - evaluate: {model: big}
    """

    reads_candidates: ClassVar[bool] = False

    n: PositiveInt = 5
    """How many tests, at most."""
    repair: bool = True
    """Whether an unreadable list of tests is asked for once more."""
    prompt: str | None = None
    """Another prompt, with `{question}` and `{n}`."""

    @property
    def annotates(self) -> bool:
        return True

    def shape(self, before: Shape) -> Shape:
        tests = max(self.max_tokens, len(GENERIC)) + self.n * TEST_TOKENS
        return replace(before.adding(Facet.TESTS), tests=tests)

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        prices = self.price_with_repair("prompt", Interval.exactly(1), before, len(str(self.n)))
        return prices if self.repair else prices[:1]

    def depth(self, before: Shape) -> Interval:
        return Interval(1, 2 if self.repair else 1)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
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


def _clean(tests: list[str]) -> list[str]:
    """Each test as one line, without empty and equal ones."""
    lines = (" ".join(neutral(test).split()) for test in tests)
    return list(dict.fromkeys(_unquoted(line) for line in lines if line))


def _unquoted(line: str) -> str:
    return line[1:-1] if len(line) > 2 and line[0] == line[-1] == '"' and '"' not in line[1:-1] else line
