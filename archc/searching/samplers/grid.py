"""grid: the points in written order, or, where they can't all be listed, a grid over what the choices offer.

Each pass goes through the space in strides, so that a search that ends early has looked everywhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from random import Random

from archc.searching.samplers import Sampler, Setting
from archc.spec.space.hole import Hole, Value
from archc.spec.space.points import Point

_NUMBERS = 5
"""How many numbers of a long range are in the grid."""


class Grid(Sampler):
    """Goes through the points evenly: every 16th, then those between; then all are done."""

    name = "grid"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._walk = self._points()

    def propose(self) -> Point | None:
        fresh = (point for point in self._walk if self.domain.key(point) not in self.taken)
        return next(filter(self.domain.allows, fresh), None)

    def _points(self) -> Iterator[Point]:
        listed = self.domain.listed
        if listed is None:
            yield from self._coarse()
            return
        stride = 2 ** max(0, math.ceil(math.log2(max(1, len(listed)))) - _FIRST_PASS)
        seen = set()
        while stride:
            for at in range(0, len(listed), stride):
                if at not in seen:
                    seen.add(at)
                    yield listed[at]
            stride //= 2

    def _coarse(self) -> Iterator[Point]:
        """A few values of every long range with all of the others; what is not there in a point is left out."""
        rng = Random(self.setting.seed)
        values = {hole.path: _spread(hole) for hole in self.domain.holes}
        for chosen in itertools.product(*values.values()):
            point = self.domain.repaired(dict(zip(values, chosen, strict=True)), rng)
            if self.domain.holds(point):
                yield point


_FIRST_PASS = 4
"""The first pass has 2 to the power of this many points, about."""


def _spread(hole: Hole) -> list[Value]:
    numbers = hole.choice.range
    if not numbers:
        return [hole.value(at) for at in range(len(hole.labels))]
    if numbers.step is None:
        scale = float(numbers.hi) - float(numbers.lo)
        return [float(numbers.lo) + scale * at / (_NUMBERS - 1) for at in range(_NUMBERS)]
    size = hole.options or 1
    return [hole.value(at) for at in sorted({round((size - 1) * i / (_NUMBERS - 1)) for i in range(_NUMBERS)})]
