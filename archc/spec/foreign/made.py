"""Made: located values that nobody wrote like this, each with the place they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from archc.source import Span
from archc.spec.located import Choice, Entry, Leaf, Listing, Located, Table


def made(value: Any, span: Span) -> Located:
    """A plain value as a located one; parts that are located already keep their place."""
    match value:
        case Leaf() | Listing() | Table() | Choice():
            return value
        case Mapping():
            return made_table(value, span)
        case list() | tuple():
            return Listing(tuple(made(item, span) for item in value), span)
        case _:
            return Leaf(value, span)


def made_table(entries: Mapping[str, Any], span: Span) -> Table:
    """The same for a mapping."""
    return Table(tuple(Entry(key, span, made(value, span)) for key, value in entries.items()), span)


def step(op: str, args: Mapping[str, Any], span: Span) -> Table:
    """One step of a pipeline."""
    return made_table({op: args}, span)


def layer(steps: Iterable[Located], span: Span) -> Located:
    """Steps side by side; a single one stands alone."""
    steps = tuple(steps)
    return steps[0] if len(steps) == 1 else Listing(steps, span)
