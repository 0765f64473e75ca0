"""Executor: the single gate before the sandbox. Each test of a program runs once, and is found again after that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping, Sequence

from archc.calls import Failed, FailureKind, Limits, Outcome
from archc.diagnostics import ArchcBug
from archc.ir.region import Node
from archc.runtime.identity import execution_key
from archc.runtime.journal import Journal
from archc.runtime.query import Query
from archc.sandbox.pool import Sandbox

Tried = dict[str, Outcome | Failed]
"""What came of executions, by identity."""


class Executor:
    """Serves all questions; runs as many tests at once as the sandbox has workers."""

    def __init__(self, journal: Journal | None, clock: Callable[[], float], is_stopped: Callable[[], bool]) -> None:
        self._sandbox: Sandbox | None = None
        self._journal = journal
        self._clock = clock
        self._is_stopped = is_stopped
        self._room = asyncio.Semaphore(1)
        self._running: dict[str, asyncio.Future[None]] = {}
        self.whole: Container[str] = ()
        """Of the failures that a question begins with, those for which the whole question had no time."""

    def use(self, sandbox: Sandbox) -> None:
        """Takes a sandbox that has been started; before that, nothing can be executed."""
        self._sandbox = sandbox
        self._room = asyncio.Semaphore(sandbox.workers)

    async def execute(
        self, query: Query, node: Node, where: Mapping[str, str], program: str, tests: Sequence[str], limits: Limits
    ) -> tuple[Outcome | Failed, ...]:
        """See `archc.calls.Execute`. `where` is the place that the trace names.

        Raises RunError where nothing can go on: the journal is broken, or the sandbox.
        """
        began = self._clock()
        keys = {execution_key(program, test, limits): test for test in tests}
        tried = self._known(query, node, keys)
        cached = len(tried)
        try:
            async with asyncio.timeout(self._left(query)) as limit, asyncio.TaskGroup() as tasks:
                for key, test in keys.items():
                    if key not in tried:
                        tasks.create_task(self._try(query, node, key, (program, test, limits), tried))
        except TimeoutError:
            if not limit.expired():
                raise
        if late := [key for key in keys if key not in tried]:
            self._refuse(query, node, late, Failed(FailureKind.BUDGET, "the time is over"), tried)
        stopped = [key for key, one in tried.items() if one is _STOPPED and key not in query.failed]
        if stopped:
            self._refuse(query, node, stopped, _STOPPED, tried)
        passed = sum(isinstance(one, Outcome) and one.passed for one in tried.values())
        counts = {"tests": len(keys), "passed": passed, "cached": cached}
        query.trace.emit("executed", **where, **counts, seconds=round(self._clock() - began, 6))
        return tuple(tried[execution_key(program, test, limits)] for test in tests)

    def _known(self, query: Query, node: Node, keys: Mapping[str, str]) -> Tried:
        known: Tried = {}
        for key in keys:
            if key in query.failed:
                known[key] = query.failed[key]
                if key in self.whole:
                    query.refuse(query.failed[key], node.span)
            elif outcome := self._find(query, key):
                known[key] = outcome
        return known

    def _find(self, query: Query, key: str) -> Outcome | None:
        return self._journal.outcome(key) if self._journal else query.executed.get(key)

    async def _try(self, query: Query, node: Node, key: str, what: tuple[str, str, Limits], tried: Tried) -> None:
        """Runs one test, unless it is running for somebody else, who may be cancelled."""
        while key in self._running:
            await asyncio.wait({self._running[key]})
            if outcome := self._find(query, key):
                tried[key] = outcome
                return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._running[key] = done
        try:
            async with self._room:
                if self._is_stopped():
                    tried[key] = _STOPPED
                    return
                outcome = await self._executed(node, *what)
            if self._journal:
                await self._journal.keep(key, outcome)
            else:
                query.executed[key] = outcome
            tried[key] = outcome
        finally:
            del self._running[key]
            done.set_result(None)

    async def _executed(self, node: Node, program: str, test: str, limits: Limits) -> Outcome:
        if self._sandbox is None:
            raise ArchcBug(f"`{node.op.name}` executes, but does not say so")
        return await self._sandbox.test(program, test, limits=limits)

    def _refuse(self, query: Query, node: Node, keys: Sequence[str], failed: Failed, tried: Tried) -> None:
        """Puts a failure in the place of executions, for good."""
        missing: dict[str, Failed] = dict.fromkeys(keys, failed)
        tried |= missing
        query.failed.update(missing)
        ending = query.first_to_end
        if ending and failed is not _STOPPED:
            ending.refused = True
        whole = failed is _STOPPED or not (ending and ending.block)
        if self._journal:
            self._journal.fail(query.run, query.id, missing, whole)
        if whole:
            query.refuse(failed, node.span)

    def _left(self, query: Query) -> float | None:
        ending = query.first_to_end
        return None if ending is None or ending.deadline is None else max(0.0, ending.deadline - self._clock())


_STOPPED = Failed(FailureKind.STOPPED, "the run was stopped")
