"""Session: a plan with its backends started, its journal open and its limits in force, ready for many questions."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from archc import backends, errors
from archc.calls import NOTHING, Backend, Conversation, FailureKind, KeyFor, Message
from archc.diagnostics import Diagnostic, RunError, SpecError
from archc.ir.graph import Graph, Model
from archc.planning.plan import Plan
from archc.runtime.budget import Scope
from archc.runtime.governor import Governor
from archc.runtime.journal import Journal
from archc.runtime.lane import Lane
from archc.runtime.query import Query
from archc.runtime.records import Past
from archc.runtime.run import Run, Status, Tally, tallies_of
from archc.runtime.schedule import execute
from archc.runtime.thrift import Thrift, is_ample
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
    wall: Callable[[], float] = lambda: 0.0
    """Seconds since 1970, for those who read a trace; nothing is decided by it."""


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
        name: str = "",
    ) -> None:
        """`budget` holds for the whole run, beside the spec's own, which holds for each question.

        With a `name`, the run of that name goes on that was begun with the same journal and has not ended: what it
        has spent stays spent. Raises SpecError for a budget in USD if a model has no price.
        """
        self._models = [model for model in plan.graph.models if model.name in plan.graph.asked]
        if budget and budget.usd is not None and (unpriced := [m for m in self._models if m.shared.price is None]):
            raise SpecError(*(errors.UnknownPrice(span=m.span, model=m.name) for m in unpriced))
        self.plan = plan
        self.seed = seed
        self._world = world
        self._journal_path = journal
        self._journal: Journal | None = None
        self._name = name
        self.past = Past("", (), 0)
        """The run's id in the journal, and what earlier starts of it left."""
        self.fingerprints: dict[str, str] = {}
        """What names each model exactly, once the session has begun."""
        self._run_scope = Scope("this run", budget, shared=True) if budget else None
        self._open = AsyncExitStack()
        self._listeners = tuple(listeners)
        self._governor: Governor
        self._began = 0.0
        self._numbers = itertools.count()

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
        journal = self._journal = Journal(self._journal_path) if self._journal_path else None
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
        self.fingerprints = {name: lane.fingerprint for name, lane in lanes.items()}
        if journal:
            recipe = {"plan": self.plan.recipe, "fingerprints": self.fingerprints}
            self.past = await journal.begin(self._name, recipe, self.seed)
        self._governor = Governor(lanes, journal, world.clock, world.sleep, self.past.run)
        self._began = world.clock()
        if self._run_scope:
            self._run_scope.spent = sum((spent for _, _, spent in self.past.spent), NOTHING)
            if self._run_scope.limit.seconds is not None:
                self._run_scope.deadline = self._began + self._run_scope.limit.seconds
        models = {m.name: {"backend": m.shared.backend, "model": m.shared.model} for m in self._models}
        Trace(world.clock, self._began, self._listeners).emit(
            "session",
            time=round(world.wall(), 6),
            run=self.run,
            spent=astuple(sum((spent for _, _, spent in self.past.spent), NOTHING)),
            spec=self.plan.graph.name,
            seed=self.seed,
            models=models,
        )

    @property
    def run(self) -> str:
        """The run's id in the journal; empty without one."""
        return self.past.run

    @property
    def breach(self) -> Diagnostic | None:
        """Why nothing more is sent, if a server does not keep to what it is told."""
        return self._governor.breach

    @property
    def stopped(self) -> bool:
        """Whether nothing more is sent."""
        return self._governor.stopped

    def stop(self) -> None:
        """Sends nothing more: calls under way come to their end, and questions to what they have by then."""
        self._governor.stop()

    async def end(self) -> None:
        """Says that nothing is left to do in this run, so that its name begins a new one."""
        if self._journal:
            await self._journal.end(self.run)

    async def answer(self, question: str | Conversation, id: str = "0") -> Run:
        """Runs the plan on one question. Failures are in the Run; only bugs and cancellation raise."""
        conversation = (Message("user", question),) if isinstance(question, str) else question
        graph, started = self.plan.graph, self._world.clock()
        tally = Tally(id, tallies_of(graph), graph.owners)
        trace = Trace(self._world.clock, self._began, (tally, *self._listeners))
        deadline = None if graph.budget.seconds is None else started + graph.budget.seconds
        past = [(blocks, spent) for query, blocks, spent in self.past.spent if query == id]
        own = Scope("one question", graph.budget, sum((spent for _, spent in past), NOTHING), deadline=deadline)
        scopes = (own, self._run_scope) if self._run_scope else (own,)
        query = Query(
            id,
            conversation,
            self.seed,
            scopes,
            trace,
            next(self._numbers),
            ample=is_ample(self.plan, scopes),
            thrift=Thrift(self.plan, scopes) or None,
            past=past,
        )
        if self._journal:
            self._journal.ask(self.run, id, json.dumps([[m.role, m.content] for m in conversation]))
        trace.emit("question", query=id, spec=graph.name, seed=self.seed)
        run = await answered(graph, self._governor, query, tally)
        if self._journal and run.status != "stopped":
            self._journal.answer(self.run, id, run.digest)
        trace.emit("answer", query=id, status=run.status, answer=run.answer, seconds=round(run.seconds, 6))
        return run


async def answered(graph: Graph, governor: Governor, query: Query, tally: Tally) -> Run:
    """What a graph comes to for one question; `tally` listens to the query's trace. Failures are in the Run."""
    started = governor.clock()
    try:
        result = await execute(graph.body, governor, query)
    except (RunError, BaseExceptionGroup) as group:
        cause = cause_of(group)
        if not isinstance(cause, RunError):
            raise cause from None
        result = cause.diagnostic
    error = result if isinstance(result, Diagnostic) else None
    candidates = () if isinstance(result, Diagnostic) else result.candidates
    reasons = [refused.reason for refused in query.refusals if refused.kind is FailureKind.BUDGET]
    stopped = len(reasons) < len(query.refusals)
    status: Status = "stopped" if stopped else "exhausted" if reasons else "ok" if candidates else "failed"
    return Run(
        query.id,
        status,
        _answer(candidates[0]) if candidates else None,
        candidates,
        tally.nodes,
        tuple(tally.notes),
        governor.clock() - started,
        error,
        exhausted=next(iter(reasons), ""),
        abstained=bool(candidates) and candidates[0].abstained,
    )


def _answer(candidate: Candidate) -> str:
    return candidate.answer.text if candidate.answer else candidate.text


def cause_of(error: BaseException) -> BaseException:
    """What a task group's exception is about: a RunError in it, else its first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [cause_of(inner) for inner in error.exceptions]
    return next((c for c in causes if isinstance(c, RunError)), causes[0])
