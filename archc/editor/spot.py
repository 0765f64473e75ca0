"""Spot: what may stand at a place of a text, whole or half-written, in either form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import yaml

from archc.ops import VOCABULARY
from archc.source import Source
from archc.spec.arch.grammar import STATEMENTS, Unexpected
from archc.spec.arch.outline import outline
from archc.spec.arch.sketch import OPENS, SHUTS, Place, Word, sketch
from archc.spec.document import OWN, form_of
from archc.spec.yaml import MAX_CHARACTERS

Kind = Literal["key", "argument", "value", "step"]


class Role(NamedTuple):
    """What may stand somewhere."""

    kind: Kind
    """`argument` may be a key of `owner` or the value of its `key`."""
    owner: str = ""
    """An op, `spec`, `spec.budget`, `spec.search`, or `model-` and a backend."""
    key: str = ""


@dataclass(frozen=True)
class Spot:
    """The word at a place, which may be empty, and its role."""

    word: str
    start: int
    end: int
    role: Role
    names: tuple[tuple[str, str], ...]
    """The models, params and lets of the text: what each is, and its name."""

    def named(self, what: str) -> list[str]:
        """The names of the `model`s, `param`s or `let`s."""
        return [name for kind, name in dict.fromkeys(self.names) if kind == what]


def spot_at(source: Source, offset: int) -> Spot | None:
    """What may stand at an offset; None in comments, in texts, and where nothing is known."""
    text = source.text
    start = end = max(0, min(offset, len(text)))
    while start > 0 and _is_of_word(text[start - 1]):
        start -= 1
    while end < len(text) and _is_of_word(text[end]):
        end += 1
    form = form_of(source)
    if len(text) > MAX_CHARACTERS or form not in OWN:
        return None
    if form == "arch":
        role, names = _arch_role(text, start), [(kind, name) for kind, name in _NAMED.findall(text)]
    else:
        names = []
        role = next((role for tail in _TAILS if (role := _yaml_role(text[:start] + _MARK + tail, names))), None)
    return Spot(text[start:end], start, end, role, tuple(names)) if role else None


def _is_of_word(char: str) -> bool:
    return char.isalnum() or char in "_$."


# ---- .arch

_NAMED = re.compile(r"\b(model|param|let)[ \t]+([^\W\d]\w*)")
_BEGIN = re.compile(rf"^(?:{'|'.join(STATEMENTS)})(?![\w.(])", re.MULTILINE)
_HEADS = {"->", "{", "}", "(", ")", "&", "|", ",", "?"}


def _arch_role(text: str, start: int) -> Role | None:
    if any(first < start and "\n" not in text[first:start] for first, _ in outline(text).comments):
        return None
    begin = max((match.start() for match in _BEGIN.finditer(text, 0, start)), default=0)
    place = sketch(text, Unexpected(start, frozenset()), begin, False)
    if place.at.kind == "string" and place.at.start < start:
        return None
    call = next((word for word, _ in reversed(place.opened) if word.kind == "call"), None)
    if place.in_values and call:
        return _in_call(place, call)
    return None if place.in_values else _outside(place, text[:start])


def _in_call(place: Place, call: Word) -> Role:
    at = place.before.index(call)
    is_model = at > 1 and place.before[at - 2].text == "model"
    owner = f"model-{call.name}" if is_model else call.name
    key, depth = "model" if is_model else VOCABULARY.main(call.name), 0
    is_named = False
    for word in place.before[at + 1 :]:
        depth += (word.kind in OPENS) - (word.kind in SHUTS)
        if depth == 0 and word.kind in ("key", ","):
            is_named = word.kind == "key"
            key = word.name if is_named else ""
    if place.at.kind == "key" and depth == 0 and not is_named:
        return Role("key", owner)
    return Role("value" if is_named or depth else "argument", owner, key)


def _outside(place: Place, before: str) -> Role | None:
    """In a statement or a pipeline."""
    heads = (w for w in reversed(place.before) if w.kind in _HEADS or w.text in (*STATEMENTS, "when"))
    head, is_key = next(heads, None), place.at.kind == "key"
    is_new_line = not before.rpartition("\n")[2].strip()
    if head is None or (is_new_line and place.last.kind in ("word", "number", "string") and not is_key):
        return Role("step")
    has_key = place.last.kind == "key"
    match head.text:
        case "require":
            return Role("value", "spec", "require")
        case "rules":
            return Role("value", "spec", "rules")
        case "when":
            return Role("value", "when", "condition")
        case "budget" | "search" as part:
            owner = f"spec.{part}"
            return Role("value", owner, place.last.name) if has_key else Role("key", owner)
        case "model" if has_key:
            return Role("value", "model-openai", "backend")
        case "param" if has_key:
            return Role("value")
        case "architecture" | "model" | "param":
            return None
        case "let":
            return Role("step") if has_key else None
        case _:
            return Role("step")


# ---- YAML

_MARK = "\ue000"
_TAILS = (": ", " ", '"', "'")
"""What may make the text up to the mark one that can be read."""
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def _yaml_role(text: str, names: list[tuple[str, str]]) -> Role | None:
    """What stands at the mark at the end of a text; collects the names before it."""
    names.clear()
    path: list[str | None] = []
    """For each mapping around its key, None before it is read; `-` for each list."""
    backend = "llamacpp"
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            is_key = bool(path) and path[-1] is None
            around = [part for part in path if part is not None]
            match event:
                case yaml.ScalarEvent(value=value) if _MARK in value:
                    return _of_path(around, is_key, backend)
                case yaml.ScalarEvent(value=value) if is_key:
                    path[-1] = value
                    names += [(kind, value) for kind in _kinds(around)]
                case yaml.ScalarEvent(value=value):
                    backend = value if around[:1] == ["models"] and around[-1] == "backend" else backend
                    _done(path)
                case yaml.MappingStartEvent():
                    backend = "llamacpp" if around[:1] == ["models"] else backend
                    path.append(None)
                case yaml.SequenceStartEvent():
                    path.append("-")
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    path.pop()
                    _done(path)
    except (yaml.YAMLError, ValueError, OverflowError, IndexError):
        return None
    return None


def _done(path: list[str | None]) -> None:
    """Goes on behind a value."""
    if path and path[-1] != "-":
        path[-1] = None


def _kinds(around: Sequence[str]) -> list[str]:
    """What a key there names."""
    if around == ["models"] or around == ["params"]:
        return [around[0][:-1]]
    return ["let"] if around[-1:] == ["let"] else []


def _of_path(path: Sequence[str], is_key: bool, backend: str) -> Role | None:
    match path:
        case []:
            return Role("key", "spec") if is_key else None
        case ["budget" | "search" as part] if is_key:
            return Role("key", f"spec.{part}")
        case ["budget" | "search" as part, key]:
            return Role("value", f"spec.{part}", key)
        case ["models", _] if is_key:
            return Role("key", f"model-{backend}")
        case ["models", _, key]:
            return Role("value", f"model-{backend}", key)
        case ["rules" | "require" as key, *_]:
            return Role("value", "spec", key)
        case ["params", _, *_]:
            return Role("value")
        case ["pipeline", *inner]:
            return _in_steps(inner, is_key)
        case _:
            return None


def _in_steps(path: Sequence[str], is_key: bool) -> Role | None:
    """Follows a path through steps, their arguments and blocks."""
    owner = key = ""
    for part in path:
        if not owner:
            owner = "" if part == "-" else part
        elif owner == "let":
            owner = ""
        elif part == "-":
            blocks = (*VOCABULARY.regions(owner), *VOCABULARY.region_lists(owner))
            owner, key = ("", "") if (key in blocks if key else blocks) else (owner, key)
        elif key:
            return None
        else:
            key = part
    if not owner:
        return Role("step")
    if is_key:
        return Role("key", owner) if not key and owner != "let" else None
    return Role("value", owner, key or VOCABULARY.main(owner))
