"""Plan: what a graph costs at least and at most, before the first token is paid for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from archc import errors
from archc.diagnostics import ArchcBug, Diagnostic, in_source_order
from archc.ir.check import check
from archc.ir.graph import Graph
from archc.ir.region import Node
from archc.ir.shape import Shape
from archc.passes import Step
from archc.planning.bounds import Bound, Bounds, Whole
from archc.planning.cost import Cost
from archc.values import Interval

QUESTION_TOKENS = 512
"""The longest question that a plan allows for, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node's part of the plan; that of a node with blocks holds what is in them."""

    id: str
    op: str
    model: str
    """The model it asks; empty if none."""
    cost: Cost
    depth: Interval
    """Calls within the node that must wait for each other."""
    shape: Shape
    """What leaves the node."""
    level: int = 0
    """How many blocks it lies in."""

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
            "level": self.level,
        }


@dataclass(frozen=True, slots=True)
class Saving:
    """What one pass changed."""

    name: str
    removed: tuple[str, ...]
    """The nodes that are gone."""
    graph: Graph
    """The graph after it."""
    before: Whole
    after: Whole

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        bounds = {"before": self.before, "after": self.after}
        totals = {when: {**whole.cost.as_json(), "depth": [*astuple(whole.depth)]} for when, whole in bounds.items()}
        return {"name": self.name, "removed": list(self.removed), **totals}


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
    recipe: Mapping[str, Any] | None = None
    """All that it was made of, JSON-ready, so that it can be made again elsewhere; None if that is not known."""

    @property
    def savings(self) -> tuple[Saving, ...]:
        """What each pass saved that changed something."""
        arrives = Shape(question=self.question_tokens)
        found = []
        for step in self.steps:
            if step.before.body != step.after.body:
                before, after = (Bounds(graph).of(graph.body, arrives) for graph in (step.before, step.after))
                found.append(Saving(step.name, tuple(step.removed), step.after, before, after))
        return tuple(found)

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "name": self.graph.name,
            "question_tokens": self.question_tokens,
            "nodes": [node.as_json() for node in self.nodes],
            "outputs": list(self.graph.outputs),
            "passes": [saving.as_json() for saving in self.savings],
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
    written = steps[0].before if steps else graph
    warnings = [*written.warnings, *check(written)]
    whole = Bounds(graph).of(graph.body, Shape(question=question_tokens))
    nodes = tuple(_node(node, level, whole.nodes) for node, level in graph.levels() if node.id in whole.nodes)
    found = in_source_order([*warnings, *_budget(graph, whole.cost), *_surprise(graph, whole)])
    return Plan(graph, nodes, whole.cost, whole.depth, question_tokens, found, steps)


def _node(node: Node, level: int, bounds: Mapping[str, Bound]) -> NodePlan:
    bound = bounds[node.id]
    model = ", ".join(dict.fromkeys(node.op.models.values()))
    return NodePlan(node.id, node.op.name, model, bound.cost, bound.depth, bound.shape, level)


SURPRISE = 20
"""A plan whose most is so many times its least deserves a word."""


def _surprise(graph: Graph, whole: Whole) -> list[Diagnostic]:
    most, least = whole.cost.calls.hi, max(1, whole.cost.calls.lo)
    if graph.budget.calls is not None:
        most = min(most, graph.budget.calls)
    if most <= SURPRISE * least:
        return []
    widest = max(graph.nodes, key=lambda n: whole.nodes[n.id].cost.calls.hi - whole.nodes[n.id].cost.calls.lo)
    return [errors.CostSurprise(span=widest.span, most=most, least=least, suggested=SURPRISE * least)]


def _budget(graph: Graph, total: Cost) -> list[Diagnostic]:
    budget = graph.budget
    limits = [
        ("calls", budget.calls, total.calls),
        ("tokens", budget.tokens, total.tokens),
        ("prompt_tokens", budget.prompt_tokens, total.prompt_tokens),
        ("completion_tokens", budget.completion_tokens, total.completion_tokens),
    ]
    return [
        errors.BudgetTooSmall(span=graph.budget_span, unit=unit, limit=limit, least=needs.lo, most=needs.hi)
        for unit, limit, needs in limits
        if limit is not None and limit < needs.lo
    ]
