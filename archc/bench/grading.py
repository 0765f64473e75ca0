"""Grading: the one door to all graders, for what answers of a run come to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

from archc import errors
from archc.bench import programs, queries
from archc.bench.data import Item, at
from archc.bench.graders import WRONG, Grade, grade
from archc.bench.instructions import graded_instructions
from archc.bench.judging import Judging
from archc.bench.pools import ungraded
from archc.bench.reasoning import graded_reasoning
from archc.bench.reranking import graded_order
from archc.bench.task import Task
from archc.calls import Spend
from archc.diagnostics import RunError, SpecError
from archc.runtime.run import Run
from archc.sandbox.pool import Sandbox

_RUNNING: Final[Mapping[str, Callable[[Sandbox, Task, str, Item], Awaitable[Grade]]]] = {
    "function": programs.graded_function,
    "against": programs.graded_against,
    "asserts": programs.graded_asserts,
    "stdio": programs.graded_stdio,
    "sql": queries.graded_query,
    "sql_subset": queries.graded_lenient,
}
"""Graders that run what a model wrote."""


class Grading:
    """Grades answers to the items of one task; use it as `async with Grading(task) as grading`.

    What a grader needs beside the answer is begun with it, and ends with it.
    """

    def __init__(self, task: Task, judging: Judging | None = None) -> None:
        """Nothing is begun yet. Raises SpecError if the task needs a judge and there is none."""
        if task.grader == "preference" and judging is None:
            raise SpecError(errors.NoJudge(task=task.name))
        self.task = task
        self.judging = judging
        self._open = AsyncExitStack()
        self._box: Sandbox | None = None

    async def __aenter__(self) -> Self:
        """Raises RunError or SpecError if what the grader needs is not there: before anything is paid for."""
        if self.task.grader in _RUNNING:
            self._box = await self._open.enter_async_context(Sandbox())
        if self.judging:
            await self._open.enter_async_context(self.judging)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends what was begun."""
        await self._open.aclose()

    async def end(self) -> None:
        """Says that all is graded: what a judge has spent is done with."""
        if self.judging:
            await self.judging.end()

    async def grade(self, answer: str | None, item: Item, earlier: Sequence[str] = (), whose: str = "") -> Grade:
        """How right an answer is, and those to the turns before it; None is wrong. A judge is told `whose` it is.

        Raises SpecError if a package is missing, RunError if it can't be said.
        """
        if answer is None:
            return WRONG
        if running := _RUNNING.get(self.task.grader):
            assert self._box, "grading has begun"
            return await running(self._box, self.task, answer, item)
        if self.judging:
            return await self.judging.grade([*earlier, answer], item, whose)
        if self.task.grader == "ranking":
            return graded_order(answer, at(item.record, self.task.keys.passages), at(item.record, self.task.keys.gains))
        if self.task.grader == "reasoning":
            return graded_reasoning(answer, item.golds, item.record)
        if self.task.grader == "instructions":
            return graded_instructions(answer, item.record)
        return grade(self.task.grader, answer, item.golds, item.choices)

    async def record(self, run: Run, item: Item, spent: Spend, whose: str = "") -> dict[str, Any]:
        """The line of one answer. What could not be graded has the status `ungraded` and is wrong.

        `whose` tells apart who answer the same item.
        """
        answer = None if run.answer is None or run.abstained else self.task.found(run.answer)
        unasked = run.status == "exhausted" and not spent.calls
        status: str = "unasked" if unasked else run.status
        error = run.error.headline if run.error else run.exhausted or None
        pool: list[dict[str, Any]] = []
        try:
            graded = await self.grade(answer, item, [before.answer or "" for before in run.earlier], whose)
            if not self.judging:  # which would be paid for every candidate
                pool = await self._pool(run, item, {answer: graded.correct})
        except RunError as failure:
            graded, status, error = WRONG, "ungraded", failure.diagnostic.headline
        return {
            "id": run.id,
            "status": status,
            "answer": answer,
            "gold": list(item.golds),
            "correct": graded.correct,
            "score": graded.score,
            **({"parts": dict(graded.parts)} if graded.parts else {}),
            **({"why": graded.why} if graded.why else {}),
            "abstained": run.abstained,
            "calls": spent.calls,
            "cached": run.cached + sum(before.cached for before in run.earlier),
            "prompt_tokens": spent.prompt,
            "completion_tokens": spent.completion,
            "tokens": spent.tokens,
            "usd": spent.usd,
            "seconds": round(run.seconds, 6),
            "error": error,
            "text": run.text,
            **({"troubles": troubles} if (troubles := _troubles(run)) else {}),
            **({"pool": pool} if pool else {}),
            **({"judge": self.judging.spent_on(item, whose)} if self.judging else {}),
            **({"turns": [one.text for one in (*run.earlier, run)]} if run.earlier else {}),
        }

    async def _pool(self, run: Run, item: Item, known: dict[str | None, bool]) -> list[dict[str, Any]]:
        """The candidates, graded, where there are several or something is known of them; equal ones at once."""
        entries = list(ungraded(run.candidates, self.task))
        for text in dict.fromkeys(text for text, _ in entries if text not in known):
            known[text] = (await self.grade(text, item)).correct
        return [{**entry, "correct": known[text]} for text, entry in entries]


def _troubles(run: Run) -> dict[str, str]:
    """What went wrong on the way to an answer without ending it, by the node: each once, with a reason."""
    found: dict[str, str] = {}
    for event in (event for one in (*run.earlier, run) for event in one.notes if event["event"] == "note"):
        if event["note"] in ("failed", "degraded"):
            what = (
                event.get("fallback") or f"{event.get('what', 'something')} failed"
            )  # ops of other packages note, too
            found.setdefault(f"{event['node']}: {what}", event.get("reason", ""))
    return found
