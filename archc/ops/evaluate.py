"""evaluate: judge each answer against the tests, or run them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from archc.calls import Failed, Limits
from archc.ir.elementwise import Elementwise
from archc.ir.op import FENCE_TOKENS, Calls, Context, ModelName, ModelOp
from archc.ir.shape import Shape
from archc.ops._asserts import given_asserts
from archc.ops._matrix import REASON_TOKENS, agreement, matrix, passes, verdict_of
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
    """Check each answer against all tests, and keep the best or those that pass.

    `by: judge` asks a model, one call for each answer. A test that it leaves out, or calls both passed and failed, is
    not passed. An answer whose judgement fails scores 0.

    `by: execution` asks no model: the tests of `write_tests: {kind: code}` run in the sandbox, on the program that an
    answer gives. That is its last code block that defines the function asked for (the last `def NAME(` in the question,
    else what most tests call), or the whole text where it goes on after the question's code; where no function has that
    name, the last one stands in.

    An answer's score is the share of tests it passes; its verdict is positive if it passes all, and otherwise names
    what failed. `policy: agreement` groups programs that pass the same tests; the score is then that of the group, the
    square root of its size times the number of its tests, as a share of the most possible. Ties go to the answer that
    arrived first. If `all_pass` or `first_k` finds none that passes all, the best one goes on, marked in the trace.

    Source: the unit test evaluator of Archon (arXiv 2409.15254); `agreement` is the dual execution agreement of CodeT
    (arXiv 2207.10397).

    Example:
        - generate: {model: small, n: 4}
        - write_tests: {model: big}
        - evaluate: {model: big, policy: top_k, k: 1}
    """

    model: ModelName = ""
    """A name from `models`; needed for `by: judge`."""
    by: Literal["judge", "execution"] = "judge"
    """Who decides what passes: a model that reads, or Python that runs the tests."""
    policy: Literal["all_pass", "top_k", "first_k", "agreement"] = "top_k"
    """Keep all that pass every test, the `k` best, the first `k` that pass every test, judged in rounds of `k`, or (by
    execution) the `k` whose group agrees with most tests."""
    k: PositiveInt = 1
    """How many to keep, but with `all_pass`."""
    given: bool = False
    """Whether to run the tests in the question, too: its asserts, and its examples as in Python's documentation."""
    seconds: Annotated[float, Field(gt=0, le=60)] = 3.0
    """Wall-clock time that one test may take, by execution."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Sampling temperature of the judge."""
    repair: bool = True
    """Whether unreadable results are asked for once more."""
    prompt: str | None = None
    """Another prompt, with `{question}`, `{candidate}` and `{tests}`."""

    @model_validator(mode="after")
    def _each_way_has_its_own(self) -> Self:
        if self.by == "judge":
            if not self.model:
                raise ValueError("`by: judge` needs a `model`")
            if self.policy == "agreement" or self.given:
                raise ValueError(f"`{'given' if self.given else 'policy: agreement'}` is for `by: execution`")
        elif self.model:
            raise ValueError("`by: execution` asks no `model`; leave it out")
        return self

    @property
    def executes(self) -> bool:
        return self.by == "execution"

    @property
    def needs(self) -> Facets:
        if not self.executes:
            return facets(Facet.TESTS)
        return frozenset() if self.given else facets(Facet.ASSERTS)

    @property
    def reads(self) -> Facets:
        return facets(Facet.ASSERTS if self.executes else Facet.TESTS)

    @property
    def scores_are_shares(self) -> bool:
        return True

    def shape(self, before: Shape) -> Shape:
        size = before.size if self.policy == "all_pass" else before.size.at_most(self.k)
        if self.policy in ("all_pass", "first_k"):
            size = Interval(min(1, size.lo), size.hi)
        notes = REASON_TOKENS if self.executes else before.tests
        return before.adding(Facet.SCORE, Facet.VERDICT, notes=notes, size=size)

    def calls(self, before: Shape) -> tuple[Calls, ...]:
        if self.executes:
            return ()
        size = before.size
        judged = Interval(min(size.lo, self.k), size.hi) if self.policy == "first_k" else size
        prices = self.price_with_repair("prompt", judged, before, before.tokens + FENCE_TOKENS + before.tests)
        return prices if self.repair else prices[:1]

    def depth(self, before: Shape) -> Interval:
        if self.executes:
            return Interval(0, 0)
        rounds = before.size.at_most(1)
        if self.policy == "first_k":
            rounds = Interval(rounds.lo, -(-before.size.hi // self.k))
        return rounds * Interval(1, 2 if self.repair else 1)

    @property
    def apart(self) -> bool:
        return not self.executes

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

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        if not self.executes:
            return await super().run(ctx, before)
        tests = before.asserts
        if self.given:
            tests = tuple(dict.fromkeys((*given_asserts(ctx.question[-1].content), *tests)))
        old = before.candidates
        checked: list[Candidate] = []
        for start in range(0, len(old), step := self.window or max(1, len(old))):
            checked += await self._executed(ctx, old[start : start + step], tests)
            if self.window and self.settled(checked, len(old) - len(checked)):
                break
        return before.with_candidates(self._kept(ctx, checked))

    async def _executed(self, ctx: Context, some: Sequence[Candidate], tests: tuple[str, ...]) -> list[Candidate]:
        if not tests:
            ctx.note("degraded", fallback="all answers score 0", reason="there are no tests")
            return [replace(c, score=0.0, verdict=Verdict(False, "", 0, 0)) for c in some]
        rows = await matrix(ctx, some, tests, Limits(seconds=self.seconds))
        checked = [verdict_of(ctx, c, row) for c, row in zip(some, rows, strict=True)]
        if self.policy != "agreement":
            return checked
        passed = [passes(row) for row in rows]
        worth = agreement(passed)
        best = passed[worth.index(max(worth))] if worth else []
        groups = len({tuple(row) for row in passed})
        ctx.note("agreement", programs=passed.count(best), of=len(rows), tests=sum(best), groups=groups)
        return [replace(c, score=score) for c, score in zip(checked, worth, strict=True)]

    def gathered(self, ctx: Context, made: list[Candidate], before: CandidateSet) -> list[Candidate]:
        if not before.tests:
            ctx.note("degraded", fallback="all answers go on unjudged", reason="there are no tests")
            return list(before.candidates)
        return self._kept(ctx, made)

    def _kept(self, ctx: Context, made: list[Candidate]) -> list[Candidate]:
        best = sorted(made, key=lambda c: -(c.score or 0.0))
        if self.policy in ("top_k", "agreement"):
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
