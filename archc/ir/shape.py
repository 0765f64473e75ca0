"""Shape: what is known of a candidate set before it exists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from archc.values import OF_CANDIDATES, Facet, Facets, Interval

NONE = Interval(0, 0)
ONE = Interval(1, 1)


@dataclass(frozen=True, slots=True)
class Shape:
    """The type of a candidate set: how many, with which facets, and at most how long (in tokens)."""

    size: Interval = NONE
    facets: Facets = frozenset()
    """The facets that every candidate has, but for those whose call failed."""
    tokens: int = 0
    """One candidate's text."""
    critique: int = 0
    """One candidate's critique."""
    reason: int = 0
    """The reason of one candidate's verdict."""
    tests: int = 0
    """All tests together."""
    question: int = 0
    """The conversation that leads to the question."""
    may_abstain: bool = False
    """Whether candidates may be abstentions, over which most ops pass without a call."""
    around: tuple[tuple[str, Shape], ...] = ()
    """The named values from around a region that it reads, by node."""

    @property
    def notes(self) -> int:
        """One candidate's critique and verdict together."""
        return self.critique + self.reason

    def fresh(self, size: Interval, tokens: int, *adds: Facet) -> Shape:
        """New candidates: every facet of the old ones is gone."""
        facets = (self.facets - OF_CANDIDATES) | frozenset(adds)
        return Shape(size, facets, tokens, tests=self.tests, question=self.question)

    def adding(self, *adds: Facet, notes: int = 0, size: Interval | None = None) -> Shape:
        """The same candidates (or `size` of them) with more facets; `notes` are the tokens of what is added."""
        if not adds:
            return self._of(size, self.facets) if size and size is not self.size else self
        return replace(
            self,
            facets=self.facets.union(adds),
            critique=notes if Facet.CRITIQUE in adds else self.critique,
            reason=notes if Facet.VERDICT in adds else self.reason,
            size=size or self.size,
        )

    def one(self) -> Shape:
        """A single one of the candidates."""
        return self if self.size == ONE else self._of(ONE, self.facets)

    def hull(self, other: Shape) -> Shape:
        """What holds whichever of the two it is."""
        if self == other:
            return self
        facets = _common((self, other)) | (self.facets & other.facets - OF_CANDIDATES)
        return self._wider(other)._of(self.size.hull(other.size), facets, max(self.tests, other.tests))

    def covering(self, other: Shape) -> Shape:
        """The same, with its upper ends raised to hold for `other`, which may stand in when calls fail."""
        size = Interval(self.size.lo, max(self.size.hi, other.size.hi))
        return self._wider(other)._of(size, self.facets)

    def _of(self, size: Interval, facets: Facets, tests: int | None = None) -> Shape:
        """The same but for these; quicker than `replace`, and asked for at every node."""
        tests = self.tests if tests is None else tests
        lengths = (self.tokens, self.critique, self.reason, tests, self.question)
        return Shape(size, facets, *lengths, self.may_abstain, self.around)

    def _wider(self, other: Shape) -> Shape:
        """The greater of all lengths."""
        return Shape(
            self.size,
            self.facets,
            max(self.tokens, other.tokens),
            max(self.critique, other.critique),
            max(self.reason, other.reason),
            self.tests,
            self.question,
            self.may_abstain or other.may_abstain,
            self.around,
        )

    @classmethod
    def concat(cls, shapes: list[Shape], start: Shape) -> Shape:
        """The shape of sets put one after the other; `start` is that of the bare question."""
        if not shapes:
            return start
        if len(shapes) == 1:
            return shapes[0]
        return replace(
            reduce(Shape._wider, shapes),
            size=Interval(sum(s.size.lo for s in shapes), sum(s.size.hi for s in shapes)),
            facets=_common(shapes) | (frozenset().union(*(s.facets for s in shapes)) - OF_CANDIDATES),
            tests=sum(s.tests for s in shapes),
            around=(),
        )

    def __str__(self) -> str:
        names = "".join(f" +{name}" for name in sorted(self.facets))
        return f"[{self.size}]{names}"


def _common(shapes: Iterable[Shape]) -> Facets:
    """The facets that every candidate of any of them has."""
    full = [s.facets for s in shapes if s.size.hi]
    return frozenset.intersection(*full) & OF_CANDIDATES if full else frozenset()
