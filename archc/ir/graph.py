"""Graph: what a spec means: a region, the models it asks and the budget it has. Frozen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from archc.calls import BackendOptions, Capabilities
from archc.diagnostics import Diagnostic
from archc.ir.region import Node, Region
from archc.ir.shape import Shape
from archc.source import Source, Span
from archc.spec.model import Budget, Rules, SharedOptions


@dataclass(frozen=True)
class Model:
    """A model that ops ask: where it is, how it may be used, what its backend can do."""

    name: str
    shared: SharedOptions
    options: BackendOptions
    capabilities: Capabilities
    span: Span


@dataclass(frozen=True)
class Graph:
    """The answer is the first candidate that leaves the body."""

    name: str
    source: Source
    body: Region
    models: tuple[Model, ...]
    budget: Budget
    budget_span: Span | None
    rules: Rules
    warnings: tuple[Diagnostic, ...] = ()
    """What was noticed while it was made."""
    spared: frozenset[str] = frozenset()
    """Models that would be asked if params were others."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes of the body, in topological order."""
        return self.body.nodes

    @property
    def outputs(self) -> tuple[str, ...]:
        """The nodes whose candidates leave."""
        return self.body.outputs

    @cached_property
    def every(self) -> tuple[Node, ...]:
        """All nodes, those in blocks too, outer ones first."""
        return tuple(self.body.walk())

    @cached_property
    def owners(self) -> Mapping[str, tuple[str, ...]]:
        """For each node in a block, the nodes in whose blocks it lies."""
        return {node.id: tuple(outer.id for outer in path) for node, path in _paths(self.body, ()) if path}

    def levels(self) -> Iterator[tuple[Node, int]]:
        """All nodes in the same order, each with the number of blocks it lies in."""
        return ((node, len(path)) for node, path in _paths(self.body, ()))

    @cached_property
    def by_id(self) -> Mapping[str, Node]:
        """All nodes by id."""
        return {node.id: node for node in self.every}

    @cached_property
    def asked(self) -> frozenset[str]:
        """The names of the models that some node asks."""
        return frozenset(name for node in self.every for name in node.op.models.values())

    @cached_property
    def _models(self) -> Mapping[str, Model]:
        return {model.name: model for model in self.models}

    @cached_property
    def known(self) -> dict[str, Any]:
        """What was found out about it, by those who would find it out again."""
        return {}

    def model(self, name: str) -> Model:
        """The model of that name."""
        return self._models[name]

    def output_shape(self, question: int = 0) -> Shape:
        """The shape of what the graph gives, for a question of at most so many tokens."""
        return self.body.shape(Shape(question=question))

    def keys(self) -> Mapping[str, str]:
        """The content key of each node of the body: SHA-256 of op, parameters, site and the keys of its inputs."""
        keys: dict[str, str] = {}
        for node in self.nodes:
            read = [keys[source] for source in node.reads]
            content = [node.op.name, node.op.model_dump(mode="json"), node.site, read]
            keys[node.id] = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return keys

    def view(self) -> Any:
        """The body for networkx's algorithms."""
        import networkx

        view: Any = networkx.DiGraph()
        view.add_nodes_from(node.id for node in self.nodes)
        view.add_edges_from((source, node.id) for node in self.nodes for source in node.reads)
        return view

    def longest_path(self, weight: Mapping[str, int]) -> list[str]:
        """The path of nodes of the body with the greatest sum of weights: the critical path when they are depths."""
        import networkx

        view = self.view()
        for source, target in view.edges:
            view.edges[source, target]["weight"] = weight[source]
        for output in self.outputs:
            view.add_edge(output, "", weight=weight[output])
        return [n for n in networkx.dag_longest_path(view) if n]


def _paths(region: Region, path: tuple[Node, ...]) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    for node in region.nodes:
        yield node, path
        for block in node.op.blocks.values():
            yield from _paths(block, (*path, node))
