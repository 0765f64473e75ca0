"""drop_dead: remove ops whose work is thrown away.

Before:
    - generate: {model: small, n: 4}
    - critique: {model: small}
    - generate: {model: small, n: 2}

After:
    - generate: {model: small, n: 2}
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from archc.ir.control import counts_spending
from archc.ir.graph import Graph
from archc.ir.liveness import removable
from archc.ir.region import Node, Region
from archc.ir.rewrite import with_blocks


def drop_dead(graph: Graph) -> Graph:
    """Removes dead nodes until there are none, since each may have been the only reader of another.

    Where a condition counts what was spent, those that spend stay: what they cost may decide what is run.
    """
    while dead := removable(graph, _spends if counts_spending(graph.every) else _never):
        body = _without(graph.body, {node.id for node in dead}, {})
        if not body.outputs:
            return graph
        graph = replace(graph, body=body)
    return graph


def _never(node: Node) -> bool:
    return False


def _spends(node: Node) -> bool:
    inner = (one for block in node.op.blocks.values() for one in block.walk())
    return any(one.op.models for one in (node, *inner))


def _without(region: Region, gone: Collection[str], around: dict[str, tuple[str, ...]]) -> Region:
    """The region in which those that read a node that is gone read its inputs, in its blocks too."""
    instead = {**around, region.arrives: (region.arrives,)}

    def rewired(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(out for name in names for out in instead[name])

    nodes = []
    for node in region.nodes:
        instead[node.id] = rewired(node.inputs) if node.id in gone else (node.id,)
        if node.id not in gone:
            op = with_blocks(node.op, lambda block: _without(block, gone, instead))
            nodes.append(replace(node, op=op, inputs=rewired(node.inputs)))
    return replace(region, nodes=tuple(nodes), outputs=rewired(region.outputs))
