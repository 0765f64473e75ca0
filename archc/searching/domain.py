"""Domain: the points of a space that may be proposed, and what samplers need to know of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from archc import errors
from archc.diagnostics import SpecError
from archc.spec.space.hole import Hole, Pick, Value
from archc.spec.space.points import MAX_TRIES, Point, Space

Key = tuple[Pick | None, ...]
"""What a point chooses, hole by hole; None where a choice is not there. Equal for all ways to write a point."""

MOST_LISTED = 200_000
"""The most points that are held in memory, so that all of them can be compared."""
_MOST_WALKED = 1_000_000
_MOST_STEPS = 12
"""Of a range with more numbers than that, neighbours are the ones at growing distances."""


@dataclass(frozen=True)
class Domain:
    """The valid points of a space, without those that break a constraint whatever is measured."""

    space: Space
    allowed: Callable[[Point], bool] = lambda point: True
    """Whether a valid point may be tried; it may be slow, and is asked once for each."""
    _asked: dict[Key, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    # ---- points

    @property
    def holes(self) -> tuple[Hole, ...]:
        """The choices, in the order of keys and features."""
        return self.space.holes

    @cached_property
    def listed(self) -> tuple[Point, ...] | None:
        """All valid points in written order, allowed or not; None where they are too many, or without end."""
        if self.space.raw is None or self.space.raw > _MOST_WALKED:
            return None
        found = tuple(itertools.islice(self.space.valid(), MOST_LISTED + 1))
        return found if len(found) <= MOST_LISTED else None

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """The keys of the listed points."""
        return tuple(map(self.key, self.listed or ()))

    @cached_property
    def places(self) -> tuple[tuple[float, ...], ...]:
        """The features of the listed points."""
        return tuple(map(self.features, self.listed or ()))

    def key(self, point: Point) -> Key:
        """Names a point: two of them are the same point where their keys are equal."""
        return tuple(hole.pick(point[hole.path]) if hole.path in point else None for hole in self.holes)

    def point(self, key: Key) -> Point:
        """The point of a key."""
        return {hole.path: hole.value(pick) for hole, pick in zip(self.holes, key, strict=True) if pick is not None}

    def has(self, point: Point) -> bool:
        """Whether it is a valid point of this space."""
        try:
            return self.space.is_valid(point)
        except SpecError:
            return False

    def holds(self, point: Point) -> bool:
        """Whether it is a point of this space that may be tried."""
        return self.has(point) and self.allows(point)

    def allows(self, point: Point) -> bool:
        """Whether a valid point may be tried."""
        key = self.key(point)
        if key not in self._asked:
            self._asked[key] = self.allowed(point)
        return self._asked[key]

    def count(self) -> int | None:
        """How many points may be tried; None where they can't be listed. Asks about each of them."""
        return None if self.listed is None else sum(map(self.allows, self.listed))

    # ---- drawing

    def sample(self, rng: Random) -> Point:
        """A random point that may be tried. Raises SpecError if none is found."""
        point = self.fresh(rng, ())
        if point is None:
            span = self.holes[0].span if self.holes else self.space.root.span
            raise SpecError(errors.NoPoint(span=span, tried="none of its points is within the limits"))
        return point

    def fresh(self, rng: Random, taken: Collection[Key]) -> Point | None:
        """A random point that may be tried and is not `taken`; None if there is none, or if none is found."""
        for _ in range(_QUICK_TRIES if self.listed is not None else MAX_TRIES):
            try:
                point = self.space.sample(rng)
            except SpecError:
                break
            if self.key(point) not in taken and self.allows(point):
                return point
        left = [p for p, key in zip(self.listed or (), self.keys, strict=True) if key not in taken]
        rng.shuffle(left)
        return next(filter(self.allows, left), None)

    def spread(self, rng: Random, count: int) -> list[Point]:
        """Points that may be tried, each as far as possible from those before it, so that few of them tell much."""
        pool = {self.key(point): point for point in self._drawn(rng, _POOL)}
        places = {key: self.features(point) for key, point in pool.items()}
        far = dict.fromkeys(pool, math.inf)
        chosen: dict[Key, Point] = {}
        while far and len(chosen) < count:
            key = max(far, key=far.__getitem__)
            del far[key]
            if self.allows(pool[key]):
                chosen[key] = pool[key]
                far = {other: min(d, math.dist(places[key], places[other])) for other, d in far.items()}
        while len(chosen) < count and (point := self.fresh(rng, chosen)) is not None:
            chosen[self.key(point)] = point
        return list(chosen.values())

    def _drawn(self, rng: Random, count: int) -> list[Point]:
        """Random valid points; all of them where they are few."""
        if self.listed is not None and len(self.listed) <= count:
            return rng.sample(self.listed, len(self.listed))
        try:
            return [self.space.sample(rng) for _ in range(count)]
        except SpecError:
            return []

    # ---- numbers

    def features(self, point: Point) -> tuple[float, ...]:
        """A point as numbers: `columns` says which of them belong to a choice.

        Numbers are spread over 0 to 1, by rank where they are options; of other options one is marked. A choice that
        may be absent has one more number, which says that it is.
        """
        key = self.key(point)
        return tuple(itertools.chain.from_iterable(map(_numbers, self.holes, self._levels, key)))

    @cached_property
    def columns(self) -> tuple[slice, ...]:
        """The numbers of each choice within the features."""
        widths = [len(_numbers(hole, levels, None)) for hole, levels in zip(self.holes, self._levels, strict=True)]
        ends = list(itertools.accumulate(widths, initial=0))
        return tuple(slice(lo, hi) for lo, hi in itertools.pairwise(ends))

    @cached_property
    def _levels(self) -> tuple[tuple[float, ...] | None, ...]:
        return tuple(map(levels, self.holes))

    # ---- around a point

    def neighbours(self, point: Point, rng: Random) -> Iterator[Point]:
        """The points that may be tried with one choice made otherwise, in random order.

        Choices that this brings in are drawn; those that it takes away are left out.
        """
        changes = [
            (hole, value) for hole in self.holes if hole.path in point for value in self.others(hole, point, rng)
        ]
        rng.shuffle(changes)
        for hole, value in changes:
            changed = self.changed(point, hole, value, rng)
            if self.holds(changed):
                yield changed

    def others(self, hole: Hole, point: Point, rng: Random) -> list[Value]:
        """What a choice could be instead; of a long range some numbers near and far."""
        here = hole.pick(point[hole.path])
        if here is None:
            return []
        numbers = hole.choice.range
        if numbers and numbers.step is None:
            scale = float(numbers.hi) - float(numbers.lo)
            drawn = (float(here) + rng.gauss(0, share * scale) for share in (0.01, 0.03, 0.1, 0.3) for _ in range(2))
            return [min(max(value, float(numbers.lo)), float(numbers.hi)) for value in drawn]
        size = hole.options or 0
        if size <= _MOST_STEPS or not numbers:
            return [hole.value(at) for at in range(size) if at != here]
        steps = [2**i for i in range(size.bit_length())]
        return [hole.value(at) for step in steps for at in (int(here) - step, int(here) + step) if 0 <= at < size]

    def changed(self, point: Point, hole: Hole, value: Value, rng: Random) -> Point:
        """The point with one choice made otherwise, and those that depend on it repaired. It may be invalid."""
        return self.repaired({**point, hole.path: value}, rng)

    def repaired(self, wanted: Point, rng: Random) -> Point:
        """A whole point with what is wanted, as far as it can be: what is missing is drawn, what is not there goes."""
        picks: dict[str, Pick] = {}
        for hole in self.holes:
            if all(picks.get(path) == option for path, option in hole.under):
                pick = hole.pick(wanted[hole.path]) if hole.path in wanted else None
                picks[hole.path] = _drawn(hole, rng) if pick is None else pick
        return {hole.path: hole.value(picks[hole.path]) for hole in self.holes if hole.path in picks}


_QUICK_TRIES = 50
_POOL = 256


def levels(hole: Hole) -> tuple[float, ...] | None:
    """The place of each option on a scale from 0 to 1, by rank; None for a range, and where options are no numbers."""
    if hole.choice.range or not hole.labels:
        return None
    values = [hole.value(at) for at in range(len(hole.labels))]
    if not all(isinstance(value, int | float) for value in values):
        return None
    order = sorted({float(value) for value in values if isinstance(value, int | float)})
    return tuple(order.index(float(v)) / max(1, len(order) - 1) for v in values if isinstance(v, int | float))


def _numbers(hole: Hole, known: Sequence[float] | None, pick: Pick | None) -> list[float]:
    numbers = hole.choice.range
    if numbers and pick is not None:
        at = float(pick) if numbers.step is None else float(pick) / max(1, (hole.options or 1) - 1)
        scale = float(numbers.hi) - float(numbers.lo)
        found = [(at - float(numbers.lo)) / scale if numbers.step is None and scale else at]
    elif numbers:
        found = [0.5]
    elif known is not None:
        found = [0.5 if pick is None else known[int(pick)]]
    else:
        found = [math.sqrt(0.5) if at == pick else 0.0 for at in range(len(hole.labels))]
    return [*found, float(pick is None)] if hole.under else found


def _drawn(hole: Hole, rng: Random) -> Pick:
    numbers = hole.choice.range
    if numbers and numbers.step is None:
        return rng.uniform(numbers.lo, numbers.hi)
    return rng.randrange(hole.options or 1)
