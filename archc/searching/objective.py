"""Objective: what a search makes as large as possible, and what must hold, as expressions over a trial's figures."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from archc import errors
from archc.bench.metrics.intervals import percentile
from archc.bench.summary import Record
from archc.diagnostics import SpecError, did_you_mean
from archc.planning.plan import Plan
from archc.source import Source, Span
from archc.spec import conditions
from archc.spec.conditions import Expr
from archc.spec.expressions import Comparison

PER_ITEM: Final = {
    "accuracy": "the share of right answers",
    "score": "the mean score of the grader, from 0 to 1",
    "failed": "the share of questions without an answer",
    "abstained": "the share of questions where it says that there is none",
    "calls": "completions drawn for a question",
    "tokens": "prompt and completion tokens of a question",
    "prompt_tokens": "tokens of all prompts of a question",
    "completion_tokens": "tokens that models write for a question",
    "usd": "what a question costs, by the models' prices",
}
"""Figures that every item has; of a trial, their means."""
TIMES: Final = {
    "seconds": "how long a question takes, on average, among those that are not answered from the journal",
    "p95_seconds": "the time that 95 % of these questions take at most",
}
STATIC: Final = {
    "max_calls": "the most completions that a question can take",
    "max_tokens": "the most tokens that a question can take",
    "max_usd": "the most that a question can cost",
    "depth": "the most calls that wait for each other",
}
"""Figures that the plan has, before anything is measured."""
LEAST: Final = ("calls", "tokens", "prompt_tokens", "completion_tokens", "usd")
"""Measured figures of which the plan knows the least that they can be."""

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Goal:
    """An expression to be made as large as possible, or as small."""

    text: str
    expr: Expr
    sign: int = 1
    """-1 where it is to be small."""

    def value(self, figures: Figures) -> float:
        """What is to be large."""
        return self.sign * float(conditions.evaluate(self.expr, figures))

    @property
    def shown(self) -> str:
        """As people read it."""
        return f"{'largest' if self.sign > 0 else 'smallest'} {self.text}"


@dataclass(frozen=True)
class Constraint:
    """A comparison that must hold."""

    text: str
    expr: Comparison

    def violation(self, figures: Figures) -> float:
        """How far it is from holding, as a share of the limit's size; 0 or less where it holds."""
        left, right = (float(conditions.evaluate(side, figures)) for side in (self.expr.left, self.expr.right))
        beyond = left - right if self.expr.operator[0] == "<" else right - left
        holds = bool(conditions.evaluate(self.expr, figures))
        beyond /= max(abs(right), abs(left), 1e-9)
        return min(0.0, beyond) if holds else max(1e-9, beyond)

    def is_hopeless(self, bounds: tuple[Figures, Figures]) -> bool:
        """Whether it cannot hold, whatever is measured between the least and the most of each figure."""
        names = sorted(conditions.names(self.expr))
        if len(names) > 8 or not all(name in ends for name in names for ends in bounds):
            return False
        # what is linear in each figure is most and least at the corners
        corners = itertools.product(*((bounds[0][name], bounds[1][name]) for name in names))
        return all(self.violation(dict(zip(names, corner, strict=True))) > 0 for corner in corners)


@dataclass(frozen=True)
class Aim:
    """All that a search wants: goals, of which several make a Pareto front, and constraints."""

    goals: tuple[Goal, ...]
    constraints: tuple[Constraint, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The figures that it reads."""
        exprs = [*(goal.expr for goal in self.goals), *(one.expr for one in self.constraints)]
        return frozenset().union(*map(conditions.names, exprs))

    @property
    def is_timed(self) -> bool:
        """Whether it asks how long a question takes."""
        return bool(self.names & TIMES.keys())

    def values(self, figures: Figures) -> tuple[float, ...]:
        """Of every goal, to be large."""
        return tuple(goal.value(figures) for goal in self.goals)

    def told(self, figures: Figures) -> str:
        """The goals' values for people."""
        return ", ".join(f"{goal.text} {goal.sign * goal.value(figures):.4g}" for goal in self.goals)

    def violations(self, figures: Figures) -> tuple[float, ...]:
        """Of every constraint. Where a figure is not known, it holds so far."""
        known = (conditions.names(one.expr) <= figures.keys() for one in self.constraints)
        return tuple(
            one.violation(figures) if is_known else 0.0 for one, is_known in zip(self.constraints, known, strict=True)
        )

    def allows(self, plan: Plan) -> bool:
        """Whether no constraint is broken by what the plan knows already."""
        bounds = static_bounds(plan)
        return not any(one.is_hopeless(bounds) for one in self.constraints)


def aim_of(maximise: Sequence[str], minimise: Sequence[str], subject_to: Sequence[str]) -> Aim:
    """The aim that such texts mean; the largest accuracy without any goal. Raises SpecError with all that is wrong."""
    found: list[SpecError] = []
    goals, constraints = [], []
    for sign, texts in ((1, maximise if maximise or minimise else ("accuracy",)), (-1, minimise)):
        for text in texts:
            try:
                goals.append(Goal(text, _expression(text), sign))
            except SpecError as error:
                found.append(error)
    for text in subject_to:
        try:
            constraints.append(Constraint(text, _comparison(text)))
        except SpecError as error:
            found.append(error)
    if found:
        raise SpecError(*(d for error in found for d in error.diagnostics))
    return Aim(tuple(goals), tuple(constraints))


def _expression(text: str) -> Expr:
    source = Source("objective", text)
    expr = conditions.parse_condition(text, lambda first, last: Span(source, first, last))
    known = {**PER_ITEM, **TIMES, **STATIC}
    for name in conditions.names_within(expr):
        if name.name not in known:
            hint = did_you_mean(name.name, known) or f"known: {', '.join(known)}"
            raise SpecError(errors.UnknownFigure(span=name.span, figure=name.name, hint=hint))
    return expr


def _comparison(text: str) -> Comparison:
    expr = _expression(text)
    if not isinstance(expr, Comparison) or expr.operator not in ("<", "<=", ">", ">="):
        raise SpecError(errors.UnfitConstraint(span=expr.span, text=text))
    return expr


# ---- figures


def static_figures(plan: Plan) -> dict[str, float]:
    """What a plan knows for certain."""
    cost = plan.cost
    usd = {} if cost.usd is None else {"max_usd": cost.usd[1]}
    return {
        "max_calls": float(cost.calls.hi),
        "max_tokens": float(cost.tokens.hi),
        "depth": float(plan.depth.hi),
        **usd,
    }


def static_bounds(plan: Plan) -> tuple[Figures, Figures]:
    """The least and the most of every figure that a plan knows something of."""
    cost, static = plan.cost, static_figures(plan)
    shares = ("accuracy", "score", "failed", "abstained")
    least: dict[str, float] = {**static, **dict.fromkeys(shares, 0.0)}
    most: dict[str, float] = {**static, **dict.fromkeys(shares, 1.0)}
    for name in LEAST:
        bound = getattr(cost, name)
        if bound is not None:
            low, high = bound if isinstance(bound, tuple) else (bound.lo, bound.hi)
            least[name], most[name] = float(low), float(high)
    return least, most


def of_item(record: Record) -> dict[str, float]:
    """The figures of one item."""
    return {
        "accuracy": float(record["correct"]),
        "score": float(record["score"]),
        "failed": float(record["status"] == "failed"),
        "abstained": float(record["abstained"]),
        **{unit: float(record[unit]) for unit in LEAST},
    }


def figures(plan: Plan, records: Sequence[Record], timed: Sequence[float] = ()) -> dict[str, float]:
    """The figures of a trial with these items, at least one; `timed` are seconds that questions really took."""
    items = [of_item(record) for record in records]
    times = {"seconds": fmean(timed), "p95_seconds": percentile(timed, 0.95)} if timed else {}
    return {name: fmean(item[name] for item in items) for name in PER_ITEM} | times | static_figures(plan)
