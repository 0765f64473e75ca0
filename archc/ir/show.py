"""Show: a graph as text, one node a line, the nodes of blocks further in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from archc.ir.control import Control
from archc.ir.graph import Graph
from archc.ir.region import Node, Region
from archc.ir.shape import Shape

Row = tuple[str, str, str]
"""The node, its op with what it reads and its parameters, and the shape that leaves."""


def show(graph: Graph) -> str:
    """Each node with its inputs, the parameters that differ from their defaults, and the shape that leaves."""
    rows = list(_rows(graph.body, Shape(), 0))
    wide = [min(_WIDEST, max((len(row[i]) for row in rows if row[2]), default=0)) for i in (0, 1)]
    lines = [f"{name:<{wide[0]}} = {call:<{wide[1]}} : {shape}" if shape else name for name, call, shape in rows]
    several = graph.output_shape().size.hi > 1
    rule = " (the first candidate)" if several else ""
    return "\n".join([*lines, f"answer = {' & '.join(_some(graph.outputs))}{rule}"])


def _rows(region: Region, arrives: Shape, level: int) -> Iterator[Row]:
    flow = region.flow(arrives)
    pad = "  " * level
    for node in region.nodes:
        before, after = flow[node.id]
        yield pad + node.id, _call(node), str(after)
        if isinstance(node.op, Control):
            first = {visit.block: visit.arrives for visit in reversed(node.op.visits(before))}
            yield from _blocks(node.op.blocks, first, level + 1)


def _blocks(blocks: Mapping[str, Region], arrives: Mapping[str, Shape], level: int) -> Iterator[Row]:
    for name, block in blocks.items():
        given = f"{block.arrives} -> {' & '.join(_some(block.outputs)) or 'nothing'}"
        yield "  " * level + f"{_SHOWN.get(name, name)}: {given}", "", ""
        yield from _rows(block, arrives[name], level + 1)


_SHOWN = {"otherwise": "else"}


def _call(node: Node) -> str:
    op = node.op
    inner = {name.partition(".")[0] for name in op.blocks}
    given = op.model_dump(mode="json", exclude_defaults=True, exclude=inner)
    fields = {name: field.alias or name for name, field in type(op).model_fields.items() if name not in inner}
    args = [f"{key}={_short(given[name])}" for name, key in fields.items() if name in given]
    until = f" until {node.enough} is settled" if node.enough else ""
    return f"{op.name}({', '.join([*_some(node.inputs), *args])}){until}"


_WIDEST = 120
"""Longer cells stick out: padding all others to them would make the whole far longer than the graph is."""
_MOST = 24


def _some(names: Sequence[str]) -> Sequence[str]:
    """The names, if they are not too many to be looked at."""
    left_out = len(names) - _MOST
    return names if left_out <= 1 else (*names[: _MOST - 1], f"… {left_out:,} more", names[-1])


def _short(value: object) -> str:
    text = str(value) if not isinstance(value, str) else value if value.isidentifier() else repr(value)
    return text if len(text) <= 32 else text[:29] + "…"
