"""Shape: what is known of a candidate set before it exists."""

from __future__ import annotations

from dataclasses import dataclass, replace

from archc.values import OF_CANDIDATES, Facet, Facets, Interval

NONE = Interval(0, 0)


@dataclass(frozen=True, slots=True)
class Shape:
    """The type of a candidate set: how many, with which facets, and at most how long (in tokens)."""

    size: Interval = NONE
    facets: Facets = frozenset()
    """The facets that every candidate has, but for those whose call failed."""
    tokens: int = 0
    """One candidate's text."""
    notes: int = 0
    """One candidate's critique and verdict together."""
    tests: int = 0
    """All tests together."""
    question: int = 0
    """The conversation that leads to the question."""

    def fresh(self, size: Interval, tokens: int, *adds: Facet) -> Shape:
        """New candidates: every facet of the old ones is gone."""
        return replace(self, size=size, tokens=tokens, notes=0, facets=(self.facets - OF_CANDIDATES) | frozenset(adds))

    def adding(self, *adds: Facet, notes: int = 0, size: Interval | None = None) -> Shape:
        """The same candidates (or `size` of them) with more facets."""
        return replace(self, facets=self.facets | frozenset(adds), notes=self.notes + notes, size=size or self.size)

    @classmethod
    def concat(cls, shapes: list[Shape], start: Shape) -> Shape:
        """The shape of sets put one after the other; `start` is that of the bare question."""
        if not shapes:
            return start
        size = sum((s.size for s in shapes), Interval(0, 0))
        with_candidates = [s.facets for s in shapes if s.size.hi]
        common = frozenset.intersection(*with_candidates) & OF_CANDIDATES if with_candidates else frozenset()
        tests = frozenset().union(*(s.facets for s in shapes)) - OF_CANDIDATES
        return replace(
            start,
            size=size,
            facets=common | tests,
            tokens=max(s.tokens for s in shapes),
            notes=max(s.notes for s in shapes),
            tests=sum(s.tests for s in shapes),
        )

    def __str__(self) -> str:
        names = "".join(f" +{name}" for name in sorted(self.facets))
        return f"[{self.size}]{names}"
