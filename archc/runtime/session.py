"""Session: a plan with its backends started, its journal open and its limits in force, ready for many questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from types import TracebackType
from typing import Self

from archc.calls import NOTHING, Conversation, FailureKind, Message
from archc.diagnostics import Diagnostic, RunError
from archc.ir.graph import Graph
from archc.planning.plan import Plan
from archc.runtime.budget import Scope
from archc.runtime.engine import Engine, World, cause_of
from archc.runtime.governor import Governor, figures
from archc.runtime.lane import Lane
from archc.runtime.query import Query
from archc.runtime.records import Past
from archc.runtime.run import Run, Status, Tally, tallies_of
from archc.runtime.schedule import execute
from archc.runtime.thrift import Thrift, is_ample
from archc.runtime.trace import Listener, Trace
from archc.spec.model import Budget
from archc.values import Candidate


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
        engine: Engine | None = None,
    ) -> None:
        """`budget` holds for the whole run, beside the spec's own, which holds for each question.

        With a `name`, the run of that name goes on that was begun with the same journal and has not ended: what it
        has spent stays spent. In an open `engine` it shares that one's world, journal and budget with other sessions.
        Raises SpecError for a budget in USD if a model has no price.
        """
        self._models = [model for model in plan.graph.models if model.name in plan.graph.asked]
        self._engine = engine or Engine(world, seed=seed, journal=journal, budget=budget)
        self._is_alone = engine is None
        self._engine.refuse_unpriced(self._models)
        self.plan = plan
        self.seed = seed
        self._name = name
        self.past = Past("", (), 0)
        """The run's id in the journal, and what earlier starts of it left."""
        self._lanes: dict[str, Lane] = {}
        self._listeners = tuple(listeners)

    async def __aenter__(self) -> Self:
        """Opens the journal and starts, at once, every backend that is asked and the sandbox. Raises RunError."""
        if self._is_alone:
            await self._engine.__aenter__()
        try:
            await self._start()
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes everything that is its own, whatever happened."""
        if self._is_alone:
            await self._engine.__aexit__(kind, error, trace)

    async def _start(self) -> None:
        engine = self._engine
        self._lanes = await engine.lanes(self._models, any(node.op.executes for node in self.plan.graph.every))
        if engine.journal:
            recipe = {"plan": self.plan.recipe, "fingerprints": self.fingerprints}
            self.past = await engine.journal.begin(self._name, recipe, self.seed)
        spent = sum((spent for _, _, spent in self.past.spent), NOTHING)
        if self._is_alone:
            engine.spent_before(spent)
        models = {m.name: {"backend": m.shared.backend, "model": m.shared.model} for m in self._models}
        Trace(engine.world.clock, engine.began, self._listeners).emit(
            "session",
            time=round(engine.world.wall(), 6),
            run=self.run,
            spent=astuple(spent),
            spec=self.plan.graph.name,
            seed=self.seed,
            models=models,
            planned={**self.plan.cost.as_json(), "depth": astuple(self.plan.depth)},
        )

    @property
    def fingerprints(self) -> dict[str, str]:
        """What names each model exactly, once the session has begun."""
        return {name: lane.fingerprint for name, lane in self._lanes.items()}

    @property
    def run(self) -> str:
        """The run's id in the journal; empty without one."""
        return self.past.run

    @property
    def breach(self) -> Diagnostic | None:
        """Why nothing more is sent, if a server does not keep to what it is told."""
        return self._engine.governor.breach

    @property
    def stopped(self) -> bool:
        """Whether nothing more is sent."""
        return self._engine.governor.stopped

    def stop(self) -> None:
        """Sends nothing more: calls under way come to their end, and questions to what they have by then."""
        self._engine.governor.stop()

    async def end(self) -> None:
        """Says that nothing is left to do in this run, so that its name begins a new one."""
        if self._engine.journal:
            await self._engine.journal.end(self.run)

    async def answer(self, question: str | Conversation, id: str = "0") -> Run:
        """Runs the plan on one question. Failures are in the Run; only bugs and cancellation raise."""
        conversation = (Message("user", question),) if isinstance(question, str) else question
        engine, graph = self._engine, self.plan.graph
        clock, journal = engine.world.clock, engine.journal
        started = clock()
        tally = Tally(id, tallies_of(graph), graph.owners)
        trace = Trace(clock, engine.began, (tally, *self._listeners))
        deadline = None if graph.budget.seconds is None else started + graph.budget.seconds
        past = [(blocks, spent) for query, blocks, spent in self.past.spent if query == id]
        own = Scope("one question", graph.budget, sum((spent for _, spent in past), NOTHING), deadline=deadline)
        scopes = (own, *engine.scopes)
        query = Query(
            id,
            conversation,
            self.seed,
            scopes,
            trace,
            self._lanes,
            self.run,
            engine.number(),
            ample=is_ample(self.plan, scopes),
            thrift=Thrift(self.plan, scopes) or None,
            past=past,
        )
        if journal:
            journal.ask(self.run, id, json.dumps([[m.role, m.content] for m in conversation]))
        trace.emit("question", query=id, spec=graph.name, seed=self.seed)
        run = await answered(graph, engine.governor, query, tally)
        if journal and run.status != "stopped":
            journal.answer(self.run, id, run.digest)
        spent = {**figures(run.spent), "cached": run.cached}
        seconds = round(run.seconds, 6)
        trace.emit("answer", query=id, status=run.status, answer=run.answer, seconds=seconds, **spent)
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
