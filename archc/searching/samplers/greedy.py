"""greedy: one choice after the other from a random start, each kept if it is better (Archon, arXiv 2409.15254, 3.3)."""

from __future__ import annotations

from collections.abc import Generator
from random import Random

from archc.searching.domain import Key
from archc.searching.samplers import Sampler, Setting, Told
from archc.spec.space.hole import Hole
from archc.spec.space.points import Point


class Greedy(Sampler):
    """Tries every option of a choice, keeps the best, and goes on; where nothing is better it starts anew."""

    name = "greedy"
    one_objective = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._values: dict[Key, float] = {}
        self._starts = 0
        self._climb = self._climbing()
        self._waiting: list[Point] = []
        """The points that the climb wants to know before it goes on."""

    def tell(self, trial: Told) -> None:
        super().tell(trial)
        worst = max((v for v in trial.violations if v > 0), default=0.0)
        self._values[self.domain.key(trial.point)] = -1e9 * worst if worst else trial.values[0]

    def propose(self) -> Point | None:
        starts = self._starts + len(self.told) + _IN_VAIN
        while self._starts <= starts and all(self.domain.key(p) in self._values for p in self._waiting):
            self._waiting = next(self._climb)
        new = (p for p in self._waiting if self.domain.key(p) not in self.taken)
        return next(new, None) or self.domain.fresh(self.rng(), self.taken)

    def _climbing(self) -> Generator[list[Point], None, None]:
        """The points to know next; it goes on when all of them are told."""
        while True:
            rng = Random(f"{self.setting.seed} greedy {self._starts}")
            best = self.domain.sample(rng)
            self._starts += 1
            yield [best]
            is_better = True
            while is_better:
                is_better = False
                for hole in rng.sample(self.domain.holes, len(self.domain.holes)):
                    around = self._options(best, hole, rng)
                    yield around
                    found = max([best, *around], key=self._value)
                    is_better |= found is not best
                    best = found

    def _options(self, best: Point, hole: Hole, rng: Random) -> list[Point]:
        if hole.path not in best:
            return []
        changed = (self.domain.changed(best, hole, value, rng) for value in self.domain.others(hole, best, rng))
        return [point for point in changed if self.domain.holds(point)]

    def _value(self, point: Point) -> float:
        return self._values[self.domain.key(point)]


_IN_VAIN = 50
"""So many climbs over nothing but known points, and the next point is a random one."""
