"""What the samplers of Optuna share: a study in memory that is told of every trial, and a spec's choices as parameters.

What Optuna proposes and may not be tried is asked for again; it never enters the study with a made-up value.
"""

from __future__ import annotations

import abc
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from archc.searching.domain import levels
from archc.searching.samplers import Sampler, Setting, Told
from archc.spec.space.hole import Hole, Pick
from archc.spec.space.points import Point

_TRIES = 8
"""How often Optuna is asked before a neighbour of what it said, or a random point, is taken."""


class Optuna(Sampler):
    """A study that grows trial by trial; the chance in it is drawn anew for every proposal."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._distributions = {hole.path: _distribution(hole) for hole in self.domain.holes}
        with _quiet():
            self._study = optuna.create_study(directions=["maximize"] * setting.objectives)

    def tell(self, trial: Told) -> None:
        super().tell(trial)
        if all(map(math.isfinite, (*trial.values, *trial.violations))):
            with _quiet():
                running = self._started(trial.point, trial.violations)
                self.learn(running)
                self._study.tell(running.number, trial.values)

    @abc.abstractmethod
    def made(self, seed: int) -> BaseSampler:
        """Optuna's sampler with a seed."""

    def learn(self, trial: FrozenTrial) -> None:
        """Notes on a trial what Optuna's sampler wants to know of it, before its values are told."""

    def propose(self) -> Point | None:
        rng = self.rng()
        with _quiet():
            self._study.sampler = self.made(rng.randrange(2**32))
            running = [self._started(point) for point in self.pending.values()]
            try:
                point = self._proposed()
            finally:
                for trial in running:
                    self._study.tell(trial.number, state=TrialState.FAIL)
        if point is not None and not self._is_new(point):
            point = next(filter(self._is_new, self.domain.neighbours(point, rng)), None)
        return point or self.domain.fresh(rng, self.taken)

    def _proposed(self) -> Point | None:
        """What Optuna says; the last valid one where all were tried already."""
        last = None
        for _ in range(_TRIES):
            trial = self._study.ask()
            point = self._suggested(trial)
            self._study.tell(trial, state=TrialState.FAIL)
            if self._is_new(point):
                return point
            last = point if self.domain.holds(point) else last
        return last

    def _started(self, point: Point, violations: Sequence[float] = ()) -> FrozenTrial:
        """A trial that is under way, as the study sees it while others are proposed."""
        params = self._params(point)
        made = create_trial(
            state=TrialState.RUNNING,
            params=params,
            distributions={path: self._distributions[path] for path in params},
            constraints={str(i): violation for i, violation in enumerate(violations)},
        )
        self._study.add_trial(made)
        return self._study.get_trials(deepcopy=False)[-1]

    def _is_new(self, point: Point) -> bool:
        return self.domain.holds(point) and self.domain.key(point) not in self.taken

    def _params(self, point: Point) -> dict[str, Pick]:
        picks = {hole.path: hole.pick(point[hole.path]) for hole in self.domain.holes if hole.path in point}
        return {path: pick for path, pick in picks.items() if pick is not None}

    def _suggested(self, trial: Trial) -> Point:
        picks: dict[str, Pick] = {}
        for hole in self.domain.holes:
            if all(picks.get(path) == option for path, option in hole.under):
                picks[hole.path] = _suggest(trial, hole.path, self._distributions[hole.path])
        return {hole.path: hole.value(picks[hole.path]) for hole in self.domain.holes if hole.path in picks}


def _suggest(trial: Trial, path: str, distribution: BaseDistribution) -> Pick:
    match distribution:
        case IntDistribution(low=low, high=high):
            return trial.suggest_int(path, low, high)
        case FloatDistribution(low=low, high=high):
            return trial.suggest_float(path, low, high)
        case CategoricalDistribution(choices=choices):
            return int(str(trial.suggest_categorical(path, choices)))
    raise TypeError(distribution)


def _distribution(hole: Hole) -> BaseDistribution:
    """Numbers in order by their position, other options as categories."""
    numbers = hole.choice.range
    if numbers and numbers.step is None:
        return FloatDistribution(float(numbers.lo), float(numbers.hi))
    size = hole.options or 1
    ranks = levels(hole)
    if numbers or (ranks and list(ranks) == sorted(ranks)):
        return IntDistribution(0, size - 1)
    return CategoricalDistribution(list(range(size)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna's messages and its warnings of what is experimental are not for those who search."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
