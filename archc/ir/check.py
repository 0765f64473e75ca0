"""Check: everything that is wrong with a graph, as a list. Run after lowering and after every pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from archc import errors
from archc.diagnostics import Diagnostic, Label
from archc.ir.archon_rules import archon_rules
from archc.ir.control import Control, Visit
from archc.ir.graph import Graph
from archc.ir.liveness import added, dead_nodes
from archc.ir.op import ModelOp, Op
from archc.ir.origin import Place, found_at, lost_at
from archc.ir.region import Node
from archc.ir.shape import Shape
from archc.ir.streams import end_of
from archc.values import OF_CANDIDATES, Facet, Interval

MAX_CANDIDATES = 1_000_000
"""No step may give more."""


def check(graph: Graph) -> list[Diagnostic]:
    """Errors and warnings, unordered. A graph without errors can be planned and run."""
    if "check" not in graph.known:
        graph.known["check"] = tuple(_check(graph))
    return list(graph.known["check"])


def _check(graph: Graph) -> list[Diagnostic]:
    body = Place(graph.body, Shape())
    found = list(_arrivals(body))
    ends = () if any(d.severity == "error" for d in found) else _ends(graph)
    found += [*_dead(graph, body), *ends, *_models(graph)]
    if graph.rules == "archon":
        wrong = {d.span for d in found if d.severity == "error"}
        found += [d for d in archon_rules(graph) if d.span not in wrong]
    return found


def _arrivals(place: Place) -> Iterator[Diagnostic]:
    """What is wrong with what arrives at each node; nothing is said about those after a wrong one."""
    broken: set[str] = set()
    for node in place.region.nodes:
        before, after = place.flow[node.id]
        wrong: list[Diagnostic] = []
        if not broken & set(node.reads):
            wrong = [*_wrong(place, node, before, after)]
            if isinstance(node.op, Control) and not wrong:
                wrong = [*_conditions(place, node, node.op, before), *_blocks(place, node, node.op, before)]
            yield from wrong
        if broken & set(node.reads) or any(d.severity == "error" for d in wrong):
            broken.add(node.id)
        elif not wrong:
            yield from _warnings(place, node, before)


def _wrong(place: Place, node: Node, before: Shape, after: Shape) -> Iterator[Diagnostic]:
    if after.size.hi > MAX_CANDIDATES:
        yield errors.TooLarge(span=node.span, what="candidates in one set", limit=MAX_CANDIDATES)
    elif node.op.reads_candidates and before.size.hi == 0:
        yield errors.NothingToRead(span=node.span, op=node.op.name)
    else:
        for facet in sorted(node.op.needs - before.facets):
            yield _missing(place, node, f"`{node.op.name}`", facet, before)


def _warnings(place: Place, node: Node, before: Shape) -> Iterator[Diagnostic]:
    op = node.op
    if not (_reads(op) or op.annotates) and before.size.hi and not _kept(place, node):
        yield errors.DiscardedCandidates(span=node.span, also=_sources(place, node, "thrown away"), op=op.name)
    elif op.chooses and before.size.hi == 1:
        yield errors.RankOfOne(span=node.span, also=_sources(place, node, "one candidate comes from here"), op=op.name)
    if 0 < op.at_a_time < op.samples and not end_of(place.region, node):
        yield errors.UnusedBatch(span=node.place("batch"), op=op.name)
    for argument, facet in op.welcomes.items():
        if argument in node.arg_spans and facet not in before.facets:
            lost = lost_at(place, node.inputs, facet)
            also = (Label(lost.span, f"this starts new candidates, without {WHAT[facet]}"),) if lost else ()
            yield errors.StaleFacet(
                span=node.place(argument), also=also, op=op.name, argument=argument, facet=WHAT[facet]
            )


def _sources(place: Place, node: Node, text: str) -> tuple[Label, ...]:
    """The steps right before a node that give candidates, in its own region."""
    before = (place.region.by_id.get(i) for i in node.inputs)
    return tuple(Label(n.span, text) for n in before if n and place.flow[n.id][1].size.hi)


def _kept(place: Place, node: Node) -> bool:
    """Whether all that arrives is also read by another node."""
    readers = place.region.consumers
    return all(any(_reads(reader.op) for reader in readers[i]) for i in node.inputs)


def _reads(op: Op) -> bool:
    """Whether it looks at the candidates that arrive; of blocks this is said within them."""
    return op.reads_candidates or bool(op.blocks)


def _blocks(place: Place, node: Node, op: Control, before: Shape) -> Iterator[Diagnostic]:
    """What is wrong within the blocks, whichever way they are run."""
    seen: set[Visit] = set()
    for number, visit in enumerate(op.visits(before)):
        if visit in seen or visit.arrives.size.hi > MAX_CANDIDATES:
            continue
        seen.add(visit)
        inner = Place(op.blocks[visit.block], visit.arrives, node, place, again=bool(number and op.loops))
        found = [*_arrivals(inner)]
        yield from found
        if any(d.severity == "error" for d in found):
            return  # later rounds would only repeat it


def _conditions(place: Place, node: Node, op: Control, before: Shape) -> Iterator[Diagnostic]:
    for condition, shape in op.judged(before):
        for facet in sorted(condition.needs - shape.facets):
            name = next(n for n in sorted(condition.names) if facet in condition.needs_of(n))
            yield errors.MissingFacet(
                span=condition.span,
                op=f"`{name}`",
                facet=_wanted(facet),
                arrives=said(shape),
                hint=HINTS[facet] if op.exclusive else _at_the_end(HINTS[facet]),
            )
            return
        if op.gathers and shape.size.lo <= 1 and condition.holds_of_one_answer:
            yield errors.HoldsOfOne(span=condition.span, condition=condition.text)


def _at_the_end(hint: str) -> str:
    """The hint for a condition that looks at what a block gives."""
    return re.sub(r"^put (.*) before it$", r"end the block with \1", hint)


def _missing(place: Place, node: Node, who: str, facet: Facet, before: Shape) -> Diagnostic:
    lost = lost_at(place, node.inputs, facet)
    also: tuple[Label, ...] = ()
    if lost:
        also = (Label(lost.span, f"this starts new candidates, without {WHAT[facet]}"),)
    elif facet in OF_CANDIDATES and before.size.hi and len(node.inputs) > 1:
        sources = (place.region.by_id.get(i) for i in node.inputs if facet not in found_at(place, i).facets)
        also = tuple(Label(source.span, f"these come without {WHAT[facet]}") for source in sources if source)
    arrives = said(before) + (" in a later round" if place.again else "")
    other, remedy = OTHER_KIND.get(facet, (None, ""))
    hint = remedy if other in before.facets else HINTS[facet]
    return errors.MissingFacet(span=node.span, also=also, op=who, facet=_wanted(facet), arrives=arrives, hint=hint)


def _wanted(facet: Facet) -> str:
    return WHAT[facet] + ("" if facet not in OF_CANDIDATES else " on every candidate")


def said(shape: Shape) -> str:
    """What arrives, for people."""
    if not shape.size.hi:
        return "the bare question"
    many = "candidate" if shape.size == Interval(1, 1) else "candidates"
    has = ", ".join(WHAT[facet] for facet in sorted(shape.facets))
    return f"{shape.size} {many} with {has}" if has else f"{shape.size} {many} with nothing but text"


WHAT = {
    Facet.CRITIQUE: "a critique",
    Facet.SCORE: "a score",
    Facet.VERDICT: "a verdict",
    Facet.ANSWER: "an extracted answer",
    Facet.LOGPROB: "a log-probability",
    Facet.TESTS: "tests",
    Facet.ASSERTS: "executable tests",
}

OTHER_KIND = {
    Facet.TESTS: (Facet.ASSERTS, "add `by: execution` to run these tests, or drop `kind: code` from `write_tests`"),
    Facet.ASSERTS: (Facet.TESTS, "add `kind: code` to `write_tests`, or leave out `by: execution` to have them judged"),
}
"""What to do where tests arrive, but not of the kind that is needed."""

HINTS = {
    Facet.CRITIQUE: "put `critique: {model: …}` before it",
    Facet.SCORE: "put `score: {model: …}` or `evaluate: {model: …}` before it",
    Facet.VERDICT: "put `verify: {model: …, filter: false}` before it",
    Facet.ANSWER: "put `extract: {kind: number}` (or letter, boxed, code, regex, json) before it",
    Facet.LOGPROB: "set `logprobs: true` on the `generate` before it",
    Facet.TESTS: "put `write_tests: {model: …}` before it",
    Facet.ASSERTS: "put `write_tests: {model: …, kind: code}` before it",
}


def _dead(graph: Graph, body: Place) -> Iterator[Diagnostic]:
    dead = [node for node in dead_nodes(graph) if node.op.annotates]  # of others it is said where they are thrown away
    ends: Mapping[str, Node] | None = None
    for node in dead:
        if added(node.op) == {Facet.CRITIQUE}:
            ends = _critiques_end(body) if ends is None else ends
            also = (Label(ends[node.id].span, "this starts new candidates"),) if node.id in ends else ()
            yield errors.UnreadCritique(span=node.span, also=also)
        else:
            yield errors.DeadOp(span=node.span, op=node.op.name)


def _critiques_end(body: Place) -> Mapping[str, Node]:
    """For each node outside of all blocks the first one after it that replaces the candidates with their critiques."""
    nodes = body.region.nodes
    number = {node.id: index for index, node in enumerate(nodes)}
    ends: dict[str, Node] = {}
    for node in reversed(nodes):
        before, after = body.flow[node.id]
        end = node if Facet.CRITIQUE in before.facets - after.facets else ends.get(node.id)
        for source in node.inputs:
            if end and (source not in ends or number[end.id] < number[ends[source].id]):
                ends[source] = end
    return ends


def _ends(graph: Graph) -> Iterator[Diagnostic]:
    if graph.nodes and graph.output_shape().size.hi == 0:
        yield errors.NoCandidates(span=graph.by_id[graph.outputs[-1]].span if graph.outputs else graph.nodes[-1].span)


def _models(graph: Graph) -> Iterator[Diagnostic]:
    used = graph.asked | graph.spared
    yield from (errors.UnusedModel(span=m.span, model=m.name) for m in graph.models if m.name not in used)
    known = {model.name: model for model in graph.models}
    for node in graph.every:
        for argument, name in node.op.models.items():
            if node.op.needs_large and name in known and known[name].shared.small:
                yield errors.SmallModel(
                    span=node.place(argument),
                    also=(Label(known[name].span, "declared small here"),),
                    op=node.op.name,
                    model=name,
                )
            context = known[name].capabilities.context if name in known else None
            if context and isinstance(node.op, ModelOp) and node.op.max_tokens >= context:
                yield errors.OverContext(
                    span=node.place("max_tokens"),
                    also=(Label(known[name].span, "this model"),),
                    op=node.op.name,
                    model=name,
                    most=node.op.max_tokens,
                    context=context,
                    fits=context // 2,
                )
