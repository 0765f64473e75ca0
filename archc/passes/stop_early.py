"""stop_early: end the drawing of samples when what follows cannot change any more.

Before:
    - generate: {model: small, n: 32, batch: 4}
    - extract: {kind: number}
    - vote

After:
    generate = generate(model=small, n=32, batch=4) until vote is settled : [16..32]
    extract  = extract(generate, kind=number)                             : [16..32] +answer
    vote     = vote(extract)                                              : [1] +answer
    answer = vote

This is exact: whatever the samples are that are not drawn, the same candidate would have come out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from archc.ir.control import counts_spending
from archc.ir.graph import Graph
from archc.ir.region import Node, Region
from archc.ir.rewrite import with_blocks
from archc.ir.streams import end_of


def stop_early(graph: Graph) -> Graph:
    """Tells each node that draws its samples in parts which node says when they are enough, where there is one.

    Where a condition counts what was spent, all are drawn.
    """
    return graph if counts_spending(graph.every) else replace(graph, body=_stopped(graph.body))


def _stopped(region: Region) -> Region:
    ends = {node.id: end for node in region.nodes if (end := end_of(region, node))}
    nodes = tuple(_node(node, ends) for node in region.nodes)
    return replace(region, nodes=nodes)


def _node(node: Node, ends: Mapping[str, tuple[str, int]]) -> Node:
    enough, least = ends.get(node.id, ("", 0))
    return replace(node, op=with_blocks(node.op, _stopped), enough=enough, least=least)
