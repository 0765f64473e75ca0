"""run_beside: what looks at no candidate does not wait for them.

Before:
    - generate: {model: small, n: 4}
    - write_tests: {model: small}
    - evaluate: {model: small}

After:
    - - generate: {model: small, n: 4}
      - write_tests: {model: small}
    - evaluate: {model: small}
"""

from __future__ import annotations

from dataclasses import replace

from archc.ir.graph import Graph
from archc.ir.liveness import added
from archc.ir.region import Node, Region
from archc.ir.rewrite import rewired
from archc.ir.shape import Shape
from archc.values import OF_CANDIDATES


def run_beside(graph: Graph) -> Graph:
    """Lets steps that add something to the question alone start from it, beside those whose candidates pass them by.

    Only outside of blocks: what arrives at these may have such an addition already, and would keep it beside the new.
    """
    body = graph.body
    for at in range(len(body.nodes)):
        node = body.nodes[at]  # as it is now: one before it may have been moved
        if _is_free(body, node):
            body = _beside(body, node)
    return replace(graph, body=body)


def _is_free(body: Region, node: Node) -> bool:
    op = node.op
    if op.reads_candidates or not op.annotates or op.reads or op.blocks or not node.inputs:
        return False
    adds, before = added(op), body.flow(Shape())[node.id][0]
    return not adds & OF_CANDIDATES and not adds & before.facets and not before.tests


def _beside(body: Region, node: Node) -> Region:
    """The region in which a node starts from the question, and its readers read what it read as well."""
    body = rewired(body, {node.id: (*node.inputs, node.id)})
    return replace(body, nodes=tuple(replace(n, inputs=()) if n.id == node.id else n for n in body.nodes))
