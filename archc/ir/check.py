"""Check: everything that is wrong with a graph, as a list. Run after lowering and after every pass."""

from __future__ import annotations

from collections.abc import Iterator

from archc import errors
from archc.diagnostics import Diagnostic, Label
from archc.ir.archon_rules import archon_rules
from archc.ir.graph import Graph, Node
from archc.ir.liveness import added, dead_nodes
from archc.ir.shape import Shape
from archc.values import OF_CANDIDATES, Facet, Interval

MAX_CANDIDATES = 1_000_000
"""No step may give more."""


def check(graph: Graph) -> list[Diagnostic]:
    """Errors and warnings, unordered. A graph without errors can be planned and run."""
    found = [*_arrivals(graph), *_dead(graph), *_ends(graph), *_unused_models(graph)]
    if graph.rules == "archon":
        wrong = {d.span for d in found if d.severity == "error"}
        found += [d for d in archon_rules(graph) if d.span not in wrong]
    return found


def _arrivals(graph: Graph) -> Iterator[Diagnostic]:
    shapes = graph.shapes()
    broken: set[str] = set()
    for node in graph.nodes:
        before = shapes[node.id][0]
        if broken & set(node.inputs):
            broken.add(node.id)
        elif shapes[node.id][1].size.hi > MAX_CANDIDATES:
            broken.add(node.id)
            yield errors.TooLarge(span=node.span, what="candidates in one set", limit=MAX_CANDIDATES)
        elif node.op.reads_candidates and before.size.hi == 0:
            broken.add(node.id)
            yield errors.NothingToRead(span=node.span, op=node.op.name)
        elif missing := sorted(node.op.needs - before.facets):
            broken.add(node.id)
            yield from (_missing(graph, node, facet, before) for facet in missing)
        elif not node.op.reads_candidates and not node.op.annotates and before.size.hi and not _kept(graph, node):
            yield errors.DiscardedCandidates(span=node.span, op=node.op.name)
        elif node.op.chooses and before.size.hi == 1:
            yield errors.RankOfOne(span=node.span, op=node.op.name)


def _kept(graph: Graph, node: Node) -> bool:
    """Whether all that arrives is also read by another node."""
    return all(any(reader.op.reads_candidates for reader in graph.consumers[i]) for i in node.inputs)


def _missing(graph: Graph, node: Node, facet: Facet, before: Shape) -> Diagnostic:
    shapes = graph.shapes()
    lost = _lost(graph, node, facet)
    without = [i for i in node.inputs if facet not in shapes[i][1].facets]
    also: tuple[Label, ...] = ()
    if lost:
        also = (Label(lost.span, f"this starts new candidates, without {_WHAT[facet]}"),)
    elif len(without) < len(node.inputs):
        also = tuple(Label(graph.by_id[i].span, f"these come without {_WHAT[facet]}") for i in without)
    each = "" if facet not in OF_CANDIDATES else " on every candidate"
    return errors.MissingFacet(
        span=node.span, also=also, op=node.op.name, facet=_WHAT[facet] + each, arrives=_said(before), hint=_HINTS[facet]
    )


def _said(shape: Shape) -> str:
    """What arrives, for people."""
    if not shape.size.hi:
        return "the bare question"
    many = "candidate" if shape.size == Interval(1, 1) else "candidates"
    has = ", ".join(_WHAT[facet] for facet in sorted(shape.facets))
    return f"{shape.size} {many} with {has}" if has else f"{shape.size} {many} with nothing but text"


_WHAT = {
    Facet.CRITIQUE: "a critique",
    Facet.SCORE: "a score",
    Facet.VERDICT: "a verdict",
    Facet.ANSWER: "an extracted answer",
    Facet.LOGPROB: "a log-probability",
    Facet.TESTS: "tests",
}

_HINTS = {
    Facet.CRITIQUE: "put `critique: {model: …}` before it",
    Facet.SCORE: "put `score: {model: …}` or `evaluate: {model: …}` before it",
    Facet.VERDICT: "put `verify: {model: …, filter: false}` before it",
    Facet.ANSWER: "put `extract: {kind: number}` (or letter, boxed, code, regex, json) before it",
    Facet.LOGPROB: "set `logprobs: true` on the `generate` before it",
    Facet.TESTS: "put `write_tests: {model: …}` before it",
}


def _lost(graph: Graph, node: Node, facet: Facet) -> Node | None:
    """The nearest node before `node` at which the facet ended."""
    shapes = graph.shapes()
    waiting, seen = list(node.inputs), set(node.inputs)
    while waiting:
        here = graph.by_id[waiting.pop()]
        before, after = shapes[here.id]
        if facet in before.facets and facet not in after.facets:
            return here
        waiting += [i for i in here.inputs if i not in seen]
        seen.update(here.inputs)
    return None


def _dead(graph: Graph) -> Iterator[Diagnostic]:
    for node in dead_nodes(graph):
        if not node.op.annotates:
            continue  # its candidates are thrown away, which is said where that happens
        if added(graph, node) == {Facet.CRITIQUE}:
            yield errors.UnreadCritique(span=node.span)
        else:
            yield errors.DeadOp(span=node.span, op=node.op.name)


def _ends(graph: Graph) -> Iterator[Diagnostic]:
    if graph.output_shape().size.hi == 0:
        yield errors.NoCandidates(span=graph.by_id[graph.outputs[-1]].span)


def _unused_models(graph: Graph) -> Iterator[Diagnostic]:
    asked = {name for node in graph.nodes for name in node.op.models.values()}
    return (errors.UnusedModel(span=m.span, model=m.name) for m in graph.models if m.name not in asked)
