"""random: points at random, none twice."""

from __future__ import annotations

from archc.searching.samplers import Sampler
from archc.spec.space.points import Point


class RandomPoints(Sampler):
    """Every point that is left is as likely as any other."""

    name = "random"

    def propose(self) -> Point | None:
        return self.domain.fresh(self.rng(), self.taken)
