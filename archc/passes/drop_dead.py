"""drop_dead: remove ops whose work is thrown away.

Before:
    - generate: {model: small, n: 4}
    - critique: {model: small}
    - generate: {model: small, n: 2}

After:
    - generate: {model: small, n: 2}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from archc.ir.graph import Graph
from archc.ir.liveness import dead_nodes


def drop_dead(graph: Graph) -> Graph:
    """Removes dead nodes until there are none, since each may have been the only reader of another."""
    while dead := dead_nodes(graph):
        smaller = _without(graph, {node.id for node in dead})
        if smaller is None:
            return graph
        graph = smaller
    return graph


def _without(graph: Graph, gone: set[str]) -> Graph | None:
    """The graph in which those that read a node that is gone read its inputs; None if no output would be left."""
    instead: dict[str, tuple[str, ...]] = {}

    def rewired(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(out for name in names for out in instead[name])

    for node in graph.nodes:
        instead[node.id] = rewired(node.inputs) if node.id in gone else (node.id,)
    outputs = rewired(graph.outputs)
    if not outputs:
        return None
    nodes = (replace(n, inputs=rewired(n.inputs)) for n in graph.nodes if n.id not in gone)
    return replace(graph, nodes=tuple(nodes), outputs=outputs)
