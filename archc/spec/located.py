"""Located values: what a text says, each piece with its place. Both surface forms are read into these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archc.source import Span

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar."""

    value: Scalar
    span: Span


@dataclass(frozen=True, slots=True)
class Listing:
    """A list."""

    items: tuple[Located, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value in a table."""

    key: str
    key_span: Span
    value: Located


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with unique string keys, in written order."""

    entries: tuple[Entry, ...]
    span: Span

    def get(self, key: str) -> Entry | None:
        """The entry of that key, if it is there."""
        return next((e for e in self.entries if e.key == key), None)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers from `lo` to `hi`, both included, in steps of `step`; all real numbers between where it is None."""

    lo: int | float
    hi: int | float
    step: int | float | None


@dataclass(frozen=True, slots=True)
class Choice:
    """A hole to be closed with one of `options`, or with a number of `range` (then there are no options).

    In a pipeline an option that is a Listing is a sequence of steps, and an empty one is nothing.
    """

    options: tuple[Located, ...]
    span: Span
    range: Range | None = None
    path: str = ""
    """Its name, and below the labels of its options, where another choice of the spec has been closed before."""
    labels: tuple[str, ...] = ()


Located = Leaf | Listing | Table | Choice

Piece = Entry | Located
"""What is within a value: an entry, an item or an option."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment with its `#`, to the end of its line."""

    text: str
    span: Span


def inner(value: Located) -> Sequence[Piece]:
    """The pieces of a value, in written order."""
    match value:
        case Table():
            return value.entries
        case Listing():
            return value.items
        case Choice():
            return value.options
        case Leaf():
            return ()


def plain(value: Located) -> Any:
    """The value without places: scalars, lists and dicts. An open choice is its first option, or the least number."""
    match value:
        case Leaf():
            return value.value
        case Listing():
            return [plain(item) for item in value.items]
        case Table():
            return {e.key: plain(e.value) for e in value.entries}
        case Choice():
            return value.range.lo if value.range else plain(value.options[0])


def leaves(value: Located) -> Iterator[Leaf]:
    """Every scalar in it."""
    match value:
        case Leaf():
            yield value
        case Listing():
            for item in value.items:
                yield from leaves(item)
        case Table():
            for entry in value:
                yield from leaves(entry.value)
        case Choice():
            for option in value.options:
                yield from leaves(option)


def span_at(value: Located, path: Sequence[str | int], of_key: bool = False) -> Span:
    """The place of the piece at `path`, or of its nearest ancestor; `of_key` prefers the key's own place."""
    span = value.span
    for step in path:
        if isinstance(value, Table) and (entry := value.get(str(step))):
            value, span = entry.value, entry.key_span if of_key else entry.value.span
        elif isinstance(value, Listing) and isinstance(step, int) and step < len(value.items):
            value = value.items[step]
            span = value.span
        else:
            break
    return span


def kind_of(value: Located) -> str:
    """What a person would call it."""
    match value:
        case Choice():
            return "a choice"
        case Table():
            return "a mapping"
        case Listing():
            return "a list"
        case Leaf(value=None):
            return "nothing"
        case Leaf(value=bool()):
            return "true or false"
        case Leaf(value=str()):
            return "a string"
        case Leaf():
            return "a number"
