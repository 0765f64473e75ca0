"""Space: a spec with open choices as the set of its points, to be counted, listed and sampled.

A point has a value for every choice that is there: choices inside an option that is not taken are no part of it.
What the spec requires concerns parameters only, so parameters that share no requirement are counted on their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archc import errors
from archc.diagnostics import Diagnostic, SpecError
from archc.spec.located import Choice, Leaf, Located
from archc.spec.space.choices import holes, picked
from archc.spec.space.hole import Hole, Pick, Value
from archc.spec.space.requirements import Known, Requirement, broken, parameters, requirements
from archc.spec.space.tied import Group, TooMuch, Work, tied

if TYPE_CHECKING:
    from random import Random

Point = Mapping[str, Value]

MAX_TRIES = 10_000
"""Random draws for one point."""
_MANY = 50
"""Of choices with so many options, one is enough to look at."""


def space(root: Located) -> Space:
    """The space of a spec. Raises SpecError for requirements that cannot be decided."""
    known = holes(root)
    inside: dict[tuple[str, int], list[Hole]] = {}
    for hole in known:
        if hole.under:
            inside.setdefault(hole.under[-1], []).append(hole)
    weights: dict[str, int] = {}
    for hole in reversed(known):
        branches = (inside.get((hole.path, i), ()) for i in range(len(hole.labels)))
        here = sum(math.prod(weights[h.path] for h in branch) for branch in branches)
        weights[hole.path] = (hole.options or 1) if hole.choice.range else here
    first: dict[str, Hole] = {}
    for hole in known:
        first.setdefault(hole.param, hole)
    params = {name: (value, first.get(name)) for name, value in parameters(root).items()}
    required = requirements(root)
    return Space(root, known, required, inside, weights, params, tied(known, required), broken(root, required))


@dataclass(frozen=True, slots=True)
class Space:
    """The points of a spec."""

    root: Located
    holes: tuple[Hole, ...]
    requirements: tuple[Requirement, ...]
    _inside: Mapping[tuple[str, int], Sequence[Hole]] = field(repr=False)
    """The choices directly inside an option."""
    _weights: Mapping[str, int] = field(repr=False)
    """In how many ways a choice and those inside it can be closed; a real number counts once."""
    _params: Mapping[str, tuple[Located, Hole | None]] = field(repr=False)
    """The parameters with the first of their choices."""
    _groups: Sequence[Group] = field(repr=False)
    _broken: Sequence[Diagnostic] = field(repr=False)
    """Requirements of fixed parameters that do not hold."""

    # ---- counting

    @property
    def raw(self) -> int | None:
        """The number of points, whatever is required; None if there is no end of them."""
        return None if self._endless() else math.prod(self._weights[h.path] for h in self.holes if not h.under)

    def count(self) -> int | None:
        """The number of points that meet what is required; None without end, or where it is too much to count."""
        if self._endless():
            return None
        if self._broken:
            return 0
        free = math.prod(self._weights[h.path] for h in self._free())
        work = Work()
        try:
            return free * math.prod(sum(1 for _ in self._walk(g.holes, g, work)) for g in self._groups)
        except TooMuch:
            return None

    def _free(self) -> list[Hole]:
        """The outer choices of which nothing is required."""
        grouped = {hole.path for group in self._groups for hole in group.holes}
        return [hole for hole in self.holes if not hole.under and hole.path not in grouped]

    def _endless(self) -> Hole | None:
        return next((hole for hole in self.holes if hole.options is None), None)

    # ---- listing

    def points(self) -> Iterator[Point]:
        """All points, whatever is required, in written order. Raises SpecError if there is no end of them."""
        return self._points(is_bound=False)

    def valid(self) -> Iterator[Point]:
        """The points that meet what is required, in written order. Raises SpecError if there is no end of them."""
        return self._points(is_bound=True)

    def _points(self, is_bound: bool) -> Iterator[Point]:
        if endless := self._endless():
            raise SpecError(errors.EndlessSpace(span=endless.span, path=endless.path, numbers=endless.offer()))
        if is_bound and self._broken:
            return iter(())
        by_path = {hole.path: hole for hole in self.holes}
        required = (r for group in self._groups for r in group.requirements) if is_bound else ()
        walk = self._walk(self.holes, Group(self.holes, tuple(required)))
        return ({path: by_path[path].value(pick) for path, pick in picks.items()} for picks in walk)

    def _walk(self, known: Sequence[Hole], group: Group, work: Work | None = None) -> Iterator[dict[str, int]]:
        """Depth first; a requirement is asked as soon as its parameters are known. What is yielded changes later."""
        picks: dict[str, int] = {}
        trail: list[tuple[int, int]] = []
        required = group.by_param()
        at, option = _following(known, -1, picks), 0
        while True:
            if at < len(known) and option < (known[at].options or 0):
                picks[known[at].path] = option
                mine = required.get(known[at].param, ()) if known[at].param else ()
                if work:
                    work.done(5 + sum(r.work for r in mine))
                if not all(self._holds(r, picks) for r in mine):
                    option += 1
                else:
                    trail.append((at, option))
                    at, option = _following(known, at, picks), 0
                continue
            if at == len(known):
                yield picks
            else:
                picks.pop(known[at].path, None)
            if not trail:
                return
            at, option = trail.pop()
            option += 1

    # ---- validity

    def is_valid(self, point: Point) -> bool:
        """Whether a point is whole and meets what is required. Raises SpecError if it is of another space."""
        picks = picked(self.holes, point, self.root)
        there = (h for h in self.holes if not h.under or picks.get(h.under[-1][0]) == h.under[-1][1])
        return (
            all(h.path in picks for h in there)
            and not self._broken
            and all(self._holds(r, picks) for group in self._groups for r in group.requirements)
        )

    def _holds(self, requirement: Requirement, picks: Mapping[str, Pick]) -> bool:
        """Whether a requirement holds, as far as that is decided."""
        values = self._values(requirement, picks)
        return values is None or requirement.holds(values)

    def _values(self, requirement: Requirement, picks: Mapping[str, Pick]) -> dict[str, Known] | None:
        """What a requirement reads; None while some of it is open."""
        values: dict[str, Known] = {}
        for name in requirement.params:
            value = self._value(name, picks)
            if value is None:
                return None
            values[name] = value
        return values

    def _value(self, param: str, picks: Mapping[str, Pick]) -> Known | None:
        """The value of a parameter; None while it is open."""
        value, hole = self._params[param]
        while isinstance(value, Choice) and hole:
            pick = picks.get(hole.path)
            if pick is None:
                return None
            if value.range:
                return hole.value(pick)
            value, hole = value.options[int(pick)], next(iter(self._inside.get((hole.path, int(pick)), ())), None)
        return value.value if isinstance(value, Leaf) else None

    # ---- sampling

    def sample(self, rng: Random) -> Point:
        """A random point that meets what is required, each as likely as any other.

        Raises SpecError if there is none, or if `MAX_TRIES` draws give none.
        """
        if self._broken:
            raise SpecError(*self._broken)
        picks = self._drawn(rng, self._free())
        work = Work()
        for group in self._groups:
            picks |= self._drawn_from(rng, group, work)
        return {hole.path: hole.value(picks[hole.path]) for hole in self.holes if hole.path in picks}

    def covering(self, rng: Random, draws: int = 200) -> list[Point]:
        """Valid points of so many draws, as few of them as together take every option that was drawn.

        Raises SpecError if no point is valid.
        """
        many = {hole.path for hole in self.holes if (hole.options or _MANY) >= _MANY}
        seen: set[tuple[str, Value]] = set()
        points: list[Point] = []
        for _ in range(draws):
            point = self.sample(rng)
            taken = {(path, None if path in many else value) for path, value in point.items()}
            if not points or taken - seen:
                points.append(point)
                seen |= taken
        return points

    def _drawn_from(self, rng: Random, group: Group, work: Work) -> dict[str, Pick]:
        known = [hole for hole in group.holes if not hole.under]
        cost = 5 * len(known) + sum(r.work for r in group.requirements)
        tries = 0
        while not tries or (tries < MAX_TRIES and work.left > 0):
            tries += 1
            work.left -= cost
            picks = self._drawn(rng, known)
            if all(self._holds(r, picks) for r in group.requirements):
                return picks
        raise SpecError(errors.NoPoint(span=group.requirements[0].span, tried=f"none of {tries:,} random points"))

    def _drawn(self, rng: Random, known: Iterable[Hole]) -> dict[str, Pick]:
        picks: dict[str, Pick] = {}
        waiting = list(known)
        while waiting:
            hole = waiting.pop()
            numbers = hole.choice.range
            if numbers and numbers.step is None:
                picks[hole.path] = rng.uniform(numbers.lo, numbers.hi)
                continue
            at = rng.randrange(self._weights[hole.path])
            picks[hole.path] = pick = at if numbers else self._branch(hole, at)
            waiting += self._inside.get((hole.path, pick), ())
        return picks

    def _branch(self, hole: Hole, at: int) -> int:
        """The option that the `at`-th way to close a choice takes."""
        for option in range(len(hole.labels)):
            at -= math.prod(self._weights[h.path] for h in self._inside.get((hole.path, option), ()))
            if at < 0:
                return option
        raise IndexError(at)


def _following(known: Sequence[Hole], at: int, picks: Mapping[str, int]) -> int:
    """The position of the next choice that is there."""
    at += 1
    while at < len(known) and known[at].under and picks.get(known[at].under[-1][0]) != known[at].under[-1][1]:
        at += 1
    return at
