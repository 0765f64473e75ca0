"""drop_dead: remove ops whose work is thrown away.

Before:
    - generate: {model: small, n: 4}
    - critique: {model: small}
    - generate: {model: small, n: 2}

After:
    - generate: {model: small, n: 2}
"""

from __future__ import annotations

from dataclasses import replace

from archc.ir.graph import Graph, Node
from archc.ir.liveness import dead_nodes


def drop_dead(graph: Graph) -> Graph:
    """Removes one dead node after the other, since each may have been the only reader of another."""
    while dead := dead_nodes(graph):
        smaller = _without(graph, dead[-1])
        if smaller is None:
            return graph
        graph = smaller
    return graph


def _without(graph: Graph, gone: Node) -> Graph | None:
    """The graph in which those that read `gone` read its inputs; None if nothing would be left to answer."""

    def rewired(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(out for name in names for out in (gone.inputs if name == gone.id else (name,)))

    outputs = rewired(graph.outputs)
    if not outputs:
        return None
    nodes = (replace(n, inputs=rewired(n.inputs)) for n in graph.nodes if n is not gone)
    return replace(graph, nodes=tuple(nodes), outputs=outputs)
