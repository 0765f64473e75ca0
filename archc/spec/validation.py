"""Validation: from located values to pydantic ones, each mistake at its own place and in our words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from archc import errors
from archc.diagnostics import Diagnostic, SpecError, did_you_mean, nearest
from archc.source import Span
from archc.spec.located import Located, Table, kind_of, plain, span_at

M = TypeVar("M", bound=BaseModel)

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
    made: Mapping[str, Any] | None = None,
) -> M | None:
    """A pydantic value of `kind`, or None after adding what is wrong, each at its own place, to `found`.

    `strict` takes no string for a number; `also` are keys that exist too, for the hint. `made` are values that are no
    JSON, by the strings that stand for them.
    """
    if not isinstance(value, Table):
        found.append(wrong(value, f"`{owner}`", "a mapping"))
        return None
    try:
        return kind.model_validate_json(json.dumps(plain(value)), strict=strict, context={"made": made or {}})
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        extra = [one["loc"] for one in mistakes if one["type"] == "extra_forbidden"]
        lacking = [one["loc"] for one in mistakes if one["type"] == "missing"]
        for one in mistakes[:_MOST]:
            siblings = [str(loc[-1]) for loc in extra if loc[:-1] == one["loc"][:-1]]
            if one["type"] == "missing" and misspelt(str(one["loc"][-1]), siblings):
                continue  # said where it is misspelt
            known = [str(loc[-1]) for loc in lacking if loc[:-1] == one["loc"][:-1]] or _keys(kind, one["loc"][:-1])
            if len(one["loc"]) == 1:
                known = [*parameters(kind), *also]
            found.append(_diagnostic(known, value, owner, one, _example(kind, one["loc"])))
        return None


def as_options(kind: type[M], options: Mapping[str, Any], prefix: str = "") -> M:
    """Options that come from no text, such as those of a command or a call. Raises SpecError with the first mistake."""
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        known = ", ".join(f"`{key}`" for key in kind.model_fields)
        problem = f"{first['msg'][0].lower()}{first['msg'][1:]}"
        key = prefix + ".".join(map(str, first["loc"]))
        raise SpecError(errors.BadValue(key=key, problem=problem, hint=f"known: {known}")) from None


def parameters(kind: type[BaseModel]) -> dict[str, str]:
    """The keys that a kind takes, with the names of their fields."""
    return {field.alias or name: name for name, field in kind.model_fields.items()}


def _keys(kind: type[BaseModel], path: Iterable[int | str]) -> list[str]:
    """The keys of the mapping at a path; none where what stands there is no kind of ours."""
    for key in path:
        field = kind.model_fields.get(parameters(kind).get(str(key), ""))
        inside = get_args(field.annotation) or (field.annotation,) if field else ()
        inner = next((one for one in inside if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if inner is None:
            return []
        kind = inner
    return [*parameters(kind)]


def misspelt(key: str, written: Iterable[str]) -> bool:
    """Whether `key` is missing only because it was written otherwise."""
    return any(nearest(word, (key,)) for word in written)


def _example(kind: type[BaseModel], path: tuple[int | str, ...]) -> str:
    """A value that a parameter may have."""
    field = kind.model_fields.get(parameters(kind).get(str(path[0]), "")) if len(path) == 1 else None
    return str(field.examples[0]) if field and field.examples else "…"


def _diagnostic(known: list[str], value: Table, owner: str, error: ErrorDetails, example: str) -> Diagnostic:
    path = error["loc"]
    owner = f"`{path[-2]}`" if len(path) > 1 else f"`{owner}`"
    match error["type"]:
        case "extra_forbidden":
            hint = did_you_mean(str(path[-1]), known) or "remove it"
            return errors.UnknownKey(span=span_at(value, path, of_key=True), key=str(path[-1]), owner=owner, hint=hint)
        case "missing":
            span = span_at(value, path[:-1], of_key=True) if len(path) > 1 else head(value)
            return errors.MissingKey(span=span, key=str(path[-1]), owner=owner, example=f"{path[-1]}: {example}")
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
    if isinstance(got, list) and len(got) > 1 and kind.removesuffix("_type") in ("int", "float", "string", "bool"):
        return f"to choose one of several, write `!choice {json.dumps(got, ensure_ascii=False)}`"
    if not isinstance(got, str):
        return ""
    if template := re.fullmatch(r"\$?\{\{?\s*(?:params\.|inputs\.|vars\.)?([A-Za-z_]\w*)\s*\}\}?", got):
        return f"the value of a param is written `${template[1]}`"
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", error["msg"])
        hint = did_you_mean(got, choices)
        return hint if hint.startswith("did") else ""
    if kind.startswith("bool") and got.lower() in _YAML_1_1:
        return f"write `{_YAML_1_1[got.lower()]}`"
    if kind in ("int_type", "float_type") and re.fullmatch(r"[-+]?[0-9.]+", got):
        return f"write it without quotes: `{got}`"
    return ""


def wrong(value: Located, what: str, expected: str, hint: str = "") -> Diagnostic:
    """What to say of a value of the wrong kind."""
    return errors.WrongKind(span=value.span, what=what, expected=expected, got=kind_of(value), hint=hint)


def head(table: Table) -> Span:
    """A short place that stands for a whole table: its first key."""
    return table.entries[0].key_span if table.entries else table.span
