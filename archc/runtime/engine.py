"""Engine: what sessions share: the journal, the backends with their limits, and a budget for all of them together."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from archc import backends, errors
from archc.calls import NOTHING, Backend, KeyFor, Spend
from archc.diagnostics import RunError, SpecError
from archc.ir.graph import Model
from archc.runtime.budget import Scope
from archc.runtime.governor import Governor
from archc.runtime.journal import Journal
from archc.runtime.lane import Lane
from archc.runtime.run import Run
from archc.sandbox.pool import Sandbox
from archc.spec.model import Budget


@dataclass(frozen=True)
class World:
    """All that an engine takes from outside; tests hand in their own."""

    clock: Callable[[], float]
    """Seconds that never go back."""
    sleep: Callable[[float], Awaitable[None]]
    key_for: KeyFor
    backend: Callable[[Model, KeyFor], Backend]
    wall: Callable[[], float] = lambda: 0.0
    """Seconds since 1970, for those who read a trace; nothing is decided by it."""
    sandbox: Callable[[], Sandbox] = Sandbox
    """Where code is run that models write."""


def connect(model: Model, key_for: KeyFor) -> Backend:
    """The backend that a model's entry names."""
    return backends.backend_class(model.shared.backend)(model.shared.model, model.options, key_for)


class Engine:
    """Use as `async with Engine(world, …) as engine`, and begin sessions in it, one after the other or at once."""

    def __init__(
        self, world: World, *, seed: int = 0, journal: Path | None = None, budget: Budget | None = None
    ) -> None:
        """`budget` holds for all sessions together, beside the specs' own, which hold for each question."""
        self.world = world
        self.seed = seed
        self.began = 0.0
        """On the clock."""
        self.journal: Journal | None = None
        self.scope = Scope("this run", budget, shared=True) if budget else None
        self.phase: Scope | None = None
        """A budget beside it, for a part of the work that must leave something over."""
        self.governor: Governor
        self._path = journal
        self._backends: dict[tuple[str, str, str], Backend] = {}
        self._lanes: dict[tuple[str, ...], Lane] = {}
        self._sandboxed = False
        self._starting = asyncio.Lock()
        self._open = AsyncExitStack()
        self.number = itertools.count().__next__
        """Gives each question a number: who began earlier is served first where the budget is short."""

    async def __aenter__(self) -> Self:
        """Opens the journal. Raises RunError."""
        self.journal = Journal(self._path) if self._path else None
        if self.journal:
            self._open.callback(self.journal.close)
        self.governor = Governor(self.journal, self.world.clock, self.world.sleep)
        self.began = self.world.clock()
        self.spent_before(NOTHING)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes everything, whatever happened."""
        await self._open.aclose()

    @property
    def stopped(self) -> bool:
        """Whether nothing more is sent."""
        return self.governor.stopped

    def stop(self) -> None:
        """Sends nothing more: calls under way come to their end, and questions to what they have by then."""
        self.governor.stop()

    @property
    def has_refused(self) -> bool:
        """Whether something was not sent since the engine was stopped, or since one of its budgets had no room."""
        return self.stopped or any(scope.refused for scope in self.scopes)

    def has_ended(self, run: Run) -> bool:
        """Whether a question ended early because the engine was stopped, or because one of its budgets had no room."""
        return run.status == "stopped" or (run.status == "exhausted" and self.has_refused)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The budgets that hold for every question."""
        return tuple(scope for scope in (self.scope, self.phase) if scope)

    def spent_before(self, spent: Spend, seconds: float = 0.0) -> None:
        """Says what earlier starts have spent of the budget, and how long they took."""
        for scope in self.scopes:
            scope.spent = spent
            if scope.limit.seconds is not None:
                scope.deadline = self.began + max(0.0, scope.limit.seconds - seconds)

    def refuse_unpriced(self, models: Sequence[Model]) -> None:
        """Raises SpecError for models without a price, where the budget is in USD."""
        if self.scope and self.scope.limit.usd is not None and (bad := [m for m in models if m.shared.price is None]):
            raise SpecError(*(errors.UnknownPrice(span=m.span, model=m.name) for m in bad))

    async def lanes(self, models: Sequence[Model], executes: bool = False) -> dict[str, Lane]:
        """The way to each model, by name; starts the backends that are new, all at once. Raises RunError.

        If anything `executes`, the sandbox is started with them.

        Entries that name the same model share what serves it; equal entries share their limits, too.
        """
        async with self._starting:
            new: list[Backend] = []
            lanes = {}
            for model in models:
                shared = model.shared
                same = (shared.backend, shared.model, model.options.model_dump_json())
                if same not in self._backends:
                    self._backends[same] = self.world.backend(model, self.world.key_for)
                    self._open.push_async_callback(self._backends[same].close)
                    new.append(self._backends[same])
                key = (*same, model.name, shared.model_dump_json())
                if key not in self._lanes:
                    jitter = random.Random(f"{self.seed}:{model.name}")
                    clock, sleep = self.world.clock, self.world.sleep
                    self._lanes[key] = Lane(model, self._backends[same], clock, sleep, jitter)
                lanes[model.name] = self._lanes[key]
            try:
                async with asyncio.TaskGroup() as tasks:
                    for backend in new:
                        tasks.create_task(backend.start())
                    if executes and not self._sandboxed:
                        tasks.create_task(self._start_sandbox())
            except BaseExceptionGroup as group:
                raise cause_of(group) from None
            return lanes

    async def _start_sandbox(self) -> None:
        sandbox = self.world.sandbox()
        self._open.push_async_callback(sandbox.close)
        await sandbox.start()
        self.governor.executor.use(sandbox)
        self._sandboxed = True


def cause_of(error: BaseException) -> BaseException:
    """What a task group's exception is about: a RunError in it, else its first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [cause_of(inner) for inner in error.exceptions]
    return next((c for c in causes if isinstance(c, RunError)), causes[0])
