"""Replay: a run told again from the journal alone, without a model, a server, a sandbox or a clock."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import NoReturn

from archc import errors
from archc.calls import Backend, BackendOptions, Capabilities, Completion, Failed, Limits, Outcome, Request
from archc.diagnostics import ArchcBug, RunError
from archc.ir.region import Node
from archc.planning.plan import Plan
from archc.runtime.budget import Scope
from archc.runtime.executor import Executor
from archc.runtime.governor import Governor
from archc.runtime.journal import opened
from archc.runtime.lane import Lane
from archc.runtime.query import Batch, Query, Sample, Samples
from archc.runtime.records import Recorded
from archc.runtime.run import Run, Tally, tallies_of
from archc.runtime.session import answered
from archc.runtime.store import Store
from archc.runtime.thrift import is_ample
from archc.runtime.trace import Listener, Trace

TURNS = 10_000
"""Turns of the event loop that all other work is given before a missing call is said to be missing: a branch of a race
may have lost before its calls were answered, and then it loses here, too."""


class _Tape(Backend):
    """Stands for a model that is not asked."""

    Options = BackendOptions
    capabilities = Capabilities()

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    async def complete(self, request: Request) -> tuple[Completion, ...]:
        raise ArchcBug("a replay has asked a model")


class _Reader(Governor):
    """Gives what the journal has, and buys nothing. There is no time here, so no deadline ever passes."""

    def __init__(self, store: Store, sleep: Callable[[float], Awaitable[None]]) -> None:
        super().__init__(None, lambda: 0.0, sleep)
        self._store = store
        self.executor = self.teller = _Teller(store, sleep)
        self.whole: frozenset[str] = frozenset()

    def _find(self, query: Query, keys: Sequence[str]) -> dict[str, Completion]:
        return self._store.find(keys)

    def _known(self, batch: Batch) -> dict[str, Sample]:
        known = super()._known(batch)
        for key in batch.keys:
            if key in self.whole and isinstance(failed := known[key], Failed):
                batch.query.refuse(failed, batch.node.span)
        return known

    def _left(self, query: Query) -> float | None:
        return None

    async def _buy(self, batch: Batch, samples: Samples) -> None:
        await _missing(batch.node, self._sleep)


class _Teller(Executor):
    """The same for executions."""

    def __init__(self, store: Store, sleep: Callable[[float], Awaitable[None]]) -> None:
        super().__init__(None, lambda: 0.0, lambda: False)
        self._store = store
        self._sleep = sleep

    def _find(self, query: Query, key: str) -> Outcome | None:
        return self._store.outcome(key)

    async def _executed(self, node: Node, program: str, test: str, limits: Limits) -> Outcome:
        return await _missing(node, self._sleep)


async def _missing(node: Node, sleep: Callable[[float], Awaitable[None]]) -> NoReturn:
    for _ in range(TURNS):
        await sleep(0)
    raise RunError(errors.NotRecorded(span=node.span, node=node.id))


def recorded_run(journal: Path, run: str) -> Recorded:
    """A run of a journal, by the begin of its id. Raises RunError if there is no such one, or it has no recipe."""
    if not journal.exists():
        raise RunError(errors.NoSuchRun(path=str(journal), run=run, hint="there is no such file"))
    with opened(journal) as store:
        known = [id for [id] in store.rows("SELECT id FROM runs ORDER BY began DESC")]
        same = [id for id in known if run and id.startswith(run)]
        recorded = store.recorded(same[0]) if len(same) == 1 else None
    if recorded is None or recorded.recipe is None:
        hint = f"the last ones are {', '.join(known[:5])}" if known else "it has none at all"
        raise RunError(errors.NoSuchRun(path=str(journal), run=run, hint=hint))
    return recorded


async def replayed(
    plan: Plan,
    recorded: Recorded,
    journal: Path,
    sleep: Callable[[float], Awaitable[None]],
    listeners: Sequence[Listener] = (),
) -> AsyncIterator[tuple[Run, bool | None]]:
    """Each query's run, in their order, and whether it came to the same as it did then (None: it never ended).

    Listeners hear the candidates that left each node, too.

    Raises RunError if the journal has lost a call.
    """
    with opened(journal) as store:
        lanes = {
            model.name: Lane(model, _Tape(recorded.fingerprints[model.name]), lambda: 0.0, sleep, random.Random(0))
            for model in plan.graph.models
            if model.name in recorded.fingerprints
        }
        governor = _Reader(store, sleep)
        for id, told in recorded.queries.items():
            governor.whole = governor.teller.whole = told.whole
            scope = Scope("one question", plan.graph.budget)
            tally = Tally(id, tallies_of(plan.graph), plan.graph.owners)
            trace = Trace(governor.clock, 0.0, (tally, *listeners))
            query = Query(
                id,
                told.question,
                recorded.seed,
                (scope,),
                trace,
                lanes,
                failed=dict(told.failures),
                ample=is_ample(plan, (scope,)),
                tells=bool(listeners),
            )
            run = await answered(plan.graph, governor, query, tally)
            yield run, None if told.result is None else told.result == run.digest
