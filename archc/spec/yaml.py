"""The YAML form: a strict, safe subset read event by event into located values.

YAML 1.2 scalars (`no` is a string, `0777` a number in base ten), no tags, anchors, aliases or merge keys, no duplicate
keys, and limits on size, depth and number of values, so that no input can cost more than it is worth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from archc import errors
from archc.diagnostics import SpecError
from archc.source import Source, Span
from archc.spec.located import Entry, Leaf, Listing, Located, Scalar, Table
from archc.spec.model import Spec
from archc.spec.reading import read_spec

MAX_CHARACTERS = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 50_000

_INT = re.compile(r"[-+]?[0-9](?:_?[0-9])*\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9](?:_?[0-9])*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?\Z")


def read_yaml(source: Source) -> Located:
    """The located values of a YAML text. Raises SpecError."""
    if len(source.text) > MAX_CHARACTERS:
        raise SpecError(errors.TooLarge(what="characters", limit=MAX_CHARACTERS))
    try:
        return _Reader(source).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = min(mark.index if mark else 0, len(source.text))
        problem = " ".join(filter(None, (error.problem, error.context)))
        raise SpecError(errors.NotYaml(span=source.span(at, at + 1), problem=problem)) from None
    except yaml.reader.ReaderError as error:
        at = int(error.position)
        problem = f"the character {hex(ord(error.character))} is not allowed" if _is_char(error.character) else str(error)
        raise SpecError(errors.NotYaml(span=source.span(at, at + 1), problem=problem)) from None


def read_yaml_spec(source: Source) -> Spec:
    """The spec in a YAML text. Raises SpecError with all that is wrong with its form."""
    return read_spec(source, read_yaml(source))


def _is_char(value: object) -> bool:
    return isinstance(value, str) and len(value) == 1


class _Reader:
    """Walks PyYAML's events, keeping the place of each value."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.events: Iterator[Any] = iter(yaml.parse(source.text, Loader=yaml.SafeLoader))
        self.values = 0

    def document(self) -> Located:
        next(self.events)  # stream start
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            raise SpecError(errors.EmptySpec(span=self.source.span(0, 0)))
        root = self.value(next(self.events), 0)
        next(self.events)  # document end
        extra = next(self.events)
        if not isinstance(extra, yaml.StreamEndEvent):
            raise SpecError(errors.NotYaml(span=self.place(extra), problem="a second document starts here"))
        return root

    def value(self, event: Any, depth: int) -> Located:
        self.values += 1
        if self.values > MAX_VALUES:
            raise SpecError(errors.TooLarge(span=self.place(event), what="values", limit=MAX_VALUES))
        if depth > MAX_DEPTH:
            raise SpecError(errors.TooLarge(span=self.place(event), what="levels of nesting", limit=MAX_DEPTH))
        self.refuse(event)
        match event:
            case yaml.ScalarEvent():
                return Leaf(_scalar(event), self.place(event))
            case yaml.SequenceStartEvent():
                return self.listing(event, depth)
            case _:
                return self.table(event, depth)

    def refuse(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise SpecError(errors.NoAliases(span=self.place(event)))
        tag = getattr(event, "tag", None)
        if tag and tag != "!":
            raise SpecError(errors.NoTags(span=self.place(event), tag=str(tag)))

    def listing(self, start: Any, depth: int) -> Listing:
        items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.value(event, depth + 1))
        return Listing(tuple(items), self.place(start, event))

    def table(self, start: Any, depth: int) -> Table:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            self.refuse(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise SpecError(errors.NotYaml(span=self.place(event), problem="a key must be a plain word"))
            key, place = str(event.value), self.place(event)
            if key in entries:
                first = entries[key].key_span
                raise SpecError(errors.DuplicateKey.at(place, first, key))
            entries[key] = Entry(key, place, self.value(next(self.events), depth + 1))
        return Table(tuple(entries.values()), self.place(start, event))

    def place(self, start: Any, end: Any = None) -> Span:
        first, last = start.start_mark.index, (end or start).end_mark.index
        text = self.source.text[first:last]
        return Span(self.source, first, first + max(len(text.rstrip()), 1))


def _scalar(event: yaml.ScalarEvent) -> Scalar:
    text = str(event.value)
    if event.style is not None:
        return text
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if len(text) <= 40 and _INT.match(text):
        return int(text.replace("_", ""))
    if len(text) <= 40 and _FLOAT.match(text):
        return float(text.replace("_", ""))
    return text
