"""Measure: run a plan on the items of a task, into a folder, and go on where an earlier start was stopped."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from archc import api
from archc.bench.data import Data, Selection, questions
from archc.bench.folder import MANIFEST, SUMMARY, Costs, Graded, write_json
from archc.bench.grading import Grading
from archc.bench.judging import Judge, Judging
from archc.bench.summary import Record, summarised
from archc.bench.task import Task
from archc.planning.plan import Plan
from archc.runtime.batch import Summary, run_batch, run_key
from archc.runtime.engine import Engine
from archc.runtime.run import Run
from archc.runtime.session import Session
from archc.runtime.trace import Listener
from archc.spec.model import Budget

SCHEME = 1
"""The version of what a folder holds."""


_TOLD: Final = {"slices", "about", "hub", "metrics", "licence", "source", "noise"}
"""What of a task changes no answer and no grade."""


@dataclass(frozen=True)
class Order:
    """What is to be measured, and how."""

    plan: Plan
    task: Task
    data: Data
    selection: Selection
    folder: Path
    version: str
    """Of archc."""
    seed: int = 0
    parallel: int = 32
    budget: Budget | None = None
    """For all items together, beside the spec's own."""
    journal: Path | None = None
    within: str = ""
    """What the name of its run in the journal begins with, for who finds several runs by it."""
    judge: Judge | None = None
    """For tasks whose answers are compared."""

    @property
    def key(self) -> str:
        """Names what the folder's answers depend on; not how many there are, so that a limit can be raised."""
        task = self.task.model_dump(mode="json", exclude=_TOLD)
        content = [SCHEME, run_key(self.plan, self.seed), task, self.data.digest, self.selection.slice]
        content.append(self.selection.shuffle_seed)
        if self.judge:
            content.append(self.judge.key)
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def manifest(self, session: Session) -> dict[str, Any]:
        """All that one needs to do it again, JSON-ready."""
        recipe = self.plan.recipe or {}
        name, text, _ = recipe.get("spec", ("", "", ""))
        return {
            "key": self.key,
            "versions": {"archc": self.version, "python": platform.python_version(), "system": sys.platform},
            "spec": {"name": self.plan.graph.name or name, "text": text, "sha256": _digest(text)},
            "recipe": recipe,
            "seed": self.seed,
            "models": [
                {
                    "name": model.name,
                    "backend": model.shared.backend,
                    "model": model.shared.model,
                    "fingerprint": session.fingerprints.get(model.name),
                }
                for model in self.plan.graph.models
            ],
            "task": self.task.model_dump(mode="json"),
            "data": {"path": str(self.data.path), "sha256": self.data.digest, "items": self.data.of},
            "selection": asdict(self.selection),
            "selected": len(self.data.items),
            "budget": self.budget.model_dump(mode="json") if self.budget else None,
            "journal": str(self.journal) if self.journal else None,
            **({"judge": {"recipe": self.judge.plan.recipe, "against": self.judge.source}} if self.judge else {}),
            "run_id": session.run,
        }


@dataclass(frozen=True)
class Outcome:
    """How it ended."""

    batch: Summary
    summary: dict[str, Any]
    stopped: bool
    """Whether somebody stopped it before its end."""


Working = Callable[[Awaitable[Summary], Session], Awaitable[Summary]]
"""Waits for the work to end, and for whoever stops it."""


async def _waited(work: Awaitable[Summary], session: Session) -> Summary:
    return await work


async def measure(
    order: Order,
    on_start: Callable[[Session, Graded], None] = lambda session, graded: None,
    on_item: Callable[[Run, Record], None] = lambda run, record: None,
    working: Working = _waited,
    listeners: Sequence[Listener] = (),
    engine: Engine | None = None,
) -> Outcome:
    """Answers and grades all items that the folder does not have yet; in an `engine`, within its journal and budget.

    Raises SpecError if something else began the folder or a grader is missing, RunError if nothing can go on.
    """
    costs = Costs()
    judging = None
    if order.judge:
        name = order.within + _digest(f"judge {order.key} {order.folder.resolve()}")
        judging = Judging(order.judge, name, engine)
    grading = Grading(order.task, judging)
    graded = Graded(order.folder, order.key, grading, order.data.items, costs)
    with closing(graded):
        session = api.session(
            order.plan,
            seed=order.seed,
            journal=order.journal,
            budget=order.budget,
            listeners=(costs, *listeners),
            name=order.within + _digest(f"bench {order.key} {order.folder.resolve()}"),
            engine=engine,
        )
        async with grading, session:
            graded.run_id = session.run
            write_json(order.folder / MANIFEST, order.manifest(session))
            on_start(session, graded)
            items = questions(order.data.items, order.task.system)

            def ended(run: Run) -> None:
                on_item(run, graded.records[run.id])

            batch = await working(run_batch(session, items, graded, order.parallel, ended), session)
            ungraded = sum(graded.records.get(i.id, {}).get("status") == "ungraded" for i in order.data.items)
            batch = replace(batch, done=batch.done - ungraded, failed=batch.failed + ungraded)
            if not (batch.failed or batch.exhausted or session.stopped):
                await session.end()
                await grading.end()
        records = list(graded.records.values())
        figures = summarised(records, max(len(order.data.items), len(records)), order.task.metrics)
        whole = {"complete": figures["answered"] >= figures["items"]}
        summary = {"spec": order.plan.graph.name, "task": order.task.name, **whole, **figures}
        write_json(order.folder / SUMMARY, summary)
    return Outcome(batch, summary, session.stopped)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
