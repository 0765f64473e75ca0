"""choose_early: choose first, and annotate only what was chosen.

Before:
    - generate: {model: small, n: 8}
    - critique: {model: small, by: each}
    - score: {model: small}
    - select: {by: score, k: 2}
    - fuse: {model: small}

After:
    - generate: {model: small, n: 8}
    - score: {model: small}
    - select: {by: score, k: 2}
    - critique: {model: small, by: each}
    - fuse: {model: small}
"""

from __future__ import annotations

from dataclasses import replace

from archc.ir.control import counts_spending
from archc.ir.graph import Graph
from archc.ir.liveness import added
from archc.ir.op import Op
from archc.ir.region import Node, Region
from archc.ir.rewrite import rewired, with_blocks
from archc.ir.shape import Shape
from archc.ir.streams import is_early
from archc.values import Facet, Interval


def choose_early(graph: Graph) -> Graph:
    """Moves what asks about each candidate behind a choice that doesn't depend on it.

    Where a condition counts what was spent, all stays where it is.
    """
    return graph if counts_spending(graph.every) else replace(graph, body=_chosen(graph.body))


def _chosen(region: Region) -> Region:
    nodes = tuple(replace(node, op=with_blocks(node.op, _chosen)) for node in region.nodes)
    region = replace(region, nodes=nodes)
    while moves := [(node, choice) for node in region.nodes if (choice := _choice_after(region, node))]:
        region = _moved(region, *moves[-1])
    return region


def _choice_after(region: Region, node: Node) -> Node | None:
    """The first choice after it, where what is between neither reads what it adds nor changes what it reads."""
    op = node.op
    if not (op.models and _only_adds(node)):
        return None
    adds = added(op)
    after = region.only_reader(node.id)
    while after and not adds & after.op.reads:
        if after.op.picks:
            return after if _drops(after.op) else None
        if not _only_adds(after) or added(after.op) & (adds | op.reads):
            return None
        after = region.only_reader(after.id)
    return None


def _only_adds(node: Node) -> bool:
    return node.op.annotates and is_early(node)


_MANY = Shape(Interval(1, 1_000_000), frozenset(Facet))


def _drops(op: Op) -> bool:
    return op.shape(_MANY).size.hi < _MANY.size.hi


def _moved(region: Region, node: Node, choice: Node) -> Region:
    """The region with a node right behind another one."""
    region = rewired(region, {node.id: node.inputs, choice.id: (node.id,)})
    rest = [one for one in region.nodes if one.id != node.id]
    here = next(i for i, one in enumerate(rest) if one.id == choice.id) + 1
    return replace(region, nodes=(*rest[:here], replace(node, inputs=(choice.id,)), *rest[here:]))
