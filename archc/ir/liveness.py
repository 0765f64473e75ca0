"""Liveness: which facets that a node adds are read by a later one, or by the user at the end.

One walk backwards over each region; the blocks of a loop are walked until nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import reduce

from archc.ir.control import Control
from archc.ir.graph import Graph
from archc.ir.op import Op
from archc.ir.region import Node, Region
from archc.ir.shape import Shape
from archc.values import Facet, Facets, Interval, facets

SHOWN = facets(Facet.ANSWER, Facet.SCORE, Facet.VERDICT, Facet.LOGPROB)
"""Facets that a result shows, and that are therefore read when they reach the end."""

ALL = frozenset(Facet)


@dataclass(frozen=True, slots=True)
class Use:
    """What later nodes do with what leaves a node: the facets they read, and whether they look at the candidates."""

    facets: Facets = frozenset()
    candidates: bool = False

    def __or__(self, other: Use) -> Use:
        if self is other or (other.facets <= self.facets and other.candidates <= self.candidates):
            return self
        return Use(self.facets | other.facets, self.candidates or other.candidates)


NOT = Use()


def added(op: Op) -> Facets:
    """The facets that an op writes, over older ones of that name too."""
    return op.shape(_SOME).facets


def dead_nodes(graph: Graph) -> list[Node]:
    """Nodes that change nothing: their facets are not read, and their candidates are old ones or not read either."""
    if "dead" not in graph.known:
        uses = _Walk().region(graph.body, Use(SHOWN, True))
        graph.known["dead"] = tuple(node for node in graph.every if _is_dead(node.op, uses.get(node.id, NOT)))
    return list(graph.known["dead"])


def removable(graph: Graph, stays: Callable[[Node], bool]) -> list[Node]:
    """Nodes that are dead, or would be once others among these are gone; none that `stays`."""
    if not dead_nodes(graph):  # the first to go would be one of them
        return []
    uses = _Walk(lambda node, use: _is_dead(node.op, use) and not stays(node)).region(graph.body, Use(SHOWN, True))
    return [node for node in graph.every if _is_dead(node.op, uses.get(node.id, NOT)) and not stays(node)]


def _is_dead(op: Op, use: Use) -> bool:
    if op.blocks:
        return use == NOT
    return (op.annotates or not use.candidates) and not added(op) & use.facets


_SOME = Shape(Interval.exactly(2))
_FULL = replace(_SOME, facets=ALL)

Uses = Mapping[str, Use]
"""By node, of a region and the blocks in it, and of what arrives at these."""


class _Walk:
    """Remembers what it knows of each region, since the blocks of loops in loops are walked again and again."""

    def __init__(self, is_gone: Callable[[Node, Use], bool] | None = None) -> None:
        self._known: dict[tuple[int, Use], Uses] = {}
        self._is_gone = is_gone
        """Of nodes that pass on what is done with them, as those do that will not be there."""

    def region(self, region: Region, at_end: Use) -> Uses:
        key = (id(region), at_end)
        if key not in self._known:
            self._known[key] = self._region(region, at_end)
        return self._known[key]

    def _region(self, region: Region, at_end: Use) -> Uses:
        uses = dict.fromkeys(region.outputs, at_end)
        for node in reversed(region.nodes):
            mine = uses.get(node.id, NOT)
            if self._is_gone and self._is_gone(node, mine):
                before = mine
            elif isinstance(node.op, Control):
                before, inner = self._control(node.op, mine)
                _add(uses, inner)
            else:
                before = _before(node.op, mine)
            _add(uses, dict.fromkeys(node.inputs, before))
        return uses

    def _control(self, op: Control, after: Use) -> tuple[Use, Uses]:
        """The use of what arrives at it, and the uses within its blocks and of what these read from around them."""
        conditions = op.conditions.values()
        asked = Use(frozenset().union(*(c.needs for c in conditions)), bool(conditions))
        at_end = after | asked
        while True:
            found: dict[str, Use] = {}
            for block in op.blocks.values():
                _add(found, self.region(block, at_end))
            arrives = reduce(Use.__or__, (found.get(block.arrives, NOT) for block in op.blocks.values()), NOT)
            wider = at_end | arrives
            if wider == at_end or not op.loops:
                break
            at_end = wider
        handed_on = after | asked if op.hands_on else NOT
        counted = Use(candidates=op.reads_candidates and after != NOT)  # as many turns as there are candidates
        return arrives | handed_on | counted, found


def _add(uses: dict[str, Use], more: Uses) -> None:
    for name, use in more.items():
        uses[name] = uses[name] | use if name in uses else use


def _before(op: Op, after: Use) -> Use:
    handed_on = op.shape(_FULL).facets & after.facets - added(op)
    return Use(op.reads | handed_on, op.reads_candidates or (op.annotates and after.candidates))
