"""Plan: what a graph costs at least and at most, before the first token is paid for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from archc import errors
from archc.diagnostics import ArchcBug, Diagnostic, in_source_order
from archc.ir.check import check
from archc.ir.graph import Graph, Model
from archc.ir.op import Calls
from archc.ir.shape import Shape
from archc.passes import Step
from archc.values import Interval

QUESTION_TOKENS = 512
"""The longest question that a plan allows for, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Bounds of a node or of a whole plan. `usd` is None where a price is not known.

    `calls` are completions drawn. The upper ends hold for every run whose questions have at most the planned tokens
    and whose models count tokens alike; retries of failed attempts come on top. The lower ends hold when no call fails.
    """

    calls: Interval
    prompt_tokens: Interval
    completion_tokens: Interval
    usd: tuple[float, float] | None

    @property
    def tokens(self) -> Interval:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Cost) -> Cost:
        usd = None
        if self.usd is not None and other.usd is not None:
            usd = (self.usd[0] + other.usd[0], self.usd[1] + other.usd[1])
        return Cost(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            usd,
        )

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form; intervals are `[lo, hi]`."""
        return {
            "calls": [self.calls.lo, self.calls.hi],
            "prompt_tokens": [self.prompt_tokens.lo, self.prompt_tokens.hi],
            "completion_tokens": [self.completion_tokens.lo, self.completion_tokens.hi],
            "tokens": [self.tokens.lo, self.tokens.hi],
            "usd": list(self.usd) if self.usd is not None else None,
        }


FREE = Cost(Interval(0, 0), Interval(0, 0), Interval(0, 0), (0.0, 0.0))


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node's part of the plan."""

    id: str
    op: str
    model: str
    """The model it asks; empty if none."""
    cost: Cost
    depth: Interval
    """Calls within the node that must wait for each other."""
    shape: Shape
    """What leaves the node."""

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "id": self.id,
            "op": self.op,
            "model": self.model,
            **self.cost.as_json(),
            "depth": [self.depth.lo, self.depth.hi],
            "candidates": [self.shape.size.lo, self.shape.size.hi],
            "facets": sorted(self.shape.facets),
        }


@dataclass(frozen=True)
class Plan:
    """A graph with its bounds; ready to run."""

    graph: Graph
    nodes: tuple[NodePlan, ...]
    cost: Cost
    depth: Interval
    """Calls that must wait for each other from the question to the answer: the critical path."""
    question_tokens: int
    warnings: tuple[Diagnostic, ...]
    steps: tuple[Step, ...] = ()
    """The passes that led here."""

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "name": self.graph.name,
            "question_tokens": self.question_tokens,
            "nodes": [node.as_json() for node in self.nodes],
            "outputs": list(self.graph.outputs),
            "passes": [{"name": step.name, "removed": step.removed} for step in self.steps],
            "total": {**self.cost.as_json(), "depth": [self.depth.lo, self.depth.hi]},
            "warnings": [warning.as_json() for warning in self.warnings],
        }


def plan(graph: Graph, question_tokens: int = QUESTION_TOKENS, steps: Iterable[Step] = ()) -> Plan:
    """Bounds for every node and for the whole, for questions of at most `question_tokens`.

    `steps` are the passes that led to the graph; warnings are about the graph before them, the one that was written.
    Raises ArchcBug for a graph that does not check.
    """
    steps = tuple(steps)
    if broken := [d for d in check(graph) if d.severity == "error"]:
        raise ArchcBug(f"a broken graph reached the planner: {broken[0].headline}")
    warnings = check(steps[0].before if steps else graph)
    shapes = graph.shapes(question_tokens)
    nodes = []
    for node in graph.nodes:
        before, after = shapes[node.id]
        prices = node.op.calls(before)
        cost = sum((_cost(price, graph.model(price.model)) for price in prices), FREE)
        model = ", ".join(dict.fromkeys(node.op.models.values()))
        nodes.append(NodePlan(node.id, node.op.name, model, cost, node.op.depth(before), after))
    total = sum((n.cost for n in nodes), FREE)
    found = in_source_order([*warnings, *_budget(graph, total)])
    return Plan(graph, tuple(nodes), total, graph.depth(question_tokens), question_tokens, found, steps)


def _cost(price: Calls, model: Model) -> Cost:
    prompt = price.count * price.prompt
    completion = Interval(0, price.count.hi * price.completion)
    rate = model.shared.price
    usd = None
    if rate:
        at = (rate.prompt / 1e6, rate.completion / 1e6)
        usd = (prompt.lo * at[0] + completion.lo * at[1], prompt.hi * at[0] + completion.hi * at[1])
    elif price.count.hi == 0:
        usd = (0.0, 0.0)
    return Cost(price.count, prompt, completion, usd)


def _budget(graph: Graph, total: Cost) -> list[Diagnostic]:
    limits = [("calls", graph.budget.calls, total.calls), ("tokens", graph.budget.tokens, total.tokens)]
    return [
        errors.BudgetTooSmall(span=graph.budget_span, unit=unit, limit=limit, least=needs.lo, most=needs.hi)
        for unit, limit, needs in limits
        if limit is not None and limit < needs.lo
    ]
