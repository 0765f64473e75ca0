"""The six composition rules of the Archon paper (arXiv 2409.15254, §3.2), for `rules: archon`."""

from __future__ import annotations

from collections.abc import Iterator

from archc import errors
from archc.diagnostics import Diagnostic
from archc.ir.graph import Graph
from archc.ir.region import Node

_ALONE = frozenset({"critique", "rank", "verify", "write_tests", "evaluate"})
_OPS = _ALONE | {"generate", "fuse"}


def archon_rules(graph: Graph) -> list[Diagnostic]:
    """Every place where a rule is broken."""
    layers = _layers(graph)
    return [
        errors.ArchonRule(span=node.span, rule=rule, op=node.op.name)
        for depth, layer in enumerate(layers)
        for node in layer
        for rule in _broken(node, depth, layer, layers)
    ]


def _layers(graph: Graph) -> list[list[Node]]:
    """Nodes that read the same inputs, in the order of the pipeline."""
    layers: dict[tuple[str, ...], list[Node]] = {}
    for node in graph.nodes:
        layers.setdefault(node.inputs, []).append(node)
    return list(layers.values())


def _broken(node: Node, depth: int, layer: list[Node], layers: list[list[Node]]) -> Iterator[str]:
    name = node.op.name
    following = {n.op.name for n in layers[depth + 1]} if depth + 1 < len(layers) else set()
    before = {n.op.name for n in layers[depth - 1]} if depth else set()
    later = {n.op.name for after in layers[depth + 1 :] for n in after}
    if name not in _OPS:
        yield f"the paper has no `{name}`"
    mixed = any(other.op.name != name for other in layer)
    if name != layer[0].op.name:
        yield "a layer holds one kind of component"
    if name == "generate" and depth:
        yield "generators stand in the first layer only"
    if name == "critique" and not later & {"rank", "fuse"}:
        yield "a critic comes before a ranker or a fuser"
    if name in _ALONE and (depth == 0 or (len(layer) > 1 and not mixed)):
        yield f"`{name}` is not in the first layer and is alone in its own"
    if name == "fuse" and depth == 0:
        yield "fusers do not stand in the first layer"
    if name == "write_tests" and "evaluate" not in following:
        yield "the layer after a unit-test generator is its evaluator"
    if name == "evaluate" and "write_tests" not in before:
        yield "the layer before a unit-test evaluator is the generator"
