"""Origin: where what arrives at a node came from, through the blocks it lies in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from archc.ir.region import Flow, Node, Region
from archc.ir.shape import Shape
from archc.values import Facet


@dataclass(frozen=True)
class Place:
    """A region with what arrives at it, and the control node whose block it is."""

    region: Region
    arrives: Shape
    owner: Node | None = None
    outer: Place | None = None
    again: bool = False
    """Whether what arrives may be what the region gave in the round before."""

    @cached_property
    def flow(self) -> Flow:
        """The shapes around each node."""
        return self.region.flow(self.arrives)


def found_at(place: Place, name: str) -> Shape:
    """The shape of what a node gives, or of what arrives."""
    if name == place.region.arrives:
        return place.arrives
    if name in place.flow:
        return place.flow[name][1]
    return dict(place.arrives.around)[name]


def lost_at(place: Place, inputs: Iterable[str], facet: Facet) -> Node | None:
    """The nearest node before these inputs at which the facet ended."""
    waiting = [(place, name) for name in inputs]
    seen: set[tuple[int, str]] = set()
    while waiting:
        here, name = waiting.pop()
        if (id(here.region), name) in seen:
            continue
        seen.add((id(here.region), name))
        node = here.region.by_id.get(name)
        if node is None:
            waiting += _outside(here, name)
            continue
        before, after = here.flow[name]
        if facet in before.facets and facet not in after.facets and not node.op.blocks:
            return node
        waiting += [(here, source) for source in node.inputs]
        for block in node.op.blocks.values():
            inner = Place(block, before, node, here)
            waiting += [(inner, output) for output in block.outputs if not block.around]
    return None


def _outside(place: Place, name: str) -> list[tuple[Place, str]]:
    if name != place.region.arrives:
        return [(place.outer, name)] if place.outer else []
    found = [(place, output) for output in place.region.outputs] if place.again else []
    if place.outer and place.owner:
        found += [(place.outer, source) for source in place.owner.inputs]
    return found
