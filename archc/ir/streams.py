"""Streams: which nodes of a region give their candidates one by one, and which begin with one before all are there."""

from __future__ import annotations

from dataclasses import dataclass

from archc.ir.elementwise import Elementwise
from archc.ir.liveness import added
from archc.ir.region import Node, Region
from archc.values import Facet


@dataclass(frozen=True, slots=True)
class Streams:
    """What flows through a region candidate by candidate; all else waits for whole sets."""

    sources: frozenset[str]
    """Nodes whose candidates are told as they come."""
    early: frozenset[str]
    """Nodes that begin with a candidate as soon as it is told."""
    deciding: frozenset[str]
    """Nodes that look at candidates as they come, to tell when they are enough."""


NO_STREAMS = Streams(frozenset(), frozenset(), frozenset())


def streams(region: Region, asking: bool) -> Streams:
    """The streams of a region that save time or calls; only those on which no model is asked, unless `asking`.

    Where models are asked, a candidate's later calls compete with earlier ones of others for what a budget has left.
    """
    known = region.known.setdefault("streams", {})
    if asking not in known:
        known[asking] = _streams(region, asking)
    found: Streams = known[asking]
    return found


def _streams(region: Region, asking: bool) -> Streams:
    told: set[str] = set()
    early: set[str] = set()
    for node in region.nodes:
        if node.op.samples:
            told.add(node.id)
        elif is_early(node) and told.issuperset(node.inputs) and (asking or not node.op.models):
            early.add(node.id)
            if keeps_each(node):
                told.add(node.id)
    deciding = {node.enough for node in region.nodes}
    worth: set[str] = set()
    for node in reversed(region.nodes):
        decides = node.id in deciding and told.issuperset(node.inputs)
        if node.id not in early:
            is_worth = decides and not is_early(node)
        else:
            is_worth = decides or bool(node.op.models) or any(n.id in worth for n in region.consumers[node.id])
        if is_worth:
            worth.add(node.id)
    used = {source for node in region.nodes if node.id in worth for source in node.inputs}
    return Streams(frozenset(used), frozenset(early & worth), frozenset(deciding & worth))


def end_of(region: Region, source: Node) -> tuple[str, int] | None:
    """The node that can tell when enough of what another draws in parts is there, and how many that is at least."""
    node, bounded, most, part = source, True, source.op.samples, source.op.at_a_time
    while 0 < part < most and (after := region.only_reader(node.id)):
        least = after.op.settles(most, bounded)
        if least is not None and (not is_early(after) or _in_rounds(after)):
            return after.id, min(most, -(-max(least, source.op.min_candidates) // part) * part)
        if not keeps_each(after):
            return None
        if Facet.SCORE in added(after.op):
            bounded = after.op.scores_are_shares
        node = after
    return None


def _in_rounds(node: Node) -> bool:
    return isinstance(node.op, Elementwise) and node.op.window > 0


def is_early(node: Node) -> bool:
    """Whether it can begin with one of its candidates; not before several inputs have brought their tests together."""
    op = node.op
    if not (isinstance(op, Elementwise) and op.apart and node.inputs):
        return False
    return len(node.inputs) == 1 or Facet.TESTS not in op.needs


def keeps_each(node: Node) -> bool:
    """Whether, beside, each candidate that goes in comes out as soon as it is made."""
    return isinstance(node.op, Elementwise) and is_early(node) and node.op.keeps_all
