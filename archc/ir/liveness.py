"""Liveness: which facets that a node adds are read by a later one, or by the user at the end."""

from __future__ import annotations

from dataclasses import replace

from archc.ir.graph import Graph, Node
from archc.values import Facet, Facets, facets

SHOWN = facets(Facet.ANSWER, Facet.SCORE, Facet.VERDICT, Facet.LOGPROB)
"""Facets that a result shows, and that are therefore read when they reach the end."""


def added(graph: Graph, node: Node) -> Facets:
    """The facets that a node writes, over older ones of that name too."""
    before, _ = graph.shapes()[node.id]
    return node.op.shape(replace(before, facets=frozenset())).facets


def is_read(graph: Graph, node: Node, facet: Facet) -> bool:
    """Whether anything after `node` reads that facet while it is still there."""
    waiting, seen = [node.id], {node.id}
    while waiting:
        here = waiting.pop()
        if here in graph.outputs and facet in SHOWN:
            return True
        for reader in graph.consumers[here]:
            if facet in reader.op.reads:
                return True
            if _hands_on(graph, reader, facet) and reader.id not in seen:
                seen.add(reader.id)
                waiting.append(reader.id)
    return False


def _hands_on(graph: Graph, node: Node, facet: Facet) -> bool:
    """Whether a candidate that arrives with the facet, as perhaps only some do, leaves with the same one."""
    before, _ = graph.shapes()[node.id]
    return facet in node.op.shape(replace(before, facets=facets(facet))).facets and facet not in added(graph, node)


def candidates_are_read(graph: Graph, node: Node) -> bool:
    """Whether anything after `node` looks at the candidates that leave it."""
    waiting, seen = [node.id], {node.id}
    while waiting:
        here = waiting.pop()
        readers = graph.consumers[here]
        if here in graph.outputs or any(r.op.reads_candidates for r in readers):
            return True
        through = [r.id for r in readers if r.op.annotates and r.id not in seen]
        seen.update(through)
        waiting += through
    return False


def dead_nodes(graph: Graph) -> list[Node]:
    """Nodes that change nothing: their facets are not read, and their candidates are old ones or not read either."""
    return [
        node
        for node in graph.nodes
        if (node.op.annotates or not candidates_are_read(graph, node))
        and not any(is_read(graph, node, facet) for facet in added(graph, node))
    ]
