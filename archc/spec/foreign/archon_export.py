"""From a spec to an Archon config, and what such a config says that a spec has no place for.

That is kept in the spec's table `archon`, by position:

    archon:
      keys: {save_path: out}                                    # beside the layers
      layers:
        "0": {form: models, keys: {branches: 1}, components: {keys: {top_k: 1}}}   # one for all components, or a list
        "2": {components: [{keys: {first_pass: true}, without: [first_k]}]}

A component's part is used only where it still says the same as its step.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from archc import errors
from archc.diagnostics import Diagnostic, SpecError
from archc.source import Span
from archc.spec.foreign.archon_steps import DEFAULTS, TYPES, View, component_of, inexpressible, step_args
from archc.spec.foreign.made import made_table
from archc.spec.foreign.providers import is_at, provider_of
from archc.spec.located import Choice, Leaf, Listing, Located, Table, plain

Json = dict[str, Any]


def write_archon(root: Located) -> str:
    """The Archon config that means the same as a spec. Raises SpecError with every part that it cannot express."""
    writing = _Writing(root)
    config = writing.config()
    if writing.found:
        raise SpecError(*writing.found)
    return json.dumps(config, indent=4, ensure_ascii=False) + "\n"


def beside(config: Table, root: Table) -> Json:
    """What `config` says beside the spec `root` that was read from it; empty if nothing."""
    written = plain(config)
    layers = {}
    for index, (canonical, layer) in enumerate(zip(_Writing(root).config()["layers"], written["layers"], strict=True)):
        components = layer if isinstance(layer, list) else layer.get("models", [layer])
        differences = [_difference(c, w) for c, w in zip(canonical, components, strict=True)]
        layers[str(index)] = _form(layer) | _once(differences)
    keys = {key: value for key, value in written.items() if key not in ("name", "layers")}
    kept = {"keys": keys, "layers": {index: layer for index, layer in layers.items() if layer}}
    return {key: value for key, value in kept.items() if value}


def _form(layer: Any) -> Json:
    if isinstance(layer, list):
        return {}
    if "models" not in layer:
        return {"form": "component"}
    keys = {key: value for key, value in layer.items() if key != "models"}
    return {"form": "models"} | ({"keys": keys} if keys else {})


def _difference(canonical: Json, written: Json) -> Json:
    keys = {k: v for k, v in written.items() if k not in canonical or json.dumps(canonical[k]) != json.dumps(v)}
    without = [key for key in canonical if key not in written]
    return {key: value for key, value in (("keys", keys), ("without", without)) if value}


def _once(differences: list[Json]) -> Json:
    """One for all where they are equal; nothing where there are none."""
    if not any(differences):
        return {}
    return {"components": differences[0] if all(d == differences[0] for d in differences) else differences}


@dataclass
class _Writing:
    """Walks a spec. Makes as much of each step as it can, and tells what it cannot."""

    root: Located
    found: list[Diagnostic] = field(default_factory=list)
    tests: bool = False
    """Whether a `write_tests` came before."""

    def no(self, span: Span, what: str, hint: str = "") -> None:
        self.found.append(errors.NotInArchon(span=span, what=what, hint=hint))

    def at(self, key: str) -> Located | None:
        entry = self.root.get(key) if isinstance(self.root, Table) else None
        return entry.value if entry else None

    def config(self) -> Json:
        kept = _table(self.at("archon"))
        for entry in self.root if isinstance(self.root, Table) else ():
            if entry.key not in ("name", "models", "rules", "pipeline", "archon"):
                self.no(entry.key_span, f"`{entry.key}`", "remove it")
        name = self.at("name")
        keys = {"name": plain(name)} if name else {}
        return {**keys, **_dict(kept, "keys"), "layers": self.layers(_dict(kept, "layers"))}

    def layers(self, kept: Json) -> list[Any]:
        pipeline = self.at("pipeline")
        stages = pipeline.items if isinstance(pipeline, Listing) else ()
        if not stages:
            self.no(self.root.span, "a spec without steps")
        elif _takes_any(stages[-1]):
            stages = stages[:-1]  # Archon does so by itself
        layers: list[Any] = []
        for index, stage in enumerate(stages):
            part = _dict(kept, str(index))
            components = self.layer(stage, part.get("components"))
            self.tests = self.tests or any(c["type"] == "unit_test_generator" for c in components)
            match part.get("form"):
                case "component" if len(components) == 1:
                    layers.append(components[0])
                case "models":
                    layers.append({**_dict(part, "keys"), "models": components})
                case _:
                    layers.append(components)
        return layers

    def layer(self, stage: Located, kept: Any) -> list[Json]:
        steps = stage.items if isinstance(stage, Listing) else (stage,)
        parts = kept if isinstance(kept, list) and len(kept) == len(steps) else [kept] * len(steps)
        made = [self.component(step, part) for step, part in zip(steps, parts, strict=True)]
        return [one for one in made if one]

    def component(self, step: Located, kept: Any) -> Json:
        """What a step is in Archon; nothing after saying why it is nothing."""
        if isinstance(step, Listing) and len(step.items) == 1:
            step = step.items[0]
        op, args = _parts(step)
        if op not in TYPES:
            what = f"`{op}`" if op else "an open choice" if isinstance(step, Choice) else "a branch of several steps"
            self.no(
                step.span, what, f"its steps are {', '.join(f'`{name}`' for name in TYPES)}, one or more in a layer"
            )
            return {}
        values = {e.key: plain(e.value) for e in args}
        self.arguments(op, args, values, step.span)
        options = _dict(_table(self.at("models")), str(values.get("model")))
        canonical = component_of(op, values, str(options.get("model")), provider_of(options) or "")
        written = _overlaid(canonical, kept)
        component = written if _says(written, op, values, step.span) else canonical
        if not is_at(options, component.get("model_type") or ""):
            self.no(step.span, f"where the model `{values.get('model')}` is", "give it the `base_url` of a provider")
        return component

    def arguments(self, op: str, args: Table, values: Json, span: Span) -> None:
        """Says what Archon has no words for."""
        for entry in args:
            if isinstance(entry.value, Choice) or str(values[entry.key]).startswith("$"):
                self.no(entry.value.span, "an open choice or parameter", "close it first")
            elif entry.key in inexpressible(op, values):
                self.no(entry.key_span, f"this `{entry.key}` of `{op}`")
        if op == "rank" and not values.get("top_k"):
            self.no(span, "a `rank` that keeps all", "give it a `top_k`")
        if op == "generate" and bool(values.get("use_tests")) is not self.tests:
            use = f"use_tests: {str(not self.tests).lower()}"
            self.no(span, f"`{use}` here", "in Archon, generators see the tests of all `write_tests` before them")


def _table(value: Located | None) -> Json:
    found = plain(value) if value else None
    return found if isinstance(found, dict) else {}


def _dict(table: Json, key: str) -> Json:
    found = table.get(key)
    return found if isinstance(found, dict) else {}


def _parts(step: Located) -> tuple[str, Table]:
    """The op of a step and its arguments; no op where it is not one step."""
    match step:
        case Leaf(value=str(op)):
            return op, Table((), step.span)
        case Table(entries=(entry,)) if isinstance(entry.value, Table):
            return entry.key, entry.value
        case Table(entries=(entry,)):
            return entry.key, made_table({"model": entry.value}, entry.value.span)
        case _:
            return "", Table((), step.span)


def _takes_any(stage: Located) -> bool:
    """Whether a step keeps one candidate at random."""
    op, args = _parts(stage)
    return op == "select" and plain(args) in ({"by": "random"}, {"by": "random", "k": 1})


def _overlaid(canonical: Json, kept: Any) -> Json:
    """A component as it was written, which may be another one by now."""
    part = kept if isinstance(kept, dict) else {}
    without = part.get("without")
    left = {k: v for k, v in canonical.items() if not isinstance(without, list) or k not in without}
    return left | _dict(part, "keys") | {"type": canonical["type"], "model": canonical["model"]}


def _says(component: Json, op: str, values: Json, span: Span) -> bool:
    """Whether a component means that step, in one of the two semantics and wherever it may stand."""
    if not isinstance(component.get("model_type") or "", str):
        return False
    full = _full(op, values)
    table = made_table(component, span)
    for compat, critiques in itertools.product((False, True), repeat=2):
        view = View(compat, full.get("use_tests", False), critiques, full.get("k", 1))
        if _full(op, plain(made_table(step_args(component["type"], table, view), span))) == full:
            return True
    return False


def _full(op: str, args: Json) -> Json:
    """All arguments but the model and `repair`, which Archon cannot say."""
    return {key: v for key, v in {**DEFAULTS[op], **args}.items() if key not in ("model", "repair")}
