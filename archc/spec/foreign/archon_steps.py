"""Archon's components as steps, and steps as components."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archc.spec.located import Leaf, Located, Table

OPS: Mapping[str, str] = {
    "generator": "generate",
    "fuser": "fuse",
    "critic": "critique",
    "ranker": "rank",
    "verifier": "verify",
    "unit_test_generator": "write_tests",
    "unit_test_evaluator": "evaluate",
}
"""Each component type and the op that does its work."""

TYPES: Mapping[str, str] = {op: kind for kind, op in OPS.items()}

FREE_NUMBER_OF_TESTS = 10
"""Where a config has no `unit_test_cap`: the paper asks for five to ten."""


@dataclass(frozen=True, slots=True)
class View:
    """What a component's step depends on beside its own keys."""

    compat: bool = False
    """Whether to do what Archon does, or what it should do."""
    tests: bool = False
    """Whether a unit-test generator came before."""
    critiques: bool = False
    """Whether Archon has critiques at hand, be they of these candidates or not."""
    width: int = 1
    """How many candidates arrive, at most."""


Args = dict[str, Any]


def value_of(component: Table, key: str, default: Any = None) -> Any:
    """The plain value of a key; `default` where it is null or not there."""
    entry = component.get(key)
    if entry is None or not isinstance(entry.value, Leaf) or entry.value.value is None:
        return default
    return entry.value.value


def _given(component: Table, key: str) -> Located | None:
    entry = component.get(key)
    return entry.value if entry and entry.value != Leaf(None, entry.value.span) else None


# ---- from components to steps


def step_args(kind: str, component: Table, view: View) -> Args:
    """The arguments of the step, but for its model; values that were written keep their place."""
    args: Args = {}
    longest = _given(component, "max_tokens") or _given(component, "max_context_length")
    _RULES[kind](args, component, view)
    args |= {"temperature": _given(component, "temperature"), "max_tokens": longest}
    if view.compat and OPS[kind] in JUDGES:
        args["repair"] = False  # Archon asks the same again, up to ten times; here what cannot be read has its fallback
    return {key: value for key, value in args.items() if value is not None}


JUDGES = frozenset({"critique", "rank", "verify", "write_tests", "evaluate"})


def _samples(args: Args, component: Table) -> None:
    if value_of(component, "samples", 1) != 1:
        args["n"] = _given(component, "samples")


def _generator(args: Args, component: Table, view: View) -> None:
    _samples(args, component)
    if view.tests:
        args["use_tests"] = True


def _fuser(args: Args, component: Table, view: View) -> None:
    _samples(args, component)
    spelt = value_of(component, "length_control", False)
    if spelt and (view.critiques or not view.compat):  # Archon's prompt without critiques has no place for it
        args["length_control"] = spelt
    elif not view.compat and value_of(component, "length_contorl", False):
        args["length_control"] = True


def _critic(args: Args, component: Table, view: View) -> None:
    """Has no keys of its own."""


def _ranker(args: Args, component: Table, view: View) -> None:
    args["top_k"] = _given(component, "top_k")
    if not view.compat and not value_of(component, "use_critiques", False):
        args["use_critiques"] = False  # Archon shows them whatever this says
    if view.compat:
        args["always"] = True


def _verifier(args: Args, component: Table, view: View) -> None:
    if value_of(component, "first_k"):
        args["first_k"] = _given(component, "first_k")


def _test_generator(args: Args, component: Table, view: View) -> None:
    args["n"] = _given(component, "unit_test_cap") or FREE_NUMBER_OF_TESTS


def _test_evaluator(args: Args, component: Table, view: View) -> None:
    if value_of(component, "first_k"):
        args |= {"policy": "first_k", "k": _given(component, "first_k")}
    elif value_of(component, "first_pass"):
        args |= {"policy": "first_k", "k": 1}
    else:
        args["k"] = _given(component, "top_k") or view.width


_RULES: Mapping[str, Callable[[Args, Table, View], None]] = {
    "generator": _generator,
    "fuser": _fuser,
    "critic": _critic,
    "ranker": _ranker,
    "verifier": _verifier,
    "unit_test_generator": _test_generator,
    "unit_test_evaluator": _test_evaluator,
}


# ---- from steps to components

_ALL = {"temperature": 0.7, "max_tokens": 1024, "prompt": None}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "generate": _ALL
    | {
        "n": 1,
        "use_tests": False,
        "top_p": 1.0,
        "stop": [],
        "system": None,
        "logprobs": False,
        "min_valid": 1,
        "batch": None,
    },
    "fuse": _ALL | {"n": 1, "length_control": False},
    "critique": _ALL | {"max_tokens": 2048, "by": "list", "each_prompt": None, "repair": True},
    "rank": _ALL
    | {"temperature": 0.0, "by": "list", "top_k": None, "use_critiques": True, "always": False, "repair": True},
    "verify": {key: value for key, value in _ALL.items() if key != "prompt"}
    | {"first_k": None, "votes": 1, "reason": True, "filter": True, "reason_prompt": None, "verdict_prompt": None}
    | {"repair": True, "by": "judge", "seconds": 5.0, "code_prompt": None, "likelihood_prompt": None},
    "write_tests": _ALL | {"n": 5, "repair": True, "kind": "statements", "code_prompt": None},
    "evaluate": _ALL
    | {"temperature": 0.0, "policy": "top_k", "k": 1, "repair": True, "by": "judge", "given": False, "seconds": 3.0},
}
"""What the ops take where nothing is written; a test compares them with the ops."""

_WORDS: Mapping[str, frozenset[str]] = {
    "generate": frozenset({"n", "use_tests"}),
    "fuse": frozenset({"n", "length_control"}),
    "critique": frozenset(),
    "rank": frozenset({"top_k", "use_critiques", "always"}),
    "verify": frozenset({"first_k"}),
    "write_tests": frozenset({"n"}),
    "evaluate": frozenset({"policy", "k"}),
}
"""Arguments that Archon has words for, beside those of all."""


def inexpressible(op: str, args: Mapping[str, Any]) -> list[str]:
    """The arguments that Archon has no words for, unless they have their default."""
    known = _WORDS[op] | {"model", "temperature", "max_tokens", "repair"}
    wrong = [key for key, value in args.items() if key not in known and value != DEFAULTS[op].get(key, _ODD)]
    if op == "evaluate" and args.get("policy") == "all_pass":
        wrong.append("policy")
    return wrong


_ODD = object()


def component_of(op: str, args: Mapping[str, Any], model: str, provider: str) -> dict[str, Any]:
    """The component that a step means, as JSON has it."""
    full = {**DEFAULTS[op], **args}
    component = {
        "type": TYPES[op],
        "model": model,
        "model_type": provider,
        "temperature": full["temperature"],
        "max_tokens": full["max_tokens"],
    }
    return component | _KEYS[op](full)


def _fuser_keys(full: Mapping[str, Any]) -> Args:
    return {"samples": full["n"]} | ({"length_control": True} if full["length_control"] else {})


def _ranker_keys(full: Mapping[str, Any]) -> Args:
    return {"top_k": full["top_k"], "use_critiques": full["use_critiques"]}


def _verifier_keys(full: Mapping[str, Any]) -> Args:
    return {"samples": 1} | ({"first_k": full["first_k"]} if full["first_k"] else {})


def _evaluator_keys(full: Mapping[str, Any]) -> Args:
    chosen = {"top_k": full["k"]} if full["policy"] == "top_k" else {"top_k": 1, "first_k": full["k"]}
    return {"samples": 1, "remove_unit_tests_from_prompt": True, **chosen}


_KEYS: Mapping[str, Callable[[Mapping[str, Any]], Args]] = {
    "generate": lambda full: {"samples": full["n"]},
    "fuse": _fuser_keys,
    "critique": lambda full: {"samples": 1},
    "rank": _ranker_keys,
    "verify": _verifier_keys,
    "write_tests": lambda full: {"samples": 1, "unit_test_cap": full["n"]},
    "evaluate": _evaluator_keys,
}
