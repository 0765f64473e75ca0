"""Values that flow between ops: candidates with facets, in sets of a known size interval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from archc.calls import Failed


class Facet(StrEnum):
    """What an op may know of a candidate (`tests`, `asserts`: of the question) beside its text."""

    CRITIQUE = "critique"
    SCORE = "score"
    VERDICT = "verdict"
    ANSWER = "answer"
    LOGPROB = "logprob"
    TESTS = "tests"
    ASSERTS = "asserts"


Facets = frozenset[Facet]
OF_CANDIDATES: Facets = frozenset(Facet) - {Facet.TESTS, Facet.ASSERTS}
"""The facets that describe a candidate's text, and so end with it."""


def facets(*names: Facet) -> Facets:
    """A set of facets."""
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Interval:
    """All whole numbers from `lo` to `hi`, both included."""

    lo: int
    hi: int

    def __post_init__(self) -> None:
        if not 0 <= self.lo <= self.hi:
            raise ValueError(f"not an interval: {self.lo}..{self.hi}")

    @classmethod
    def exactly(cls, number: int) -> Interval:
        """The interval of one number."""
        return cls(number, number)

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.lo + other.lo, self.hi + other.hi)

    def __mul__(self, factor: int | Interval) -> Interval:
        by = factor if isinstance(factor, Interval) else Interval.exactly(factor)
        return Interval(self.lo * by.lo, self.hi * by.hi)

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that covers both."""
        return Interval(min(self.lo, other.lo), max(self.hi, other.hi))

    def at_most(self, limit: int) -> Interval:
        """What is left after keeping at most `limit`."""
        return self if self.hi <= limit else Interval(min(self.lo, limit), limit)

    def at_least(self, limit: int) -> Interval:
        """Both ends raised to `limit`."""
        return Interval(max(self.lo, limit), max(self.hi, limit))

    def contains(self, number: int) -> bool:
        """Whether `number` lies inside."""
        return self.lo <= number <= self.hi

    def __str__(self) -> str:
        return str(self.lo) if self.lo == self.hi else f"{self.lo}..{self.hi}"


@dataclass(frozen=True, slots=True)
class Text:
    """A part of a candidate's content that is text."""

    text: str


Part = Text
"""One typed part of a candidate's content."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A canonical answer: the text to show and the key that equal answers share."""

    text: str
    key: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A binary judgement with its reason; `approvals` of `votes` were in favour."""

    passed: bool
    reason: str = ""
    approvals: int = 1
    votes: int = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible answer to the question: content, and facets that ops have added."""

    parts: tuple[Part, ...]
    critique: str | None = None
    score: float | None = None
    verdict: Verdict | None = None
    answer: Answer | None = None
    logprob: float | None = None
    """Mean log-probability per generated token, in nats."""
    truncated: bool = False
    """Whether the model stopped at `max_tokens`."""
    abstained: bool = False
    """Whether it says that there is no answer. Ops pass over it, and it never wins against one that is there."""

    @classmethod
    def of(cls, text: str) -> Candidate:
        """A candidate of plain text."""
        return cls((Text(text),))

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts)

    def bare(self) -> Candidate:
        """The content alone, without facets."""
        return Candidate(self.parts, truncated=self.truncated)


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """What flows: candidates in index order, the slots that failed, and the question's tests."""

    candidates: tuple[Candidate, ...] = ()
    failed: tuple[Failed, ...] = ()
    tests: tuple[str, ...] = ()
    """Statements that a judge can check."""
    asserts: tuple[str, ...] = ()
    """Tests in Python that can be run."""

    def __len__(self) -> int:
        return len(self.candidates)

    def with_candidates(self, candidates: Iterable[Candidate], failed: Iterable[Failed] = ()) -> CandidateSet:
        """The same set with other candidates; the tests stay, since they belong to the question."""
        return replace(self, candidates=tuple(candidates), failed=tuple(failed))

    @classmethod
    def concat(cls, sets: Iterable[CandidateSet]) -> CandidateSet:
        """All candidates in order; equal tests are kept once."""
        parts = list(sets)
        return cls(
            candidates=tuple(c for part in parts for c in part.candidates),
            failed=tuple(f for part in parts for f in part.failed),
            tests=tuple(dict.fromkeys(t for part in parts for t in part.tests)),
            asserts=tuple(dict.fromkeys(t for part in parts for t in part.asserts)),
        )
