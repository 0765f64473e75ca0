"""Reading: from located values to a Spec, with all that is wrong with their form."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from archc import errors
from archc.diagnostics import Diagnostic, SpecError, did_you_mean
from archc.source import Source, Span
from archc.spec.located import Leaf, Listing, Located, Table, kind_of, plain, span_at
from archc.spec.model import Budget, ModelEntry, Parallel, Rules, Sequence, Spec, Step

KEYS = ("name", "models", "budget", "rules", "pipeline")
BESIDE = "archon"
"""A key that holds what a config of that system says beside the architecture; only its export reads it."""

M = TypeVar("M", bound=BaseModel)


def read_spec(source: Source, root: Located) -> Spec:
    """The spec that `root` describes, with everything that is wrong with its form. Raises SpecError if it is none."""
    found: list[Diagnostic] = []
    if not isinstance(root, Table):
        raise SpecError(errors.WrongKind(span=root.span, what="a spec", expected="a mapping", got=kind_of(root)))
    for entry in root:
        if entry.key not in (*KEYS, BESIDE):
            hint = did_you_mean(entry.key, KEYS)
            found.append(errors.UnknownKey(span=entry.key_span, key=entry.key, owner="the spec", hint=hint))
    models = _models(root, found)
    budget_entry = root.get("budget")
    budget = validated(Budget, budget_entry.value, "budget", found) if budget_entry else Budget()
    pipeline_entry = root.get("pipeline")
    pipeline = Sequence((), root.span)
    if pipeline_entry is None:
        if not _misspelt("pipeline", [e.key for e in root]):
            found.append(errors.MissingKey(span=_head(root), key="pipeline", owner="the spec", example=_EXAMPLE))
    elif isinstance(pipeline_entry.value, Listing):
        pipeline = _sequence(pipeline_entry.value, found)
    else:
        found.append(_wrong(pipeline_entry.value, "`pipeline`", "a list of steps"))
    name = _string(root, "name", source.name.rsplit("/", 1)[-1].split(".")[0], found)
    rules = _string(root, "rules", "open", found)
    if rules not in get_args(Rules):
        span = span_at(root, ["rules"])
        found.append(errors.BadValue(span=span, key="rules", problem="use `open` or `archon`"))
    return Spec(
        source,
        name,
        models or (),
        pipeline,
        budget or Budget(),
        budget_entry.key_span if budget_entry else None,
        "archon" if rules == "archon" else "open",
        tuple(found),
        models is not None,
    )


_EXAMPLE = "pipeline: [{generate: {model: small, n: 4}}]"
_MOST = 100
"""How many mistakes of one mapping are told."""


def validated(
    kind: type[M],
    value: Located,
    owner: str,
    found: list[Diagnostic],
    *,
    strict: bool = False,
    also: Iterable[str] = (),
) -> M | None:
    """A pydantic value of `kind`, or None after adding what is wrong, each at its own place, to `found`.

    `strict` takes no string for a number; `also` are keys that exist too, for the hint.
    """
    if not isinstance(value, Table):
        found.append(_wrong(value, f"`{owner}`", "a mapping"))
        return None
    try:
        return kind.model_validate_json(json.dumps(plain(value)), strict=strict)
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        extra = [one["loc"] for one in wrong if one["type"] == "extra_forbidden"]
        lacking = [one["loc"] for one in wrong if one["type"] == "missing"]
        for one in wrong[:_MOST]:
            siblings = [str(loc[-1]) for loc in extra if loc[:-1] == one["loc"][:-1]]
            if one["type"] == "missing" and _misspelt(str(one["loc"][-1]), siblings):
                continue  # said where it is misspelt
            known = [str(loc[-1]) for loc in lacking if loc[:-1] == one["loc"][:-1]]
            if len(one["loc"]) == 1:
                known = [*kind.model_fields, *also]
            found.append(_diagnostic(known, value, owner, one))
        return None


def _misspelt(key: str, written: Iterable[str]) -> bool:
    """Whether `key` is missing only because it was written otherwise."""
    return bool(difflib.get_close_matches(key, list(written), n=1, cutoff=0.6))


def _diagnostic(known: list[str], value: Table, owner: str, error: ErrorDetails) -> Diagnostic:
    path = error["loc"]
    owner = f"`{path[-2]}`" if len(path) > 1 else f"`{owner}`"
    match error["type"]:
        case "extra_forbidden":
            hint = did_you_mean(str(path[-1]), known) or "remove it"
            return errors.UnknownKey(span=span_at(value, path, of_key=True), key=str(path[-1]), owner=owner, hint=hint)
        case "missing":
            span = span_at(value, path[:-1], of_key=True) if len(path) > 1 else _head(value)
            return errors.MissingKey(span=span, key=str(path[-1]), owner=owner, example=f"{path[-1]}: …")
        case _:
            key = ".".join(str(p) for p in path) or owner.strip("`")
            return errors.BadValue(
                span=span_at(value, path), key=key, problem=_problem(error["msg"]), hint=_hint(error)
            )


_WORDING = (
    (r"^Value error, ", ""),
    (r", (unable to parse|got a number).*", ""),
    (r"^(Input|String|List|Tuple|Dictionary) should ", "it must "),
    (r"\ba valid integer\b", "a whole number"),
    (r"\ba valid (array|list|tuple)\b", "a list"),
    (r"\ba valid (dictionary|object)\b", "a mapping"),
    (r"\ba valid boolean\b", "`true` or `false`"),
    (r"\ba valid (number|string)\b", r"a \1"),
    (r"\bhave at least 1 (character|item)\b.*", "not be empty"),
    (r"'([^']*)'", r"`\1`"),
)
"""From pydantic's words to ours."""

_YAML_1_1 = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def _problem(message: str) -> str:
    for pattern, words in _WORDING:
        message = re.sub(pattern, words, message)
    return message[:1].lower() + message[1:]


def _hint(error: ErrorDetails) -> str:
    """What to write instead, where that is clear."""
    got, kind = error["input"], error["type"]
    if not isinstance(got, str):
        return ""
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", error["msg"])
        hint = did_you_mean(got, choices)
        return hint if hint.startswith("did") else ""
    if kind.startswith("bool") and got.lower() in _YAML_1_1:
        return f"write `{_YAML_1_1[got.lower()]}`"
    if kind in ("int_type", "float_type") and re.fullmatch(r"[-+]?[0-9.]+", got):
        return f"write it without quotes: `{got}`"
    return ""


def _models(root: Table, found: list[Diagnostic]) -> tuple[ModelEntry, ...] | None:
    """The entries of `models`; None where they cannot be known."""
    entry = root.get("models")
    if entry is None:
        return None if _misspelt("models", [e.key for e in root]) else ()
    if not isinstance(entry.value, Table):
        found.append(_wrong(entry.value, "`models`", "a mapping from names to models"))
        return None
    models = []
    for model in entry.value:
        options = model.value
        if not isinstance(options, Table):
            found.append(_wrong(options, f"the model `{model.key}`", "a mapping such as {backend: openai, …}"))
            options = Table((), model.key_span)
        models.append(ModelEntry(model.key, model.key_span, options))
    return tuple(models)


def _sequence(value: Listing, found: list[Diagnostic]) -> Sequence:
    if not value.items:
        found.append(errors.EmptyPipeline(span=value.span))
    stages = (_parallel(item, found) if isinstance(item, Listing) else _step(item, found) for item in value.items)
    return Sequence(tuple(stages), value.span)


def _parallel(value: Listing, found: list[Diagnostic]) -> Parallel:
    if not value.items:
        found.append(errors.EmptyPipeline(span=value.span))
    branches = (_sequence(item, found) if isinstance(item, Listing) else _step(item, found) for item in value.items)
    return Parallel(tuple(branches), value.span)


def _step(value: Located, found: list[Diagnostic]) -> Step:
    match value:
        case Leaf(value=str(op)) if op:
            return Step(op, value.span, Table((), value.span), value.span)
        case Table(entries=(entry,)) if entry.key:
            args = entry.value
            if isinstance(args, Leaf) and args.value is None:
                args = Table((), entry.key_span)
            if isinstance(args, Table):
                return Step(entry.key, entry.key_span, args, value.span)
            found.append(_wrong(args, f"the arguments of `{entry.key}`", "a mapping such as {model: small}"))
        case Table(entries=entries) if len(entries) > 1:
            keys = [e.key for e in entries]
            found.append(errors.SeveralOps(span=entries[1].key_span, first=keys[0], second=keys[1]))
        case _:
            found.append(_wrong(value, "a step", "an op with its arguments, such as `rank: {model: big}`"))
    return Step("", value.span, Table((), value.span), value.span)


def _string(root: Table, key: str, default: str, found: list[Diagnostic]) -> str:
    entry = root.get(key)
    if entry is None:
        return default
    if isinstance(entry.value, Leaf) and isinstance(entry.value.value, str):
        return entry.value.value
    found.append(_wrong(entry.value, f"`{key}`", "a string"))
    return default


def _wrong(value: Located, what: str, expected: str) -> Diagnostic:
    return errors.WrongKind(span=value.span, what=what, expected=expected, got=kind_of(value))


def _head(table: Table) -> Span:
    """A short place that stands for a whole table: its first key."""
    return table.entries[0].key_span if table.entries else table.span
