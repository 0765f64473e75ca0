"""Graph: what a spec means. Frozen nodes in topological order; networkx is used here and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from archc.calls import BackendOptions, Capabilities
from archc.ir.op import Op
from archc.ir.shape import Shape
from archc.source import Source, Span
from archc.spec.model import Budget, Rules, SharedOptions
from archc.values import Interval


@dataclass(frozen=True)
class Model:
    """A model that ops ask: where it is, how it may be used, what its backend can do."""

    name: str
    shared: SharedOptions
    options: BackendOptions
    capabilities: Capabilities
    span: Span


@dataclass(frozen=True)
class Node:
    """One op in its place. `inputs` are node ids; none means the bare question."""

    id: str
    op: Op
    inputs: tuple[str, ...]
    span: Span
    """The step in the spec it came from."""
    site: int
    """Tells its samples from those of an equal op elsewhere in the graph."""
    arg_spans: Mapping[str, Span] = field(default_factory=dict)

    def place(self, arg: str) -> Span:
        """Where an argument was written, or the step."""
        return self.arg_spans.get(arg, self.span)


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order; the answer is the first candidate of the outputs, put one after the other."""

    name: str
    source: Source
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    models: tuple[Model, ...]
    budget: Budget
    budget_span: Span | None
    rules: Rules

    @cached_property
    def by_id(self) -> Mapping[str, Node]:
        """Nodes by id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each node."""
        readers: dict[str, list[Node]] = {node.id: [] for node in self.nodes}
        for node in self.nodes:
            for source in node.inputs:
                readers[source].append(node)
        return {name: tuple(nodes) for name, nodes in readers.items()}

    def model(self, name: str) -> Model:
        """The model of that name."""
        return next(m for m in self.models if m.name == name)

    def shapes(self, question: int = 0) -> Mapping[str, tuple[Shape, Shape]]:
        """For each node the shape that arrives and the one that leaves, for a question of at most so many tokens."""
        if question not in self._shapes:
            self._shapes[question] = self._shapes_for(question)
        return self._shapes[question]

    @cached_property
    def _shapes(self) -> dict[int, Mapping[str, tuple[Shape, Shape]]]:
        return {}

    def _shapes_for(self, question: int) -> Mapping[str, tuple[Shape, Shape]]:
        start = Shape(question=question)
        shapes: dict[str, tuple[Shape, Shape]] = {}
        for node in self.nodes:
            before = Shape.concat([shapes[i][1] for i in node.inputs], start)
            shapes[node.id] = (before, node.op.shape(before))
        return shapes

    def output_shape(self) -> Shape:
        """The shape of what the graph gives."""
        shapes = self.shapes()
        return Shape.concat([shapes[o][1] for o in self.outputs], Shape())

    def keys(self) -> Mapping[str, str]:
        """The content key of each node: SHA-256 of op, parameters, site and the keys of its inputs."""
        keys: dict[str, str] = {}
        for node in self.nodes:
            content = [node.op.name, node.op.model_dump(mode="json"), node.site, [keys[i] for i in node.inputs]]
            keys[node.id] = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return keys

    def view(self) -> Any:
        """The graph for networkx's algorithms."""
        import networkx

        view: Any = networkx.DiGraph()
        view.add_nodes_from(node.id for node in self.nodes)
        view.add_edges_from((source, node.id) for node in self.nodes for source in node.inputs)
        return view

    def longest_path(self, weight: Mapping[str, int]) -> list[str]:
        """The path of nodes with the greatest sum of weights: the critical path when they are depths."""
        import networkx

        view = self.view()
        for source, target in view.edges:
            view.edges[source, target]["weight"] = weight[source]
        for output in self.outputs:
            view.add_edge(output, "", weight=weight[output])
        return [n for n in networkx.dag_longest_path(view) if n]

    def depth(self, question: int = 0) -> Interval:
        """Calls that must wait for each other from the question to the answer."""
        shapes = self.shapes(question)
        depths = {node.id: node.op.depth(shapes[node.id][0]) for node in self.nodes}
        lo = sum(depths[n].lo for n in self.longest_path({n: d.lo for n, d in depths.items()}))
        hi = sum(depths[n].hi for n in self.longest_path({n: d.hi for n, d in depths.items()}))
        return Interval(lo, hi)
