"""Graph: the steps of a spec as a picture, from the question down to the answer, blocks within their steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from archc.ir.control import conditions_of
from archc.ir.graph import Graph
from archc.ir.region import Node, Region
from archc.report.axes import picture
from archc.report.html import Markup, cut, joined, scrolled, tag
from archc.report.page import figure
from archc.secret import masked

Place = tuple[float, float]


@dataclass(frozen=True)
class Weight:
    """What is said of a node: a line of figures, and its share of all there is."""

    text: str
    share: float = 0.0


@dataclass(frozen=True)
class _Box:
    """Something with a size that can be drawn anywhere."""

    width: float
    height: float
    draw: Callable[[float, float], Markup]


_WIDE, _TALL, _GAP, _DOWN, _PAD, _LANE = 196.0, 62.0, 18.0, 30.0, 10.0, 12.0
_HEAD: Final = 58.0
"""The title of a step with blocks."""


def graph_picture(graph: Graph, weights: Mapping[str, Weight], caption: str) -> Markup:
    """The graph; nodes without a weight show what they are only."""
    body = _region(graph.body, weights)
    width, height = max(body.width, 120.0) + 2 * _PAD, body.height + 96
    middle = width / 2
    ends = [_pill("question", middle, 4), _pill("answer", middle, height - 28)]
    inside = body.draw((width - body.width) / 2, 48)
    about = f"{caption}: " + ", ".join(node.id for node in graph.every)
    whole = picture(joined(_edge((middle, 28), (middle, 48)), inside, *ends), width, height, about, wide=True)
    return figure(caption, scrolled(whole, caption))


def _region(region: Region, weights: Mapping[str, Weight]) -> _Box:
    """Nodes in layers: each below all that it reads. It begins and ends at the middle of its upper and lower edge."""
    boxes = {node.id: _node(node, weights) for node in region.nodes}
    layers = _layers(region)
    widths = [sum(boxes[n.id].width for n in layer) + _GAP * (len(layer) - 1) for layer in layers]
    heights = [max(boxes[n.id].height for n in layer) for layer in layers]
    lanes = _far(region, layers)
    width = max(widths, default=_WIDE) + 2 * _LANE * len(lanes)
    height = sum(heights) + _DOWN * (len(layers) + 1)

    def draw(x: float, y: float) -> Markup:
        places: dict[str, Place] = {}
        top = y + _DOWN
        for layer, wide, high in zip(layers, widths, heights, strict=True):
            left = x + (width - wide) / 2
            for node in layer:
                places[node.id] = (left, top)
                left += boxes[node.id].width + _GAP
            top += high + _DOWN
        start, end = (x + width / 2, y), (x + width / 2, y + height)
        edges = _edges(region, boxes, places, start, end, {pair: x + width - _LANE * i for i, pair in enumerate(lanes)})
        return joined(*edges, *(boxes[node.id].draw(*places[node.id]) for node in region.nodes))

    return _Box(width, height, draw)


def _layers(region: Region) -> list[list[Node]]:
    depth: dict[str, int] = {}
    layers: list[list[Node]] = []
    for node in region.nodes:
        depth[node.id] = level = max((depth[name] + 1 for name in node.reads if name in depth), default=0)
        if level == len(layers):
            layers.append([])
        layers[level].append(node)
    return layers


def _far(region: Region, layers: Sequence[Sequence[Node]]) -> list[tuple[str, str]]:
    """The edges that pass a layer, or leave the region from above its last: they go around, each in its lane."""
    level = {node.id: i for i, layer in enumerate(layers) for node in layer}
    reads = [(name, node.id) for node in region.nodes for name in node.reads if name in level]
    inner = [pair for pair in reads if level[pair[1]] - level[pair[0]] > 1]
    return inner + [(name, "") for name in region.outputs if name in level and level[name] < len(layers) - 1]


def _edges(
    region: Region,
    boxes: Mapping[str, _Box],
    places: Mapping[str, Place],
    start: Place,
    end: Place,
    lanes: Mapping[tuple[str, str], float],
) -> list[Markup]:
    def top(name: str) -> Place:
        return places[name][0] + boxes[name].width / 2, places[name][1]

    def bottom(name: str) -> Place:
        return places[name][0] + boxes[name].width / 2, places[name][1] + boxes[name].height

    def edge(source: str, target: str, goal: Place, far: bool = False) -> Markup:
        begin = start if source == region.arrives else bottom(source)
        lane = lanes.get((source, target))
        return _edge(begin, goal, far) if lane is None else _around(begin, goal, lane, far)

    known = {*places, region.arrives}
    made = [
        edge(source, node.id, top(node.id), source not in (*node.inputs, region.arrives))
        for node in region.nodes
        for source in (node.reads or ([region.arrives] if not region.arrives else ()))
        if source in known
    ]
    return made + [edge(source, "", end) for source in region.outputs if source in known]


def _node(node: Node, weights: Mapping[str, Weight]) -> _Box:
    weight = weights.get(node.id, Weight(""))
    blocks = {name: _region(block, weights) for name, block in node.op.blocks.items()}
    if not blocks:
        return _Box(_WIDE, _TALL, lambda x, y: _card(node, weight, x, y, _WIDE, _TALL))
    width = max(_WIDE, sum(box.width for box in blocks.values()) + _GAP * (len(blocks) - 1) + 2 * _PAD)
    height = _HEAD + 18 + max(box.height for box in blocks.values()) + _PAD

    def draw(x: float, y: float) -> Markup:
        parts = [tag("rect", x=x, y=y, width=width, height=height, rx=6.0, class_="block")]
        parts.append(_card(node, weight, x, y, width, _HEAD))
        left = x + (width - sum(b.width for b in blocks.values()) - _GAP * (len(blocks) - 1)) / 2
        for name, box in blocks.items():
            shown = {"otherwise": "else"}.get(name, name.replace(".", " "))
            parts.append(tag("text", shown, x=left + 4, y=y + _HEAD + 14, class_="dim"))
            parts.append(box.draw(left, y + _HEAD + 18))
            left += box.width + _GAP
        return joined(*parts)

    return _Box(width, height, draw)


def _card(node: Node, weight: Weight, x: float, y: float, width: float, height: float) -> Markup:
    """What is said of a node in its rectangle; the bar below is its share."""
    models = ", ".join(dict.fromkeys(node.op.models.values()))
    title = node.id if node.id == node.op.name else f"{node.id} ({node.op.name})"
    room = int(width / 6.4)
    about = _parameters(node)
    parts = [
        tag("title", f"{title} {about}"),
        tag("rect", x=x, y=y, width=width, height=height, rx=6.0, class_="node"),
        tag("text", cut(title, room - 2), x=x + 8, y=y + 16, class_="strong"),
        tag("text", cut(" · ".join(filter(None, (models, about))), room), x=x + 8, y=y + 32, class_="dim"),
        tag("text", cut(weight.text, room), x=x + 8, y=y + 48),
    ]
    if weight.share > 0:
        long = max(2.0, (width - 16) * min(1.0, weight.share))
        parts.append(tag("rect", x=x + 8, y=y + height - 6, width=long, height=3.0, class_="share"))
    return tag("g", *parts)


def _parameters(node: Node) -> str:
    """The parameters that differ from their defaults, in a line."""
    conditions = {name: condition.text for name, condition in conditions_of(node.op).items()}
    left_out = {*node.op.models, *conditions, *(name.partition(".")[0] for name in node.op.blocks)}
    given = node.op.model_dump(mode="json", exclude_defaults=True, exclude=left_out)
    return masked(" ".join([*conditions.values(), *(f"{name}={value}" for name, value in given.items())]))


def _edge(begin: Place, end: Place, far: bool = False) -> Markup:
    (x1, y1), (x2, y2) = begin, end
    half = (y2 - y1) / 2
    path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + half:.1f} {x2:.1f} {y2 - half:.1f} {x2:.1f} {y2 - 5:.1f}"
    return joined(tag("path", d=path, class_="edge far" if far else "edge"), _arrow(x2, y2))


def _around(begin: Place, end: Place, lane: float, far: bool) -> Markup:
    """Down a lane at the side, past what lies between."""
    (x1, y1), (x2, y2) = begin, end
    path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + 24:.1f} {lane:.1f} {y1:.1f} {lane:.1f} {y1 + 28:.1f}V{y2 - 28:.1f}"
    path += f"C{lane:.1f} {y2:.1f} {x2:.1f} {y2 - 26:.1f} {x2:.1f} {y2 - 5:.1f}"
    return joined(tag("path", d=path, class_="edge far" if far else "edge"), _arrow(x2, y2))


def _arrow(x: float, y: float) -> Markup:
    return tag("path", d=f"M{x - 3.5:.1f} {y - 6:.1f}L{x + 3.5:.1f} {y - 6:.1f}L{x:.1f} {y:.1f}Z", class_="arrow")


def _pill(text: str, x: float, y: float) -> Markup:
    shape = tag("rect", x=x - 40, y=y, width=80.0, height=24.0, rx=12.0, class_="node")
    return joined(shape, tag("text", text, x=x, y=y + 16, text_anchor="middle"))
