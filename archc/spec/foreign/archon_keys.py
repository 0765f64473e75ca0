"""The keys of Archon's configs: which mean something where, and what to say of those that do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archc import errors
from archc.diagnostics import Diagnostic, did_you_mean
from archc.source import Span
from archc.spec.foreign.archon_steps import value_of
from archc.spec.foreign.providers import is_pairwise
from archc.spec.located import Entry, Leaf, Table

_EVERYWHERE = {"type", "model", "model_type", "temperature", "max_tokens", "samples"}
_OWN: Mapping[str, set[str]] = {
    "generator": set(),
    "fuser": {"length_control"},
    "critic": set(),
    "ranker": {"top_k", "use_critiques"},
    "verifier": {"first_k"},
    "unit_test_generator": {"unit_test_cap"},
    "unit_test_evaluator": {"top_k", "first_k", "first_pass", "remove_unit_tests_from_prompt"},
}
_TOP = {"name", "layers"}

_HINTS: Mapping[str, str] = {
    "branches": "a layer has as many branches as components",
    "top_k": "only rankers and unit-test evaluators keep the best k",
    "samples": "only generators and fusers use more than the first",
    "checkpoint": "no component loads one",
    "batch_num": "a verifier judges all at once here",
    "ranker_batch_size": "only PairRM ranks in batches",
    "use_critiques": "only rankers read it",
    "length_contorl": "it is a misspelling of `length_control`; `fixed` semantics take it for that",
    "no_system": "no system text is sent unless the conversation has one",
    "remove_unit_tests_from_prompt": "evaluators see the question without the tests, others need not",
    "first_pass": "`first_k` is there too, and counts",
    "max_context_length": "`max_tokens` is there too, and counts",
    "custom": "components from Python are ops of installed packages here",
    "save_path": "what is saved where is asked on the command line",
}
_UNREAD = "no component of Archon reads it"


@dataclass
class IdleKeys:
    """Keys that change nothing, told once each with their count."""

    honour_typo: bool
    seen: dict[str, list[tuple[str, Span, str]]] = field(default_factory=dict)
    """By key: on what it stands, where, and what to say of it."""

    def top(self, config: Table) -> None:
        """Takes note of those beside the layers."""
        for entry in config:
            if entry.key not in _TOP:
                self._add(entry, "the config", _hint(entry.key, _TOP))

    def layer(self, layer: Table) -> None:
        """Takes note of those of a layer in the old form."""
        for entry in layer:
            if entry.key != "models":
                self._add(entry, "a layer", _hint(entry.key, {"models"}))

    def component(self, kind: str, component: Table) -> None:
        """Takes note of those of a component."""
        for entry in component:
            if not _means_something(kind, component, entry):
                known = _EVERYWHERE | _OWN[kind]
                self._add(entry, f"a {kind}" if kind[0] not in "u" else f"an {kind}", _hint(entry.key, known))

    def _add(self, entry: Entry, owner: str, hint: str) -> None:
        self.seen.setdefault(entry.key, []).append((owner, entry.key_span, hint))

    def told(self) -> list[Diagnostic]:
        """One warning a key."""
        return [self._told(key, places) for key, places in self.seen.items()]

    def _told(self, key: str, places: list[tuple[str, Span, str]]) -> Diagnostic:
        times = "once" if len(places) == 1 else f"{len(places)} times"
        _, span, hint = places[0]
        if key == "length_contorl" and self.honour_typo:
            return errors.MisspeltKey(span=span, key=key, meant="length_control", times=times)
        owners = " or ".join(dict.fromkeys(owner for owner, _, _ in places))
        return errors.IgnoredKey(span=span, key=key, owner=owners, times=times, hint=hint)


def _hint(key: str, known: set[str]) -> str:
    near = did_you_mean(key, known)
    return _HINTS.get(key) or (near if near.startswith("did") else _UNREAD)


def _means_something(kind: str, component: Table, entry: Entry) -> bool:
    key = entry.key
    if key == "samples":
        return kind in ("generator", "fuser") or entry.value == Leaf(1, entry.value.span)
    if key == "max_context_length":
        return component.get("max_tokens") is None
    if key == "first_pass":
        return kind == "unit_test_evaluator" and not value_of(component, "first_k")
    if key == "ranker_batch_size":
        return kind == "ranker" and is_pairwise(str(value_of(component, "model", "")))
    if key == "remove_unit_tests_from_prompt" and not value_of(component, key, False):
        return False
    return key in _EVERYWHERE | _OWN[kind]
