"""Bounds: what a region costs and how long its calls wait for each other, given what arrives at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce

from archc.ir.control import Control, Visit
from archc.ir.graph import Graph
from archc.ir.op import Calls, Op
from archc.ir.region import Node, Region
from archc.ir.shape import Shape
from archc.planning.cost import FREE, Cost, cost_of
from archc.values import Interval

ONCE = Interval(1, 1)
NEVER = Interval(0, 0)


@dataclass(frozen=True, slots=True)
class Bound:
    """Of a node, with its blocks."""

    cost: Cost
    depth: Interval
    """Calls that wait for each other within one run of it."""
    shape: Shape
    """What leaves."""

    def beside(self, other: Bound) -> Bound:
        """Of both of two runs."""
        return Bound(self.cost + other.cost, self.depth.hull(other.depth), self.shape.hull(other.shape))


@dataclass(frozen=True, slots=True)
class Whole:
    """Of a region: its total, and each node's part in it, those in blocks too."""

    cost: Cost
    depth: Interval
    nodes: Mapping[str, Bound]


Paced = Callable[[Node, Shape], Interval]
"""How long a step without blocks takes on what arrives, in any unit."""


class Bounds:
    """Remembers what it knows of each region: loops run the same block on the same shapes."""

    def __init__(self, graph: Graph, pace: Paced | None = None) -> None:
        """By default depths are in calls."""
        self._graph = graph
        self._pace = pace or _in_calls
        self._known: dict[tuple[int, Shape], Whole] = {}

    def of(self, region: Region, arrives: Shape) -> Whole:
        """The bounds of one run of a region."""
        key = (id(region), arrives)
        if key not in self._known:
            self._known[key] = self._of(region, arrives)
        return self._known[key]

    def _of(self, region: Region, arrives: Shape) -> Whole:
        nodes: dict[str, Bound] = {}
        until: dict[str, Interval] = {}
        total = FREE
        flow = region.flow(arrives)
        for node in region.nodes:
            before, after = flow[node.id]
            own = self._own(node, before)
            if isinstance(node.op, Control):
                blocks, depth, inner = self._control(node.op, before)
                _merge(nodes, inner, ONCE)
            else:
                blocks, depth = FREE, self._pace(node, before)
            nodes[node.id] = Bound(own + blocks, depth, after)
            until[node.id] = _latest(node, until) + depth
            total = total + own + blocks
        ends = list(until.values()) or [NEVER]  # a run is over when all are done, read or not
        return Whole(total, Interval(max(e.lo for e in ends), max(e.hi for e in ends)), nodes)

    def _own(self, node: Node, before: Shape) -> Cost:
        cost = FREE
        for calls in node.op.calls(before):
            calls = drawn(node, before, calls)
            cost = cost + cost_of(calls, self._graph.model(calls.model))
        return cost

    def _control(self, op: Control, before: Shape) -> tuple[Cost, Interval, Mapping[str, Bound]]:
        visits = op.visits(before)
        wholes = [self.of(op.blocks[visit.block], visit.arrives) for visit in visits]
        nodes: dict[str, Bound] = {}
        for visit, whole in zip(visits, wholes, strict=True):
            _merge(nodes, whole.nodes, visit.times)
        cost = reduce(Cost.hull if op.exclusive else Cost.__add__, _costs(op, visits, wholes))
        limit = op.limit
        return cost.within(limit) if limit else cost, op.waits([whole.depth for whole in wholes], before), nodes


def _costs(op: Control, visits: tuple[Visit, ...], wholes: list[Whole]) -> Iterator[Cost]:
    if op.skips:
        yield FREE
    for visit, whole in zip(visits, wholes, strict=True):
        yield whole.cost if op.exclusive else whole.cost * visit.times
    if not visits:
        yield FREE


def _in_calls(node: Node, before: Shape) -> Interval:
    return lowered(node.op, before, node.op.depth(before))


def drawn(node: Node, before: Shape, calls: Calls) -> Calls:
    """What a node asks in its place: fewer where samples may be enough before all are there."""
    count = lowered(node.op, before, calls.count)
    if node.enough:
        count = Interval(min(node.least, count.lo), count.hi)
    return calls if count is calls.count else replace(calls, count=count)


def lowered(op: Op, before: Shape, count: Interval) -> Interval:
    """From 0 on, where all that arrives may be abstentions, over which the op passes."""
    return Interval(0, count.hi) if before.may_abstain and op.reads_candidates and not op.blocks else count


def _latest(node: Node, until: Mapping[str, Interval]) -> Interval:
    ends = [until[name] for name in node.reads if name in until]
    return Interval(max((e.lo for e in ends), default=0), max((e.hi for e in ends), default=0))


def _merge(nodes: dict[str, Bound], more: Mapping[str, Bound], times: Interval) -> None:
    for name, bound in more.items():
        bound = bound if times == ONCE else replace(bound, cost=bound.cost * times)
        nodes[name] = nodes[name].beside(bound) if name in nodes else bound
