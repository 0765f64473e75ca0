"""Help: what a word means, and which words may stand at a place."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from archc import backends, ops
from archc.editor.look import Look, look
from archc.editor.spot import Spot, spot_at
from archc.ir.statistics import ABOUT, UNITS
from archc.ops import VOCABULARY
from archc.planning.plan import NodePlan
from archc.schema import WORDS, json_schema
from archc.source import Source
from archc.spec.arch.grammar import STATEMENTS
from archc.spec.document import form_of
from archc.spec.located import Table, plain


@dataclass(frozen=True)
class Hover:
    """What is said of the characters `[start, end)`, as Markdown."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Completion:
    """A word that may stand in the place of the characters `[start, end)`."""

    word: str
    kind: Literal["function", "property", "variable", "constant", "keyword"]
    about: str
    start: int
    end: int


def hover_at(source: Source, offset: int) -> Hover | None:
    """What the word at an offset means; None where nothing is known. Never raises."""
    spot = spot_at(source, offset)
    about = _about(spot, look(source)) if spot and spot.word else ""
    return Hover(about, spot.start, spot.end) if spot and about else None


def completions_at(source: Source, offset: int) -> list[Completion]:
    """The words that may stand at an offset. Never raises."""
    spot = spot_at(source, offset)
    words = _words(spot, form_of(source) == "arch") if spot else ()
    known = {word: (kind, about) for word, kind, about in reversed([*words])}
    return [Completion(w, k, about, spot.start, spot.end) for w, (k, about) in sorted(known.items())] if spot else []


# ---- what is known

_ROOT = {"architecture": "name", "param": "params", "model": "models"}
"""The keys of the root that statements of `.arch` stand for."""


def _keys(owner: str) -> Mapping[str, Any]:
    """The keys of an op, a model or a part of the spec, with their schemas."""
    root = json_schema()
    if owner == "spec":
        return root["properties"]  # type: ignore[no-any-return]
    if owner.startswith("spec."):
        return root["properties"][owner.removeprefix("spec.")]["properties"]  # type: ignore[no-any-return]
    known = root["$defs"].get(owner if owner.startswith("model-") else f"op-{owner}", {})
    return known.get("properties", {})  # type: ignore[no-any-return]


def _is_condition(owner: str, key: str) -> bool:
    return (owner, key) == ("spec", "require") or key in VOCABULARY.conditions(owner)


def _parts(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    for inner in schema.get("anyOf", ()):
        yield from _parts(inner)


# ---- hover


def _about(spot: Spot, seen: Look) -> str:
    word, (kind, owner, key) = spot.word, spot.role
    if word.startswith("$"):
        return _entry(seen, "params", word[1:])
    if kind == "step":
        return _step(spot, seen)
    if kind == "key":
        return _key(owner, word)
    if _is_condition(owner, key) and word in ABOUT:
        return f"`{word}` ({UNITS[word]}): {ABOUT[word]}"
    if _is_condition(owner, key) and word in spot.named("param"):
        return _entry(seen, "params", word)
    if key == "backend" and word in backends.names():
        return _docs(backends.backend_class(word))
    return (_entry(seen, "models", word) if word in spot.named("model") else "") or _key(owner, key)


def _step(spot: Spot, seen: Look) -> str:
    word = spot.word
    if word in spot.named("let"):
        return f"`{word}`: what a pipeline above gave, named by `let`."
    if word in ops.names():
        cost = [*_costs(spot, seen)]
        return "\n\n".join([f"**{word}**", *cost, _docs(ops.op_class(word)), *_listed(word)])
    if word in STATEMENTS:
        return _key("spec", _ROOT.get(word, word))
    return f"**{word}**\n\n{WORDS[word]}" if word in WORDS else ""


def _docs(kind: type[Any]) -> str:
    text, _, example = (inspect.getdoc(kind) or "").partition("Example:\n")
    return f"{text.strip()}\n\n```yaml\n{inspect.cleandoc(example)}\n```" if example else text


def _listed(op: str) -> list[str]:
    lines = [f"- `{key}`{_default(schema)}: {_short(schema)}" for key, schema in _keys(op).items()]
    return ["\n".join(lines)] if lines else []


def _key(owner: str, key: str) -> str:
    schema = _keys(owner).get(key)
    return f"`{key}`{_default(schema)}: {schema['description']}" if schema else ""


def _default(schema: Mapping[str, Any]) -> str:
    return f" = {json.dumps(schema['default'])}" if "default" in schema else ""


def _short(schema: Mapping[str, Any]) -> str:
    return str(schema["description"]).partition(" A condition over what is there")[0]


def _entry(seen: Look, part: str, name: str) -> str:
    """A param or a model with what the spec says of it."""
    table = seen.root.get(part) if isinstance(seen.root, Table) else None
    entry = table.value.get(name) if table and isinstance(table.value, Table) else None
    if entry is None:
        return f"`${name}`: a param" if part == "params" else f"`{name}`: a model"
    if part == "params":
        text = "which must be given" if plain(entry.value) is None else f"`{' '.join(entry.value.span.text.split())}`"
        return f"`${name}`: a param, {text}"
    options = plain(entry.value) if isinstance(entry.value, Table) else {}
    shown = (f"{key} `{options[key]}`" for key in ("backend", "model", "base_url") if key in options)
    return f"`{name}`: a model, {', '.join(shown) or 'with the defaults'}"


def _costs(spot: Spot, seen: Look) -> Iterator[str]:
    """What the steps of that op that are written here cost, in the first plan that has them."""
    for plan in seen.plans:
        written = plan.steps[0].before if plan.steps else plan.graph
        held = [
            (node.span.end - node.span.start, node.id)
            for node in written.every
            if node.op.name == spot.word and node.span.source == written.source
            if node.span.start <= spot.start < node.span.end
        ]
        mine = {name for length, name in held if length == min(held)[0]}
        if mine:
            costs = [_cost(node) for node in plan.nodes if node.id in mine] or [
                "removed by the optimiser: nobody reads it"
            ]
            yield from costs[:_MOST]
            return


_MOST = 4
"""How many copies of a step are shown."""


def _cost(node: NodePlan) -> str:
    tokens, usd = node.cost.tokens, node.cost.usd
    money = f", at most ${usd[1]:.4f}" if usd and usd[1] else ""
    asked = f" of {node.model}" if node.model else ""
    return (
        f"`{node.id}`: {node.cost.calls} calls{asked}, depth {node.depth}, at most {tokens.hi:,} tokens{money}; "
        f"leaves `{node.shape}` candidates"
    )


# ---- completion

Word = tuple[str, Any, str]


def _words(spot: Spot, is_arch: bool) -> Iterator[Word]:
    kind, owner, key = spot.role
    if kind == "step":
        yield from _steps(spot, is_arch)
    if kind in ("key", "argument"):
        yield from ((name, "property", schema["description"]) for name, schema in _keys(owner).items())
    if kind in ("value", "argument"):
        yield from _values(spot, owner, key)


def _steps(spot: Spot, is_arch: bool) -> Iterator[Word]:
    for name in ops.names():
        yield name, "function", _docs(ops.op_class(name)).partition("\n")[0]
    yield from _named(spot, "let", "variable")
    words = WORDS if is_arch else {**WORDS, "let": "Names for what pipelines give, to be used like steps."}
    yield from ((word, "keyword", about) for word, about in words.items())
    if is_arch:
        yield from ((w, "keyword", _keys("spec").get(_ROOT.get(w, w), {}).get("description", "")) for w in STATEMENTS)


def _values(spot: Spot, owner: str, key: str) -> Iterator[Word]:
    yield from (("$" + name, what, about) for name, what, about in _named(spot, "param", "variable"))
    if _is_condition(owner, key):
        known = ABOUT if owner != "spec" else {}
        yield from ((name, "constant", f"{UNITS[name]}: {about}") for name, about in known.items())
        yield from _named(spot, "param", "variable") if owner == "spec" else ()
        yield from ((word, "keyword", "") for word in ("and", "or", "not", "true", "false"))
    if key in ("model", "models") and not owner.startswith("model-"):
        yield from _named(spot, "model", "variable")
    if key == "backend":
        yield from ((name, "constant", _docs(backends.backend_class(name))) for name in backends.names())
    for part in _parts(_keys(owner).get(key, {})):
        options: Iterable[Any] = ("true", "false") if part.get("type") == "boolean" else part.get("enum", ())
        yield from ((str(option), "constant", "") for option in options)


def _named(spot: Spot, what: str, kind: str) -> Iterator[Word]:
    yield from ((name, kind, f"a {what}") for name in spot.named(what))
