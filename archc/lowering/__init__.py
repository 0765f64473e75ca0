"""Lowering: from a Spec and the registered ops and backends to a Graph, or to all that is wrong.

The only place where the language meets the ops and the backends.
"""

from __future__ import annotations

from collections.abc import Mapping

from archc import backends, errors
from archc.calls import Capability
from archc.diagnostics import Diagnostic, Label, SpecError
from archc.ir.check import check
from archc.ir.control import Control
from archc.ir.graph import Graph
from archc.ir.region import Region
from archc.lowering.models import Models
from archc.lowering.pipeline import Pipelines, Unreadable
from archc.lowering.scope import Loader, Scope
from archc.source import Source
from archc.spec.located import Table
from archc.spec.model import Spec


def no_other(path: str, beside: Source, given: Table) -> Spec:
    """A loader for specs that stand alone. Raises SpecError."""
    raise SpecError(errors.NoSuchFile(path=path, problem="other specs can't be read here"))


def lower(spec: Spec, environ: Mapping[str, str], load: Loader = no_other, will_ask: bool = True) -> Graph:
    """The graph that a spec means. `environ` gives the `${VAR}` of models, `load` the specs that it uses.

    Unless it `will_ask` its models, it is not checked whether keys may go where they would go.

    Raises SpecError with all mistakes.
    """
    found: list[Diagnostic] = list(spec.mistakes)
    models = Models(environ, found, will_ask)
    scope = Scope(spec, models.declared(spec), limits=spec.budget.limited)
    pipelines = Pipelines(models, load, found)
    body = pipelines.body(spec.pipeline, scope)
    whole = not any(isinstance(node.op, Unreadable) for node in body.walk())
    rules = spec.rules if whole else "open"
    noticed = tuple(d for d in found if d.severity == "warning")
    made = tuple(models.made)
    graph = Graph(
        spec.name, spec.source, body, made, spec.budget, spec.budget_span, rules, noticed, frozenset(pipelines.spared)
    )
    if _rounds(body) > MAX_ROUNDS:
        found.append(errors.TooLarge(span=spec.pipeline.span, what="rounds of loops within loops", limit=MAX_ROUNDS))
    elif body.outputs:
        found += check(graph)
    elif spec.pipeline.stages:
        found.append(errors.NoCandidates(span=spec.pipeline.stages[-1].span))
    said = errors.MissingParam  # where a param is declared; in `.arch` its value that is not there has the same place
    found = [d for d in found if d.span not in pipelines.unset or isinstance(d, said)]
    if not found or all(d.severity == "warning" for d in found):
        found += [*_capabilities(graph), *_prices(graph)]
    if mistakes := [d for d in found if d.severity == "error"]:
        raise SpecError(*mistakes)
    return graph


def _gives(backend: str, capability: Capability) -> bool:
    return bool(getattr(backends.backend_class(backend).capabilities, capability))


_CAPABILITIES: Mapping[Capability, str] = {
    "text": "texts",
    "logprobs": "log-probabilities",
    "reward": "rewards",
    "embeddings": "embeddings",
    "continuation": "replies that go on with what is begun",
}
"""As people call them."""

MAX_ROUNDS = 100_000
"""How many rounds all loops may have together."""


def _rounds(region: Region) -> int:
    """How often a step of it may have to be looked at, loops in loops multiplied."""
    inner = (
        node.op.rounds * sum(map(_rounds, node.op.blocks.values()))
        for node in region.nodes
        if isinstance(node.op, Control)
    )
    return len(region.nodes) + sum(inner)


def _capabilities(graph: Graph) -> list[Diagnostic]:
    return [
        errors.MissingCapability(
            span=node.span,
            also=(Label(model.span, "this model"),),
            op=node.op.name,
            capability=words,
            others=", ".join(f"`{name}`" for name in backends.names() if _gives(name, capability)),
            backend=model.shared.backend,
            model=model.name,
        )
        for node in graph.every
        for model in map(graph.model, node.op.models.values())
        for capability, words in _CAPABILITIES.items()
        if capability in node.op.requires and not getattr(model.capabilities, capability)
    ]


def _prices(graph: Graph) -> list[Diagnostic]:
    limits = [node.op.limit for node in graph.every if isinstance(node.op, Control)]
    if not any(limit and limit.usd is not None for limit in (graph.budget, *limits)):
        return []
    unpriced = [m for m in graph.models if m.name in graph.asked and m.shared.price is None]
    also = (Label(graph.budget_span, "a budget in USD"),) if graph.budget_span and graph.budget.usd is not None else ()
    return [errors.UnknownPrice(span=m.span, also=also, model=m.name) for m in unpriced]
