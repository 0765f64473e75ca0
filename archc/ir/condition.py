"""Condition: a test over a candidate set and what was spent, typed before it is ever run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from archc.calls import NOTHING, Spend
from archc.ir.statistics import ROUND, STATISTICS, needed, values
from archc.source import Span
from archc.spec.conditions import Expr, evaluate, names, text_of
from archc.values import Answer, Candidate, CandidateSet, Facet, Facets, Text

_OF_ANSWERS = {name for name, statistic in STATISTICS.items() if statistic.needs <= {Facet.ANSWER}} | {ROUND}
"""Names whose values one answer settles."""


@dataclass(frozen=True)
class Condition:
    """A pure expression. Two are equal if they say the same."""

    expr: Expr
    span: Span = field(compare=False)

    @cached_property
    def text(self) -> str:
        """Its canonical text."""
        return text_of(self.expr)

    @cached_property
    def names(self) -> frozenset[str]:
        """What it asks for."""
        return names(self.expr)

    @property
    def needs(self) -> Facets:
        """The facets that every candidate must have."""
        return needed(self.names)

    @staticmethod
    def needs_of(name: str) -> Facets:
        """The facets that one name needs."""
        return needed([name])

    @property
    def holds_of_one_answer(self) -> bool:
        """Whether it is true of any single answer, whatever that is."""
        if not self.names <= _OF_ANSWERS:
            return False
        return self.holds(CandidateSet((Candidate((Text("x"),), answer=Answer("x", "x")),)), rounds=1)

    @property
    def counts_spending(self) -> bool:
        """Whether it depends on what was spent."""
        return any("." in name for name in self.names)

    def holds(self, candidates: CandidateSet, rounds: int = 0, spent: Spend = NOTHING, left: Spend = NOTHING) -> bool:
        """Its value; `rounds` are those done."""
        return bool(evaluate(self.expr, values(self.names, candidates, rounds, spent, left)))
