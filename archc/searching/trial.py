"""Trial: one point of the space, measured on more and more items."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from archc import api
from archc.bench.data import Item, questions
from archc.bench.folder import Costs, lines
from archc.bench.grading import Grading
from archc.bench.summary import Record
from archc.calls import NOTHING, Spend
from archc.diagnostics import RunError
from archc.planning.plan import Plan
from archc.runtime.batch import Output, answered, run_key
from archc.runtime.engine import Engine, cause_of
from archc.runtime.session import Session
from archc.searching.objective import Aim, figures, of_item, static_figures
from archc.spec.space.points import Point

Status = Literal["running", "complete", "beaten", "halved", "infeasible", "unfinished"]
"""`beaten`: it loses against the best one; `halved`: others did better on as many items; `unfinished`: the budget ended
or somebody stopped the search."""


@dataclass
class Trial:
    """A point, and what is known of it."""

    number: int
    point: Point
    plan: Plan
    seed: int
    status: Status = "running"
    reason: str = ""
    """Why it was stopped."""
    records: list[Record] = field(default_factory=list)
    """Of the first items of the search, in their order."""
    purpose: str = "search"
    """What it is measured for, which its run's name in the journal says."""
    _known: dict[int, dict[str, float]] = field(default_factory=dict, repr=False)

    @cached_property
    def key(self) -> str:
        """Names what it does, with which samples."""
        return run_key(self.plan, self.seed)

    @cached_property
    def meaning(self) -> str:
        """Names what it does: points that mean the same share it."""
        return run_key(self.plan, 0)

    @property
    def run(self) -> str:
        """The id of its last run in the journal."""
        return str(self.records[-1]["run_id"]) if self.records else ""

    @property
    def items(self) -> int:
        """On how many items it was measured."""
        return len(self.records)

    @property
    def judged(self) -> Spend:
        """What a judge of its answers cost, prompts and completions together."""
        verdicts = (record["judge"] for record in self.records if "judge" in record)
        return sum((Spend(v["calls"], v["tokens"], 0, v["usd"]) for v in verdicts), NOTHING)

    @property
    def cost(self) -> Spend:
        """What its answers cost when they were bought, by whatever trial."""
        return sum(
            (Spend(r["calls"], r["prompt_tokens"], r["completion_tokens"], r["usd"]) for r in self.records), NOTHING
        )

    def figures(self, items: int = 0) -> dict[str, float]:
        """On its first so many items, or all it has; it must have one at least."""
        items = items or self.items
        if items not in self._known:
            records = self.records[:items]
            timed = [record["seconds"] for record in records if not record["cached"]]
            self._known[items] = figures(self.plan, records, timed)
        return self._known[items]

    def by_item(self, aim: Aim, items: int) -> list[tuple[float, ...]]:
        """The aim's values on each of the first items."""
        static = static_figures(self.plan)
        return [aim.values(of_item(record) | static) for record in self.records[:items]]

    def as_json(self, aim: Aim) -> dict[str, Any]:
        """A JSON-ready form."""
        measured = self.figures() if self.records else {}
        return {
            "number": self.number,
            "status": self.status,
            **({"reason": self.reason} if self.reason else {}),
            "point": dict(self.point),
            "items": self.items,
            "values": [goal.sign * v for goal, v in zip(aim.goals, aim.values(measured), strict=True)]
            if measured
            else [],
            "violations": list(aim.violations(measured)) if measured else [],
            "figures": {name: round(value, 6) for name, value in measured.items()},
            "cost": {"calls": self.cost.calls, "tokens": self.cost.tokens, "usd": self.cost.usd},
            "run_id": self.run,
        }


class Course:
    """Measures trials on the items of a search, side by side, in one engine.

    Each trial is a run of its own in the journal, so that it can be told again. Its graded answers are written down as
    they come; what an earlier start of the search wrote is not asked again.
    """

    def __init__(
        self, engine: Engine, grading: Grading, items: Sequence[Item], output: Output, name: str, parallel: int
    ) -> None:
        """`name` is what the names of its runs begin with; `parallel` is how many items are at work at once."""
        self._engine = engine
        self._grading = grading
        self._items = list(zip(items, questions(items, grading.task.system), strict=True))
        self._output = output
        self._name = name
        self._room = asyncio.Semaphore(parallel)
        self._sessions: dict[str, tuple[Session, Costs]] = {}
        self._open = AsyncExitStack()
        self._written = {str(record["id"]): record for record in lines(output.path) if record["status"] != "ungraded"}

    async def __aenter__(self) -> Course:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()

    async def measure(self, trial: Trial, upto: int) -> bool:
        """Measures it on the items up to this number; whether all of them were answered. Raises RunError."""
        missing = range(trial.items, upto)
        if any(self._id(trial, place) not in self._written for place in missing):
            await self._begin(trial)
        try:
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(self._record(trial, place)) for place in missing]
        except BaseExceptionGroup as group:
            raise cause_of(group) from None
        for task in asked:
            if (record := task.result()) is None:
                return False
            trial.records.append(record)
        return True

    async def _record(self, trial: Trial, place: int) -> Record | None:
        """What one item came to; None where it could not be asked to the end."""
        item, question = self._items[place]
        id = self._id(trial, place)
        if known := self._written.get(id):
            return known
        session, costs = self._sessions[trial.key]
        async with self._room:
            if session.stopped:
                return None
            run = await answered(session, question)
            if session.breach:
                raise RunError(session.breach)
            if self._engine.has_ended(run):
                return None
            graded = await self._grading.record(run, item, costs.of(run), f"{trial.key}/")
            if graded["status"] == "ungraded" and self._engine.has_refused:
                return None
            record = {**graded, "id": id, "run_id": session.run}
        self._output.append(record)
        self._written[id] = record
        return record

    def _id(self, trial: Trial, place: int) -> str:
        return f"{trial.key}/{self._items[place][0].id}"

    async def _begin(self, trial: Trial) -> None:
        if trial.key not in self._sessions:
            costs = Costs()
            name = f"{self._name}/{trial.purpose}/{trial.key}"
            session = api.session(trial.plan, seed=trial.seed, listeners=(costs,), name=name, engine=self._engine)
            self._sessions[trial.key] = await self._open.enter_async_context(session), costs
