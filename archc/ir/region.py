"""Region: a pipeline as nodes in topological order. A graph's body is one, and so is each block of a control op."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from archc.ir.op import Op
from archc.ir.shape import Shape
from archc.source import Span
from archc.values import Interval


@dataclass(frozen=True)
class Node:
    """One op in its place. `inputs` are ids of nodes, or of what arrives at a region; none is the bare question."""

    id: str
    op: Op
    inputs: tuple[str, ...]
    span: Span
    """The step in the spec it came from."""
    site: int
    """Tells its samples from those of an equal op elsewhere in the graph."""
    arg_spans: Mapping[str, Span] = field(default_factory=dict, hash=False)
    enough: str = ""
    """The node that tells when so many of its samples are there that the rest would change nothing."""
    least: int = 0
    """How many it draws at least, then."""

    @cached_property
    def where(self) -> str:
        """That step, as events tell it."""
        return str(self.span)

    def place(self, arg: str) -> Span:
        """Where an argument was written, or the step."""
        return self.arg_spans.get(arg, self.span)

    @property
    def reads(self) -> tuple[str, ...]:
        """All that must be there before it can run: its inputs, and what its blocks read from around them."""
        return (*self.inputs, *sorted(self.op.around)) if self.op.around else self.inputs

    @property
    def asks(self) -> int:
        """How many nodes that ask models are on the longest path through it: more than itself where it has blocks."""
        return max((block.longest for block in self.op.blocks.values()), default=0) + bool(self.op.models)


Flow = Mapping[str, tuple[Shape, Shape]]
"""By node: the shape that arrives and the one that leaves."""


@dataclass(frozen=True)
class Region:
    """Nodes in topological order; what leaves are the outputs, put one after the other."""

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    arrives: str = ""
    """The id of what arrives at it."""

    @cached_property
    def by_id(self) -> Mapping[str, Node]:
        """Its own nodes by id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that have each node, or what arrives, as an input."""
        readers: dict[str, list[Node]] = {self.arrives: [], **{node.id: [] for node in self.nodes}}
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                readers.setdefault(source, []).append(node)
        return {name: tuple(nodes) for name, nodes in readers.items()}

    @cached_property
    def known(self) -> dict[str, Any]:
        """What was found out about it, by those who would find it out again."""
        return {}

    @cached_property
    def behind(self) -> Mapping[str, int]:
        """For each node how many that ask models follow it, on the longest path to the end."""
        behind = {node.id: 0 for node in self.nodes}
        for node in reversed(self.nodes):
            here = behind[node.id] + node.asks
            for source in node.reads:
                if source in behind:
                    behind[source] = max(behind[source], here)
        return behind

    @cached_property
    def longest(self) -> int:
        """How many nodes that ask models are on the longest path through it."""
        return max((self.behind[node.id] + node.asks for node in self.nodes), default=0)

    @cached_property
    def around(self) -> frozenset[str]:
        """The nodes of regions around this one whose results it reads."""
        read = {source for node in self.nodes for source in node.reads} | set(self.outputs)
        return frozenset(read - self.by_id.keys() - {self.arrives})

    def only_reader(self, name: str) -> Node | None:
        """The node that reads what another gives, if it reads that alone and nobody else does."""
        readers = [node for node in self.nodes if name in node.reads]
        is_alone = len(readers) == 1 and readers[0].reads == (name,) and name not in self.outputs
        return readers[0] if is_alone else None

    def walk(self) -> Iterator[Node]:
        """Its nodes and those of their blocks, outer ones first, as written."""
        for node in self.nodes:
            yield node
            for block in node.op.blocks.values():
                yield from block.walk()

    def before(self, name: str) -> frozenset[str]:
        """The nodes of this region that are done before the one of that name can begin."""
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            near = set(self.by_id[waiting.pop()].reads) & self.by_id.keys() - seen
            seen |= near
            waiting += near
        return frozenset(seen)

    def flow(self, arrives: Shape) -> Flow:
        """For each of its nodes the shape that arrives and the one that leaves, given what arrives at the region."""
        if arrives not in self._flows:
            self._flows[arrives] = self._flow(arrives)
        return self._flows[arrives]

    @cached_property
    def _flows(self) -> dict[Shape, Flow]:
        return {}

    def _flow(self, arrives: Shape) -> Flow:
        bare = Shape(question=arrives.question)
        known = self._around(arrives)
        flow: dict[str, tuple[Shape, Shape]] = {}
        for node in self.nodes:
            before = Shape.concat([known[source] for source in node.inputs], bare)
            if node.op.around:
                before = replace(before, around=tuple((name, known[name]) for name in sorted(node.op.around)))
            known[node.id] = _leaving(node, before)
            flow[node.id] = (before, known[node.id])
        return flow

    def _around(self, arrives: Shape) -> dict[str, Shape]:
        """The shapes that it starts from, by name."""
        if not arrives.around:
            return {self.arrives: arrives}
        return {**dict(arrives.around), self.arrives: replace(arrives, around=())}

    def shape(self, arrives: Shape) -> Shape:
        """What leaves, given what arrives."""
        flow = self.flow(arrives)
        known = self._around(arrives)
        outputs = [flow[name][1] if name in flow else known[name] for name in self.outputs]
        return Shape.concat(outputs, Shape(question=arrives.question))

    def content(self) -> Any:
        """A JSON-ready form that equal regions share, with places in place of names."""
        place = {self.arrives: -1, **{node.id: index for index, node in enumerate(self.nodes)}}
        nodes = [
            [n.op.name, n.op.model_dump(mode="json"), n.site, [place.get(i, i) for i in n.inputs]] for n in self.nodes
        ]
        return [nodes, [place.get(i, i) for i in self.outputs]]


def _leaving(node: Node, before: Shape) -> Shape:
    op = node.op
    after = op.shape(before)
    if node.enough:
        after = after.adding(size=Interval(min(node.least, after.size.lo), after.size.hi))
    if before.may_abstain and op.reads_candidates and not op.blocks:
        size = after.size if op.annotates else Interval(min(after.size.lo, 1), after.size.hi)
        after = replace(after, may_abstain=True, size=size)
    return replace(after, around=()) if after.around else after
