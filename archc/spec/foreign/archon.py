"""The Archon format: an architecture as layers of components in JSON, read as a spec.

`compat` semantics do what Archon does: the same calls, rankers that always see critiques, a random one of several final
answers. `fixed` semantics do what it should do: flags count as written, even misspelt ones, unreadable judgements are
asked for once more, and the first of several answers is the answer. In both, critiques end with the candidates they
describe, and what Archon would do with them otherwise is told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from archc import errors
from archc.diagnostics import Diagnostic, SpecError, did_you_mean, in_source_order
from archc.source import Source, Span
from archc.spec.foreign import made
from archc.spec.foreign.archon_critiques import Critiques, after
from archc.spec.foreign.archon_export import beside
from archc.spec.foreign.archon_keys import IdleKeys
from archc.spec.foreign.archon_steps import OPS, View, step_args, value_of
from archc.spec.foreign.json_text import read_json
from archc.spec.foreign.providers import PROVIDERS, Models, is_pairwise, provider, spec_models
from archc.spec.located import Entry, Leaf, Listing, Located, Table, kind_of

Semantics = Literal["fixed", "compat"]

_SLIP = re.compile(r'"generator"tor"(?:tor")?')
"""A slip of two published configs, in two lengths; nothing else is repaired."""
_MEANT = '"generator"'


def read_archon(source: Source, semantics: Semantics = "fixed") -> tuple[Located, list[Diagnostic]]:
    """The spec that an Archon config means, and what there is to say about it, in source order.

    Errors among these are for the compiler to raise, before any call. Raises SpecError for a text that is no config.
    """
    found: list[Diagnostic] = []
    config = read_json(source, _repaired(source, found))
    if not isinstance(config, Table):
        raise SpecError(errors.WrongKind(span=config.span, what="a config", expected="a mapping", got=kind_of(config)))
    layers = config.get("layers")
    if layers is None:
        at = config.entries[0].key_span if config.entries else config.span
        raise SpecError(errors.MissingKey(span=at, key="layers", owner="an Archon config", example='"layers": [[…]]'))
    reading = _Reading(semantics == "compat", found)
    reading.idle.top(config)
    steps = reading.layers(layers.value)
    if reading.wrong:
        raise SpecError(*reading.wrong)
    entries = {"models": spec_models(reading.models, layers.key_span), "pipeline": Listing(steps, layers.value.span)}
    name = config.get("name")
    named = (name,) if name else ()
    root = Table((*named, *made.made_table(entries, layers.key_span)), config.span)
    kept = beside(config, root)
    if kept:
        root = replace(
            root, entries=(*root.entries, Entry("archon", layers.key_span, made.made(kept, layers.key_span)))
        )
    return root, list(in_source_order([*found, *reading.idle.told()]))


def _repaired(source: Source, found: list[Diagnostic]) -> str:
    """The text with known slips made good, each character where it was."""
    for slip in _SLIP.finditer(source.text):
        found.append(errors.RepairedJson(span=source.span(*slip.span()), wrong=slip[0], meant=_MEANT))
    return _SLIP.sub(lambda slip: _MEANT.ljust(len(slip[0])), source.text)


@dataclass
class _Reading:
    """Walks the layers, and knows what Archon would hold after each."""

    compat: bool
    found: list[Diagnostic]
    wrong: list[Diagnostic] = field(default_factory=list)
    """Mistakes after which there is no spec."""
    models: Models = field(default_factory=Models)
    told: set[tuple[str, object]] = field(default_factory=set)
    """What has been said, of those things that are said once."""
    width: int = 0
    tests: bool = False
    critiques: Critiques | None = None
    idle: IdleKeys = field(init=False)

    def __post_init__(self) -> None:
        self.idle = IdleKeys(honour_typo=not self.compat)

    def layers(self, layers: Located) -> tuple[Located, ...]:
        if not isinstance(layers, Listing):
            self._no(layers, "`layers`", "a list")
            return ()
        steps = [self.layer(index, layer) for index, layer in enumerate(layers.items)]
        if self.width > 1:
            span = layers.items[-1].span
            taken = "a random one is the answer" if self.compat else "the first is the answer (Archon takes any)"
            self.found.append(errors.SeveralAnswers(span=span, width=self.width, taken=taken))
            if self.compat:
                steps.append(made.step("select", {"by": "random"}, span))
        return tuple(steps)

    def _no(self, value: Located, what: str, expected: str) -> None:
        self.wrong.append(errors.WrongKind(span=value.span, what=what, expected=expected, got=kind_of(value)))

    def components(self, layer: Located) -> tuple[Located, ...]:
        """The components of a layer in any of its three forms."""
        match layer:
            case Listing():
                return layer.items
            case Table() if models := layer.get("models"):
                self.idle.layer(layer)
                if isinstance(models.value, Listing):
                    return models.value.items
            case Table() if layer.get("type"):
                return (layer,)
        self._no(layer, "a layer", 'a list of components, one component, or {"models": […]}')
        return ()

    def layer(self, index: int, layer: Located) -> Located:
        tables = [(kind, c) for c in self.components(layer) if (kind := self.kind(c)) and isinstance(c, Table)]
        kinds = [kind for kind, _ in tables]
        view = View(self.compat, self.tests, self.critiques is not None, max(self.width, 1))
        steps = [self.step(kind, component, view) for kind, component in tables]
        for (kind, _), step in zip(tables, steps, strict=True):
            self.check(index, kind, kinds, step.span)
        left = sum(_leaving(kind, component, self.width) for kind, component in tables)
        if set(kinds) <= {"critic", "unit_test_generator"}:
            left = self.width
        self.critiques = after(self.critiques, index, kinds, self.width, left)
        self.width, self.tests = left, self.tests or "unit_test_generator" in kinds
        return made.layer(steps, layer.span)

    def kind(self, component: Located) -> str:
        """The type of a component; empty after saying why there is none."""
        if not isinstance(component, Table):
            self._no(component, "a component", 'a mapping such as {"type": "generator", …}')
            return ""
        lacking = [key for key in ("type", "model") if not isinstance(value_of(component, key), str)]
        for key in lacking:
            span = component.entries[0].key_span if component.entries else component.span
            example = f'"{key}": "…"'
            self.wrong.append(errors.MissingKey(span=span, key=key, owner="a component", example=example))
        where = component.get("model_type")
        if where and not (isinstance(where.value, Leaf) and isinstance(where.value.value, str | None)):
            self._no(where.value, "`model_type`", "a string")
        kind = str(value_of(component, "type", ""))
        if not lacking and kind not in OPS:
            span = _entry(component, "type").value.span
            self.wrong.append(errors.UnknownComponent(span=span, kind=kind, hint=did_you_mean(kind, OPS)))
        return "" if lacking or kind not in OPS else kind

    def step(self, kind: str, component: Table, view: View) -> Table:
        self.idle.component(kind, component)
        where = _entry(component, "type")
        span = where.key_span.join(where.value.span)
        model = _entry(component, "model").value
        name = self.model(str(value_of(component, "model")), str(value_of(component, "model_type", "")), model.span)
        args = {"model": Leaf(name, model.span), **step_args(kind, component, view)}
        return made.step(OPS[kind], args, span)

    def model(self, model: str, kind: str, span: Span) -> str:
        name = self.models.name(model, kind, span)
        if is_pairwise(model):
            self.once(("pairwise", model), errors.PairwiseModel(span=span, model=model, entry=name))
        elif kind not in PROVIDERS:
            variable = provider(kind).variable
            self.once(("provider", kind), errors.UnknownProvider(span=span, provider=kind, variable=variable))
        return name

    def once(self, what: tuple[str, object], diagnostic: Diagnostic) -> None:
        """Says it the first time."""
        self.found += [diagnostic] if what not in self.told else []
        self.told.add(what)

    def check(self, layer: int, kind: str, kinds: list[str], span: Span) -> None:
        """What is wrong with a component of this kind among those of its layer."""
        if kind in ("critic", "unit_test_generator") and len(kinds) > 1:
            self.once(("layer", layer), errors.CrowdedLayer(span=span, layer=layer, kind=kind))
        elif kind != kinds[0] or (len(set(kinds)) > 1 and kind == "fuser" and not self.width):
            hint = "a fuser reads candidates of the layer before" if kind == "fuser" else "give each kind its own layer"
            rule = "a layer holds one kind of component"
            self.once(("layer", layer), errors.LayerRule(span=span, layer=layer, rule=rule, kind=kind, hint=hint))
        if self.critiques and (stale := self.critiques.misread(layer, kind, self.width, self.compat, span)):
            self.once(("critiques of", self.critiques.layer), stale)


def _entry(component: Table, key: str) -> Entry:
    entry = component.get(key)
    assert entry is not None
    return entry


def _leaving(kind: str, component: Table, arrives: int) -> int:
    """How many candidates leave a component, at most and if every judge is content."""
    match kind:
        case "generator" | "fuser":
            return _number(value_of(component, "samples", 1))
        case "verifier":
            return min(arrives, _number(value_of(component, "first_k") or arrives))
        case "unit_test_evaluator" if value_of(component, "first_pass") and not value_of(component, "first_k"):
            return min(arrives, 1)
        case "unit_test_evaluator":
            return min(arrives, _number(value_of(component, "first_k") or value_of(component, "top_k") or arrives))
        case "ranker":
            return min(arrives, _number(value_of(component, "top_k", arrives)))
        case _:
            return 0


def _number(value: Any) -> int:
    """A count as written; what is none is told by the op."""
    return value if isinstance(value, int) else 1
