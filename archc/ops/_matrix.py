"""Matrix: which answers' programs pass which tests, run in the sandbox, and what follows from it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from archc.calls import Failed, Limits, Outcome
from archc.ir.op import Context, together
from archc.ops._asserts import most_called
from archc.ops._programs import asked_for, program
from archc.values import Candidate, Verdict

Row = tuple[Outcome | Failed, ...]
"""What came of each test of one program."""

REASON_BYTES = 600
"""The most that is kept of what a failing test said, in UTF-8."""
_FAILED = "This test failed when it was run on the answer's program:\n"
REASON_TOKENS = REASON_BYTES + len(_FAILED)
_NO_PROGRAM = Outcome("error", "there is no Python function in the answer")


async def matrix(ctx: Context, candidates: Sequence[Candidate], asserts: Sequence[str], limits: Limits) -> list[Row]:
    """A row for each candidate, a column for each test; all are run at once, as far as there are workers."""
    question = ctx.question[-1].content
    entry = asked_for(question) or most_called(asserts)
    programs = {text: program(text, question, entry) for text in {c.text for c in candidates}}
    return await together(_row(ctx, programs[c.text], asserts, limits) for c in candidates)


async def _row(ctx: Context, code: str | None, asserts: Sequence[str], limits: Limits) -> Row:
    """Loads the program first, so that one that hangs does so once and not in every test."""
    if code is None:
        return (_NO_PROGRAM,) * len(asserts)
    [loaded] = await ctx.execute(code, [""], limits)
    if isinstance(loaded, Outcome) and loaded.passed:
        return await ctx.execute(code, asserts, limits)
    return (loaded,) * len(asserts)


def passes(row: Row) -> list[bool]:
    """Whether each test is known to have passed."""
    return [isinstance(one, Outcome) and one.passed for one in row]


def verdict_of(ctx: Context, candidate: Candidate, row: Row) -> Candidate:
    """With the share of passed tests as its score, and a verdict that says what went wrong first."""
    refused = next((one for one in row if isinstance(one, Failed)), None)
    if refused:
        ctx.note("failed", what="test", reason=refused.reason)
        return replace(candidate, score=0.0, verdict=Verdict(False, "", 0, 0))
    wrong = next((one for one in row if isinstance(one, Outcome) and not one.passed), None)
    reason = f"{_FAILED}{cut(wrong.message) or wrong.status}" if wrong else ""
    verdict = Verdict(wrong is None, reason, int(wrong is None), 1)
    return replace(candidate, score=sum(passes(row)) / max(1, len(row)), verdict=verdict)


def cut(message: str) -> str:
    """As much of what a test said as is kept."""
    return message.encode(errors="replace")[:REASON_BYTES].decode(errors="ignore")


def agreement(rows: Sequence[Sequence[bool]]) -> list[float]:
    """For each program how much those that pass the same tests, and these tests, speak for each other; from 0 to 1.

    Programs that pass exactly the same tests are a group, worth the square root of its size times the number of tests
    that it passes. The root keeps many equal wrong programs from outvoting few right ones.
    """
    groups = Counter(tuple(row) for row in rows)
    most = math.sqrt(len(rows)) * max((len(row) for row in rows), default=0)
    return [math.sqrt(groups[tuple(row)]) * sum(row) / (most or 1.0) for row in rows]
