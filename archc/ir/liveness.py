"""Liveness: which facets that a node adds are read by a later one, or by the user at the end."""

from __future__ import annotations

from archc.ir.graph import Graph, Node
from archc.values import Facet, Facets, facets

SHOWN = facets(Facet.ANSWER, Facet.SCORE, Facet.VERDICT, Facet.LOGPROB)
"""Facets that a result shows, and that are therefore read when they reach the end."""


def added(graph: Graph, node: Node) -> Facets:
    """The facets that a node adds to what arrives."""
    before, after = graph.shapes()[node.id]
    return after.facets - before.facets


def is_read(graph: Graph, node: Node, facet: Facet) -> bool:
    """Whether anything after `node` reads that facet while it is still there."""
    shapes = graph.shapes()
    waiting, seen = [node.id], {node.id}
    while waiting:
        here = waiting.pop()
        if here in graph.outputs and facet in SHOWN:
            return True
        for reader in graph.consumers[here]:
            if facet in reader.op.reads:
                return True
            if facet in shapes[reader.id][1].facets and reader.id not in seen:
                seen.add(reader.id)
                waiting.append(reader.id)
    return False


def candidates_are_read(graph: Graph, node: Node) -> bool:
    """Whether anything after `node` looks at the candidates that leave it."""
    if node.id in graph.outputs:
        return True
    readers = graph.consumers[node.id]
    return any(r.op.reads_candidates or (r.op.annotates and candidates_are_read(graph, r)) for r in readers)


def dead_nodes(graph: Graph) -> list[Node]:
    """Nodes that change nothing: their facets are not read, and their candidates are old ones or not read either."""
    return [
        node
        for node in graph.nodes
        if (node.op.annotates or not candidates_are_read(graph, node))
        and not any(is_read(graph, node, facet) for facet in added(graph, node))
    ]
