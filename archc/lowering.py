"""Lowering: from a Spec and the registered ops and backends to a Graph, or to all that is wrong.

The only place where the language meets the ops and the backends.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from archc import backends, errors, ops
from archc.diagnostics import MOST_TOLD, Diagnostic, SpecError, did_you_mean
from archc.ir.check import check
from archc.ir.graph import Graph, Model, Node
from archc.ir.op import Context, Op
from archc.ir.shape import Shape
from archc.keys import bindings, check_key
from archc.spec.located import Leaf, Listing, Located, Table, plain, span_at
from archc.spec.model import ModelEntry, Parallel, Sequence, SharedOptions, Spec, Stage, Step
from archc.spec.reading import validated
from archc.values import CandidateSet, Facet, Facets, Interval

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


MAX_CONNECTIONS = 20_000


def lower(spec: Spec, environ: Mapping[str, str]) -> Graph:
    """The graph that a spec means. `environ` gives the `${VAR}` of models. Raises SpecError with all mistakes."""
    lowering = _Lowering(environ, {m.name for m in spec.models} if spec.models_are_known else None)
    models = [m for entry in spec.models if (m := lowering.model(entry))]
    lowering.models = {m.name: m for m in models}
    outputs = lowering.stage(spec.pipeline, ())
    nodes = tuple(lowering.nodes)
    whole = not any(isinstance(node.op, Unreadable) for node in nodes)
    rules = spec.rules if whole else "open"
    graph = Graph(spec.name, spec.source, nodes, outputs, tuple(models), spec.budget, spec.budget_span, rules)
    found = [*spec.mistakes, *lowering.found, *(check(graph) if outputs else ())]
    if not found or all(d.severity == "warning" for d in found):
        found += [*_capabilities(graph), *_prices(graph)]
    if mistakes := [d for d in found if d.severity == "error"]:
        raise SpecError(*mistakes)
    return graph


class Unreadable(Op):
    """Stands for a step that is wrong in itself, so that nothing is said about those after it."""

    reads_candidates: ClassVar[bool] = False

    @property
    def reads(self) -> Facets:
        return frozenset(Facet)

    def shape(self, before: Shape) -> Shape:
        return before.fresh(Interval(1, 2), 0, *Facet)

    async def run(self, ctx: Context, before: CandidateSet) -> CandidateSet:
        return before


@dataclass
class _Lowering:
    environ: Mapping[str, str]
    model_names: set[str] | None
    """The models there are; None where that is not known."""
    models: dict[str, Model] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)
    sites: Counter[tuple[str, ...]] = field(default_factory=Counter)
    connections: int = 0

    # ---- models

    def model(self, entry: ModelEntry) -> Model | None:
        before = len(self.found)
        options = self.interpolated(entry.options)
        if len(self.found) > before:
            return None
        mine = {e.key for e in options if e.key in SharedOptions.model_fields}
        shared = validated(SharedOptions, _part(options, mine, True), entry.name, self.found)
        name = shared.backend if shared else plain(options).get("backend", SharedOptions().backend)
        if not isinstance(name, str):
            return None  # said by SharedOptions
        if name not in backends.names():
            span = span_at(options, ["backend"])
            self.found.append(errors.UnknownBackend(span=span, backend=name, hint=did_you_mean(name, backends.names())))
            return None
        backend = backends.backend_class(name)
        rest = _part(options, mine, False)
        own = validated(backend.Options, rest, entry.name, self.found, also=SharedOptions.model_fields)
        if shared is None or own is None:
            return None
        for url, variable in own.endpoints():
            refused = check_key(url, variable, bindings(self.environ), span_at(options, ["api_key_env"]))
            self.found += [refused] if refused else []
        return Model(entry.name, shared, own, backend.capabilities, entry.name_span)

    def interpolated(self, table: Table) -> Table:
        """The table with `${VAR}` and `${VAR:-default}` in its strings replaced."""
        changed = self._interpolate(table)
        assert isinstance(changed, Table)
        return changed

    def _interpolate(self, value: Located) -> Located:
        match value:
            case Leaf(value=str(text)):
                return replace(value, value=_VARIABLE.sub(lambda m: self._variable(m, value), text))
            case Listing():
                return replace(value, items=tuple(self._interpolate(i) for i in value.items))
            case Table():
                entries = (replace(e, value=self._interpolate(e.value)) for e in value.entries)
                return replace(value, entries=tuple(entries))
            case _:
                return value

    def _variable(self, match: re.Match[str], leaf: Leaf) -> str:
        name, default = match[1], match[2]
        value = self.environ.get(name) or default
        if value is None:
            span = leaf.span
            if (at := span.text.find(match[0])) >= 0:
                span = replace(span, start=span.start + at, end=span.start + at + len(match[0]))
            self.found.append(errors.UnsetVariable(span=span, variable=name))
        return value or ""

    # ---- pipeline

    def stage(self, stage: Stage, inputs: tuple[str, ...]) -> tuple[str, ...]:
        """Adds the nodes of a stage; gives the ids of its outputs."""
        match stage:
            case Step():
                return self.step(stage, inputs)
            case Sequence():
                for inner in stage.stages:
                    inputs = self.stage(inner, inputs)
                return inputs
            case Parallel():
                return tuple(out for branch in stage.branches for out in self.stage(branch, inputs))

    def step(self, step: Step, inputs: tuple[str, ...]) -> tuple[str, ...]:
        op = self.op(step) or Unreadable()
        if len(self.found) >= MOST_TOLD:
            raise SpecError(*self.found)
        self.connections += len(inputs)
        if self.connections > MAX_CONNECTIONS:
            raise SpecError(errors.TooLarge(span=step.span, what="connections between steps", limit=MAX_CONNECTIONS))
        self.names[op.name] += 1
        count = self.names[op.name]
        arg_spans = {e.key: e.value.span for e in step.args}
        node_id = op.name if count == 1 else f"{op.name}{count}"
        self.nodes.append(Node(node_id, op, inputs, step.span, self.site(op), arg_spans))
        return (node_id,)

    def site(self, op: Op) -> int:
        """Counts ops that could draw the same samples: the same op of the same model, whatever its name here."""
        asked = (self.models[name].shared for name in op.models.values() if name in self.models)
        kind = (op.name, *(f"{shared.backend} {shared.model}" for shared in asked))
        self.sites[kind] += 1
        return self.sites[kind] - 1

    def op(self, step: Step) -> Op | None:
        if not step.op:
            return None  # said when it was read
        if step.op not in ops.names():
            hint = did_you_mean(step.op, ops.names())
            self.found.append(errors.UnknownOp(span=step.op_span, op=step.op, hint=hint))
            return None
        args = step.args if step.args.entries else replace(step.args, span=step.op_span)
        op = validated(ops.op_class(step.op), args, step.op, self.found, strict=True)
        given = plain(args).get("model")
        for key, name in op.models.items() if op else [("model", given)] if isinstance(given, str) else ():
            if name and self.model_names is not None and name not in self.model_names:
                hint = did_you_mean(name, self.model_names) or _DECLARE.format(name=name)
                self.found.append(errors.UnknownModel(span=span_at(step.args, [key]), model=name, hint=hint))
        return op


_DECLARE = "declare it: `models: {{{name}: {{backend: llamacpp, model: embedded}}}}`"


def _part(table: Table, keys: set[str], inside: bool) -> Table:
    return replace(table, entries=tuple(e for e in table if (e.key in keys) is inside))


def _capabilities(graph: Graph) -> list[Diagnostic]:
    return [
        errors.MissingCapability(
            span=node.span, op=node.op.name, capability="logprobs", backend=model.shared.backend, model=model.name
        )
        for node in graph.nodes
        for model in map(graph.model, node.op.models.values())
        if node.op.needs_logprobs and not model.capabilities.logprobs
    ]


def _prices(graph: Graph) -> list[Diagnostic]:
    if graph.budget.usd is None:
        return []
    asked = {name for node in graph.nodes for name in node.op.models.values()}
    unpriced = [m for m in graph.models if m.name in asked and m.shared.price is None]
    return [errors.UnknownPrice(span=m.span, model=m.name) for m in unpriced]
