"""Session: a plan with its backends started, its journal open and its limits in force, ready for many questions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from archc import backends, errors
from archc.calls import Backend, Conversation, KeyFor, Message
from archc.diagnostics import Diagnostic, RunError, SpecError
from archc.ir.graph import Model
from archc.planning.plan import Plan
from archc.runtime.budget import Scope
from archc.runtime.governor import Governor, Query
from archc.runtime.journal import Journal
from archc.runtime.lane import Lane
from archc.runtime.run import Run, Status, Tally, tallies_of
from archc.runtime.schedule import Result, execute
from archc.runtime.trace import Listener, Trace
from archc.spec.model import Budget
from archc.values import Candidate


@dataclass(frozen=True)
class World:
    """All that a session takes from outside; tests hand in their own."""

    clock: Callable[[], float]
    """Seconds that never go back."""
    sleep: Callable[[float], Awaitable[None]]
    key_for: KeyFor
    backend: Callable[[Model, KeyFor], Backend]


def connect(model: Model, key_for: KeyFor) -> Backend:
    """The backend that a model's entry names."""
    return backends.backend_class(model.shared.backend)(model.shared.model, model.options, key_for)


class Session:
    """Use as `async with Session(plan, world, …) as session: run = await session.answer(question)`."""

    def __init__(
        self,
        plan: Plan,
        world: World,
        *,
        seed: int = 0,
        journal: Path | None = None,
        budget: Budget | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        """`budget` holds for the whole session, beside the spec's own, which holds for each question.

        Raises SpecError for a budget in USD if a model has no price.
        """
        self._models = [model for model in plan.graph.models if model.name in plan.graph.asked]
        if budget and budget.usd is not None and (unpriced := [m for m in self._models if m.shared.price is None]):
            raise SpecError(*(errors.UnknownPrice(span=m.span, model=m.name) for m in unpriced))
        self.plan = plan
        self.seed = seed
        self._world = world
        self._journal_path = journal
        self._run_scope = Scope("this run", budget, shared=True) if budget else None
        self._open = AsyncExitStack()
        self._listeners = tuple(listeners)
        self._governor: Governor
        self._began = 0.0

    async def __aenter__(self) -> Self:
        """Opens the journal and starts every backend that is asked, at once. Raises RunError."""
        try:
            await self._start()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes everything, whatever happened."""
        await self._open.aclose()

    async def _start(self) -> None:
        world = self._world
        journal = Journal(self._journal_path) if self._journal_path else None
        if journal:
            self._open.callback(journal.close)
        backends: dict[tuple[str, str, str], Backend] = {}
        lanes = {}
        for model in self._models:
            same = (model.shared.backend, model.shared.model, model.options.model_dump_json())
            if same not in backends:  # entries that name the same model share what serves it
                backends[same] = world.backend(model, world.key_for)
                self._open.push_async_callback(backends[same].close)
            jitter = random.Random(f"{self.seed}:{model.name}")
            lanes[model.name] = Lane(model, backends[same], world.clock, world.sleep, jitter)
        try:
            async with asyncio.TaskGroup() as tasks:
                for backend in backends.values():
                    tasks.create_task(backend.start())
        except BaseExceptionGroup as group:
            raise cause_of(group) from None
        self._governor = Governor(lanes, journal, world.clock)
        self._began = world.clock()
        if self._run_scope and self._run_scope.limit.seconds is not None:
            self._run_scope.deadline = self._began + self._run_scope.limit.seconds

    async def answer(self, question: str | Conversation, id: str = "0") -> Run:
        """Runs the plan on one question. Failures are in the Run; only bugs and cancellation raise."""
        conversation = (Message("user", question),) if isinstance(question, str) else question
        tally = Tally(id, tallies_of(self.plan.graph), self.plan.graph.owners)
        trace = Trace(self._world.clock, self._began, (tally, *self._listeners))
        started = self._world.clock()
        seconds = self.plan.graph.budget.seconds
        deadline = None if seconds is None else started + seconds
        own = Scope("one question", self.plan.graph.budget, deadline=deadline)
        scopes = (own, self._run_scope) if self._run_scope else (own,)
        query = Query(id, conversation, self.seed, scopes, trace)
        trace.emit("question", query=id, spec=self.plan.graph.name, seed=self.seed)
        result = await self._result(query)
        run = _run(query, result, tally, self._world.clock() - started)
        trace.emit("answer", query=id, status=run.status, answer=run.answer, seconds=round(run.seconds, 6))
        return run

    async def _result(self, query: Query) -> Result:
        try:
            return await execute(self.plan.graph.body, self._governor, query)
        except (RunError, BaseExceptionGroup) as error:
            cause = cause_of(error)
            if isinstance(cause, RunError):
                return cause.diagnostic
            raise cause from None


def _run(query: Query, result: Result, tally: Tally, seconds: float) -> Run:
    exhausted = next(iter(query.refusals), "")
    error = result if isinstance(result, Diagnostic) else None
    candidates = () if isinstance(result, Diagnostic) else result.candidates
    status: Status = "exhausted" if exhausted else "ok" if candidates else "failed"
    answer = _answer(candidates[0]) if candidates else None
    notes = tuple(tally.notes)
    abstained = bool(candidates) and candidates[0].abstained
    return Run(query.id, status, answer, candidates, tally.nodes, notes, seconds, error, exhausted, abstained)


def _answer(candidate: Candidate) -> str:
    return candidate.answer.text if candidate.answer else candidate.text


def cause_of(error: BaseException) -> BaseException:
    """What a task group's exception is about: a RunError in it, else its first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [cause_of(inner) for inner in error.exceptions]
    return next((c for c in causes if isinstance(c, RunError)), causes[0])
