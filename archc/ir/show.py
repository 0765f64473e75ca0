"""Show: a graph as text, one node a line."""

from __future__ import annotations

from archc.ir.graph import Graph, Node


def show(graph: Graph) -> str:
    """Each node with its inputs, the parameters that differ from their defaults, and the shape that leaves."""
    shapes = graph.shapes()
    rows = [(node.id, _call(node), str(shapes[node.id][1])) for node in graph.nodes]
    wide = [max(len(row[i]) for row in rows) for i in (0, 1)]
    lines = [f"{name:<{wide[0]}} = {call:<{wide[1]}} : {shape}" for name, call, shape in rows]
    several = graph.output_shape().size.hi > 1
    rule = " (the first candidate)" if several else ""
    return "\n".join([*lines, f"answer = {' & '.join(graph.outputs)}{rule}"])


def _call(node: Node) -> str:
    fields = type(node.op).model_fields
    given = node.op.model_dump(mode="json", exclude_defaults=True)
    args = [f"{key}={_short(given[key])}" for key in fields if key in given]
    return f"{node.op.name}({', '.join([*node.inputs, *args])})"


def _short(value: object) -> str:
    text = str(value) if not isinstance(value, str) else value if value.isidentifier() else repr(value)
    return text if len(text) <= 32 else text[:29] + "…"
