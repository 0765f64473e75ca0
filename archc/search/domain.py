"""Domain: the points of a space that may be proposed, and what samplers need to know of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from archc.spec.space.points import Point, Space


@dataclass(frozen=True)
class Domain:
    """The valid points of a space, without those that break a constraint whatever is measured."""

    space: Space
    allowed: Callable[[Point], bool] = lambda point: True
    """Whether a valid point may be tried; it may be slow, and is asked once for each."""

    def sample(self, rng: Random) -> Point:
        """A random point that may be tried. Raises SpecError if none is found."""
        raise NotImplementedError
