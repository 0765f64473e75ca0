"""Rewrite: the same op with other blocks, the same region with other edges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from archc.ir.op import Op
from archc.ir.region import Region


def with_blocks(op: Op, change: Callable[[Region], Region]) -> Op:
    """The op with each of its blocks changed; itself if none is."""
    changes: dict[str, Any] = {}
    for name in dict.fromkeys(block.partition(".")[0] for block in op.blocks):
        held = getattr(op, name)
        new = tuple(change(block) for block in held) if isinstance(held, tuple) else change(held)
        if new != held:
            changes[name] = new
    given = {name: getattr(op, name) for name in type(op).model_fields}
    return type(op).model_validate({**given, **changes}, by_name=True) if changes else op


def rewired(region: Region, instead: Mapping[str, tuple[str, ...]]) -> Region:
    """The region in which those that read a name read others in its place, in its blocks too."""

    def read(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(new for name in names for new in instead.get(name, (name,)))

    nodes = []
    for node in region.nodes:
        op = with_blocks(node.op, lambda block: rewired(block, instead)) if node.op.around else node.op
        nodes.append(replace(node, op=op, inputs=read(node.inputs)))
    return replace(region, nodes=tuple(nodes), outputs=read(region.outputs))
