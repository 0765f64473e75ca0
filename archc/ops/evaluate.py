"""evaluate: judge each answer against the tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt

from archc.calls import Failed
from archc.ir.elementwise import Elementwise
from archc.ir.op import FENCE_TOKENS, Calls, Context, ModelOp
from archc.ir.shape import Shape
from archc.prompts.fence import fence
from archc.prompts.reply import Reply, ask_reply, schema_of
from archc.values import Candidate, CandidateSet, Facet, Facets, Interval, Verdict, facets


class Result(Reply):
    """Whether one test passed."""

    test: int
    passed: bool


class Results(Reply):
    """One result per test."""

    results: list[Result]

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Reads lines like `Unit Test #1: [Passed]` or `Test 2: failed`, and nothing else beside them.

        Before a verdict in brackets a line may say why.
        """
        found = [_LINE.fullmatch(line.strip()) for line in text.splitlines() if line.strip()]
        lines = [match for match in found if match]
        if not lines or len(lines) < len(found):
            return None
        words = [(int(m[1]), word.lower()) for m in lines for word in (*_TAG.findall(m[2] or ""), m[3] or m[4])]
        return cls(results=[Result(test=test, passed=word == "passed") for test, word in words])

    def of(self, count: int) -> list[bool]:
        """By test: said to have passed, and never said to have failed."""
        said = [{r.passed for r in self.results if r.test == test} for test in range(1, count + 1)]
        return [verdicts == {True} for verdicts in said]


_LINE = re.compile(
    r"[-* ]*(?:Unit )?Test #?(\d{1,4})\**:\**\s*(?:(.*?)\[(passed|failed)\]|\**(passed|failed))[.*]*", re.IGNORECASE
)
_TAG = re.compile(r"\[(passed|failed)\]", re.IGNORECASE)


class Evaluate(ModelOp, Elementwise):
    """Judge each answer against all tests, one call each, and keep the best or those that pass.

    An answer's score is the share of tests it passes; its verdict is positive if it passes all. A test that the judge
    leaves out, or calls both passed and failed, is not passed. An answer whose judgement fails scores 0. Ties go to the
    answer that arrived first. If `all_pass` or `first_k` finds none that passes all, the best one goes on, marked in
    the trace.

    Source: the unit test evaluator of Archon (arXiv 2409.15254).

    Example:
        - generate: {model: small, n: 4}
        - write_tests: {model: big}
        - evaluate: {model: big, policy: top_k, k: 1}
    """

    policy: Literal["all_pass", "top_k", "first_k"] = "top_k"
    """Keep all that pass every test, the `k` best, or the first `k` that pass every test, judged in rounds of `k`."""
    k: PositiveInt = 1
    """How many to keep with `top_k` and `first_k`."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Sampling temperature of the judge."""
    repair: bool = True
    """Whether unreadable results are asked for once more."""
    prompt: str | None = None
    """Another prompt, with `{question}`, `{candidate}` and `{tests}`."""

    @property
    def needs(self) -> Facets:
        return facets(Facet.TESTS)

    @property
    def scores_are_shares(self) -> bool:
        return True

    def shape(self, before: Shape) -> Shape:
        size = before.size if self.policy == "all_pass" else before.size.at_most(self.k)
        if self.policy != "top_k":
            size = Interval(min(1, size.lo), size.hi)
        return before.adding(Facet.SCORE, Facet.VERDICT, notes=before.tests, size=size)

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        size = before.size
        judged = Interval(min(size.lo, self.k), size.hi) if self.policy == "first_k" else size
        prices = self.price_with_repair("prompt", judged, before, before.tokens + FENCE_TOKENS + before.tests)
        return prices if self.repair else prices[:1]

    def depth(self, before: Shape) -> Interval:
        rounds = before.size.at_most(1)
        if self.policy == "first_k":
            rounds = Interval(rounds.lo, -(-before.size.hi // self.k))
        return rounds * Interval(1, 2 if self.repair else 1)

    @property
    def keeps_all(self) -> bool:
        return False

    @property
    def window(self) -> int:
        return self.k if self.policy == "first_k" else 0

    def settles(self, most: int, bounded: bool) -> int | None:
        return self.window or None

    def settled(self, seen: Sequence[Candidate], left: int) -> bool:
        return not left or (self.policy == "first_k" and sum(_passed(c) for c in seen) >= self.k)

    def gathered(self, ctx: Context, made: list[Candidate], before: CandidateSet) -> list[Candidate]:
        if not before.tests:
            ctx.note("degraded", fallback="all answers go on unjudged", reason="there are no tests")
            return list(before.candidates)
        best = sorted(made, key=lambda c: -(c.score or 0.0))
        if self.policy == "top_k":
            return best[: self.k]
        passed = [c for c in made if _passed(c)]
        if not passed and made:
            ctx.note("degraded", fallback="no answer passed all tests; the best one goes on", reason=_share(best[0]))
        return (passed or best[:1])[: self.k if self.policy == "first_k" else None]

    async def each(self, ctx: Context, candidate: Candidate, tests: tuple[str, ...]) -> Candidate:
        if not tests:
            return candidate
        listed = "\n".join(f"{i}. {test}" for i, test in enumerate(tests, 1))
        messages = self.messages(ctx, "prompt", candidate=fence([candidate.text]), tests=listed)
        schema = schema_of(Results, results={"minItems": len(tests), "maxItems": len(tests)})
        [reply] = await ask_reply(
            ctx.ask, self.model, messages, self.sampling, Results, prompt="prompt", schema=schema, repair=self.repair
        )
        if isinstance(reply, Failed):
            ctx.note("failed", what="evaluation", reason=reply.reason)
            return replace(candidate, score=0.0, verdict=Verdict(False, "", 0, 0))
        passed = reply.of(len(tests))
        reason = "\n".join(f"- {test}" for test, ok in zip(tests, passed, strict=True) if not ok)
        verdict = Verdict(not reason, reason, int(not reason), 1)
        return replace(candidate, score=sum(passed) / len(tests), verdict=verdict)


def _passed(candidate: Candidate) -> bool:
    return candidate.verdict is not None and candidate.verdict.passed


def _share(candidate: Candidate) -> str:
    return f"it passed {candidate.score or 0.0:.0%} of the tests"
