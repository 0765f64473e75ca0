"""What samplers with a Gaussian process share: a first design, then the point of which most improvement is expected."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

import numpy as np

from archc.searching.domain import Key
from archc.searching.gaussian import Array, Gaussian, Habits, learned
from archc.searching.samplers import Sampler, Setting, Told
from archc.spec.space.points import Point

_DRAWN = 400
"""Random candidates where the points can't be listed."""
_BEST = 4
"""The best points whose neighbours are candidates, too."""


@dataclass
class _Fit:
    """A model of one measured number, which grows with the trials."""

    habits: Habits | None = None
    learned_from: int = 0
    model: Gaussian | None = None
    added: int = 0
    candidates: Sequence[Key] = field(default=(), repr=False)


class Modelled(Sampler):
    """Measures a design first, then what a Gaussian process expects most of."""

    is_alike: ClassVar[bool] = False
    """Whether one scale is learned for all choices together."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._fits: dict[int, _Fit] = {}
        self._known: list[Told] = []
        self._places = np.empty((0, 0))
        self._keys: Sequence[Key] = ()
        self._positions: dict[Key, int] = {}

    def tell(self, trial: Told) -> None:
        super().tell(trial)
        is_number = all(map(math.isfinite, (*trial.values, *trial.violations)))
        if is_number and self.domain.has(trial.point):
            self._known.append(trial)

    @abc.abstractmethod
    def design(self) -> Point | None:
        """The next point while there is too little to learn from; None when that is over."""

    def propose(self) -> Point | None:
        return self.design() or (self._expected() if self._known else None) or self.fresh()

    def fresh(self) -> Point | None:
        """A random point that is left."""
        return self.domain.fresh(self.rng(), self.taken)

    # ---- expecting

    def _expected(self) -> Point | None:
        rng = self.rng("expected")
        self._look(rng)
        hopes = self._hopes(rng)
        for at in np.argsort(-hopes, kind="stable"):
            key = self._keys[at]
            if key not in self.taken and self.domain.allows(point := self.domain.point(key)):
                return point
        return None

    def _look(self, rng: Random) -> None:
        """The candidates: all points, or those told, those near the best of them, and random ones."""
        if self.domain.listed is not None:
            if not self._keys:
                self._keys, self._places = self.domain.keys, np.array(self.domain.places)
        else:
            points = [t.point for t in self._known] + list(self.pending.values())
            best = sorted(self._known, key=lambda t: (t.is_feasible, sum(t.values)), reverse=True)[:_BEST]
            points += [point for told in best for point in self.domain.neighbours(told.point, rng)]
            points += filter(None, (self.domain.fresh(rng, ()) for _ in range(_DRAWN)))
            found = {self.domain.key(point): point for point in points}
            self._keys, self._places = tuple(found), np.array([self.domain.features(p) for p in found.values()])
        if len(self._positions) != len(self._keys) or self.domain.listed is None:
            self._positions = {key: at for at, key in enumerate(self._keys)}

    def _hopes(self, rng: Random) -> Array:
        """By candidate, the logarithm of the improvement to expect, times the probability that it is allowed."""
        hopes = np.zeros(len(self._keys))
        for i in range(len(self._known[0].violations)):
            mean, spread = self._model(1 + i, np.array([t.violations[i] for t in self._known]))
            hopes += log_normal(-mean / spread)
        feasible = [self._positions[self.domain.key(t.point)] for t in self._known if t.is_feasible]
        if feasible:
            mean, spread = self._model(0, self._values(rng))
            hopes += np.log(spread) + log_improvement((mean - mean[feasible].max()) / spread)
        return hopes

    def _values(self, rng: Random) -> Array:
        """What is to be made large: of several objectives a random mixture, ever another one (ParEGO)."""
        values = np.array([t.values for t in self._known], dtype=np.float64)
        if values.shape[1] == 1:
            only: Array = values[:, 0]
            return only
        spans = values.max(0) - values.min(0)
        shares = (values - values.min(0)) / np.where(spans > 0, spans, 1.0)
        weights = np.array([rng.expovariate(1.0) for _ in spans])
        weights /= weights.sum()
        mixed: Array = (shares * weights).min(1) + _SUM_SHARE * (shares @ weights)
        return mixed

    def _model(self, number: int, values: Array) -> tuple[Array, Array]:
        """The mean and the spread of every candidate."""
        fit = self._fits.setdefault(number, _Fit())
        is_fixed = self.setting.objectives == 1 or number > 0
        count = _learned_from(len(values))
        if fit.habits is None or fit.learned_from != count or not is_fixed:
            fit.habits = self._habits(values[:count])
            fit.learned_from, fit.model = count, None
        if fit.model is None or self.domain.listed is None:
            fit.model, fit.added = Gaussian(self._places, self.domain.columns, fit.habits), 0
        weights = self._weights()
        for trial, value, weight in list(zip(self._known, values, weights, strict=True))[fit.added :]:
            fit.model.add(self._positions[self.domain.key(trial.point)], float(value), float(weight))
        fit.added = len(values)
        if not self.pending:
            return fit.model.expect()
        mark = fit.model.mark()
        for key in self.pending:
            if (at := self._positions.get(key)) is not None:
                fit.model.add(at, float(fit.model.expect()[0][at]))
        found = fit.model.expect()
        fit.model.back(mark)
        return found

    def _habits(self, values: Array) -> Habits:
        at = [self._positions[self.domain.key(t.point)] for t in self._known[: len(values)]]
        columns = self.domain.columns
        return learned(self._places[at], columns, values, self._weights()[: len(values)], self.is_alike)

    def _weights(self) -> Array:
        """How much each trial tells, as a share of the first one's items."""
        items = np.array([max(1, t.items) for t in self._known], dtype=float)
        shares: Array = items / items[0]
        return shares


_SUM_SHARE = 0.05


def _learned_from(count: int) -> int:
    """From how many trials habits are learned: of all while they are few, then only now and then anew."""
    step = 1 if count < 30 else 5 if count < 100 else 25
    return count // step * step


def log_improvement(z: Array) -> Array:
    """The logarithm of the improvement to expect of a standard normal beyond `-z`, stable far below."""
    far = np.minimum(z, -5.0)
    tail = -0.5 * far * far - math.log(math.sqrt(2 * math.pi)) - 2.0 * np.log(-far)
    near = np.maximum(z, -5.0)
    density = np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi)
    log: Array = np.where(z < -5.0, tail, np.log(np.maximum(density + near * _normal(near), 1e-300)))
    return log


def log_normal(z: Array) -> Array:
    """The logarithm of the probability of a standard normal below `z`, not less than that of 35 deviations."""
    low = np.minimum(z, -5.0)
    tail = -0.5 * low * low - np.log(-low * math.sqrt(2 * math.pi))
    log: Array = np.where(z < -5.0, tail, np.log(np.maximum(_normal(np.maximum(z, -5.0)), 1e-300)))
    return log


def _normal(z: Array) -> Array:
    return np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in z.tolist()])
