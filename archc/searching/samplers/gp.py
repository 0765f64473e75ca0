"""gp: a Gaussian process over the choices from few, well spread first points; archc's own.

It learns how much each choice matters and how noisy a measurement is, trusts trials by their number of items, keeps
to what is likely to meet the constraints, and proposes where the logarithm of the expected improvement is largest
(Ament et al., arXiv 2310.20708) among all points, or, where they can't be listed, near the best ones.
"""

from __future__ import annotations

from random import Random

from archc.searching.samplers import Setting
from archc.searching.samplers._modelled import Modelled
from archc.spec.space.points import Point


class GaussianProcess(Modelled):
    """Few spread points, then the expected improvement over the best expected so far."""

    name = "gp"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._first: list[Point] | None = None

    def design(self) -> Point | None:
        size = len(self.domain.holes) + _MORE
        if len(self.told) + len(self.pending) >= size:
            return None
        if self._first is None:
            self._first = self.domain.spread(Random(f"{self.setting.seed} gp"), size)
        return next((p for p in self._first if self.domain.key(p) not in self.taken), None)


_MORE = 3
"""First points beside one for each choice."""
