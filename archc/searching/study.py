"""Study: round after round, points are proposed, measured in a race, and told to the sampler.

Nothing of its state is kept but what was measured: a search that was killed is done again from its beginning, with the
answers that are there already, so it comes to the same. For that all decisions fall between rounds and rungs, in the
order of the trials, and never by what came first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from archc.runtime.engine import Engine, cause_of
from archc.searching.domain import Key
from archc.searching.leaderboard import best, estimate
from archc.searching.order import Order
from archc.searching.racing import Race, rungs
from archc.searching.samplers import Sampler, Told
from archc.searching.trial import Course, Trial
from archc.spec.space.points import Point

CLEARLY = 0.1
"""Beyond a limit by this share, before all items are measured, is beyond it."""


class Study:
    """The trials of a search, in order."""

    def __init__(self, order: Order, sampler: Sampler, course: Course, engine: Engine) -> None:
        self.order = order
        self.trials: list[Trial] = []
        self._sampler = sampler
        self._course = course
        self._engine = engine
        self._items = len(order.split[0])
        self._race = Race(rungs(self._items, order.first, order.eta), order.eta, order.alpha, order.seed)
        self._waiting = list(order.start)
        self._tried: set[Key] = set()

    @property
    def best(self) -> Trial | None:
        """The best one so far."""
        return best(self.trials, self.order.aim)

    @property
    def notes(self) -> list[str]:
        """What the sampler could not do as it should, in words."""
        return self._sampler.notes

    async def run(self, on_trial: Callable[[Trial], None]) -> str:
        """Tries points until something ends it; says what. Raises RunError if nothing can go on."""
        while True:
            if self._engine.stopped:
                return "it was stopped"
            if any(trial.status == "unfinished" for trial in self.trials):
                return "its part of the budget is spent"
            room = self.order.abreast
            if self.order.trials is not None:
                room = min(room, self.order.trials - len(self.trials))
            if room <= 0:
                return f"{len(self.trials)} architectures were tried"
            points = await self._proposed(room)
            if not points:
                return "there are no more points"
            await self._round(points, on_trial)

    async def _proposed(self, count: int) -> list[Point]:
        points: list[Point] = []
        while self._waiting and len(points) < count:
            point = self._waiting.pop(0)
            if self._is_new(point) and self.order.domain.holds(point):
                points.append(point)
        if len(points) < count:
            points += [one for one in await self._sampler.ask(count - len(points)) if self._is_new(one)]
        return points

    def _is_new(self, point: Point) -> bool:
        key = self.order.domain.key(point)
        is_new = key not in self._tried
        self._tried.add(key)
        return is_new

    async def _round(self, points: Sequence[Point], on_trial: Callable[[Trial], None]) -> None:
        by_key = {trial.meaning: trial for trial in self.trials}
        fresh: list[Trial] = []
        told: list[Trial] = []
        for point in points:
            plan = self.order.plan(point)
            assert plan, "samplers propose what is allowed"
            number = len(self.trials) + len(fresh) + 1
            trial = Trial(number, point, plan, self.order.seed_of(number))
            known = by_key.setdefault(trial.meaning, trial)
            if known is trial:
                fresh.append(trial)
            told.append(known)
        self.trials += fresh
        await self._raced(fresh)
        for point, trial in zip(points, told, strict=True):
            if trial.records:
                self._sampler.tell(self._told(point, trial))
        for trial in fresh:
            on_trial(trial)

    async def _raced(self, alive: list[Trial]) -> None:
        """Measures all of them on more and more items, and stops those that are not worth it."""
        leader = self.best
        for size in self._race.rungs:
            alive = await self._measured(alive, size)
            judged = [trial for trial in alive if not self._is_out(trial, size)]
            self._race.enter(size, {trial.number: self.order.aim.values(trial.figures(size)) for trial in judged})
            alive = [trial for trial in judged if self._goes_on(trial, leader, size)]

    async def _measured(self, alive: Sequence[Trial], size: int) -> list[Trial]:
        try:
            async with asyncio.TaskGroup() as tasks:
                works = [tasks.create_task(self._course.measure(trial, size)) for trial in alive]
        except BaseExceptionGroup as group:
            raise cause_of(group) from None
        for trial, work in zip(alive, works, strict=True):
            if not work.result():
                trial.status, trial.reason = "unfinished", "not all of its items were answered"
        return [trial for trial in alive if trial.status == "running"]

    def _is_out(self, trial: Trial, size: int) -> bool:
        """Whether a constraint is broken, clearly so before all items are measured."""
        slack = 0.0 if size == self._items else CLEARLY
        broken = [
            one.text
            for one, violation in zip(
                self.order.aim.constraints, self.order.aim.violations(trial.figures(size)), strict=True
            )
            if violation > slack
        ]
        if broken:
            trial.status, trial.reason = "infeasible", f"`{broken[0]}` does not hold"
        return bool(broken)

    def _goes_on(self, trial: Trial, leader: Trial | None, size: int) -> bool:
        if size == self._items:
            trial.status = "complete"
            return False
        if leader and len(self.order.aim.goals) == 1 and self._race.has_lost(self._differences(trial, leader, size)):
            trial.status, trial.reason = "beaten", f"trial {leader.number} is better, as {size} items tell"
        elif not self._race.is_promoted(size, trial.number):
            trial.status, trial.reason = "halved", f"others did better on {size} items"
        return trial.status == "running"

    def _differences(self, trial: Trial, leader: Trial, size: int) -> list[float]:
        pairs = zip(trial.by_item(self.order.aim, size), leader.by_item(self.order.aim, size), strict=True)
        return [own[0] - other[0] for own, other in pairs]

    def _told(self, point: Point, trial: Trial) -> Told:
        """What the sampler hears."""
        aim = self.order.aim
        values = estimate(trial, self.best, aim, self._items)
        return Told(trial.number, point, values, trial.items, aim.violations(trial.figures()))
