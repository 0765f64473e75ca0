"""Pipelines: from located lists to sequences, layers and steps. What an op's arguments mean is not known here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Sequence as Sequence_
from dataclasses import replace

from archc import errors
from archc.diagnostics import Diagnostic
from archc.source import Span
from archc.spec.located import Entry, Leaf, Listing, Located, Table
from archc.spec.model import Let, Parallel, Sequence, Step
from archc.spec.validation import wrong

LET = "let"
NAME = r"[A-Za-z_][A-Za-z0-9_]*"
"""What may be given a name by `let` and `params`."""


def sequence(value: Listing, found: list[Diagnostic]) -> Sequence:
    """The steps of a list, after the names at its head."""
    lets: list[Let] = []
    stages: list[Parallel | Step] = []
    for item in value.items:
        if bindings := _bindings(item):
            given = list(_lets(bindings, found))
            if stages and isinstance(item, Table):
                found.append(errors.MisplacedLet(span=item.entries[0].key_span))
                given = [replace(let, pipeline=_unreadable(let.name_span)) for let in given]
            lets += given
        else:
            stages.append(_parallel(item, found) if isinstance(item, Listing) else _step(item, found))
    return Sequence(tuple(stages), value.span, tuple(lets))


def _unreadable(span: Span) -> Sequence:
    """Stands for steps of which nothing more is to be said."""
    return Sequence((Step("", span, Table((), span), span),), span)


def _bindings(value: Located) -> Located | None:
    """What stands under `let`."""
    return value.entries[0].value if isinstance(value, Table) and [e.key for e in value] == [LET] else None


def _lets(bindings: Located, found: list[Diagnostic]) -> Iterator[Let]:
    if not isinstance(bindings, Table):
        found.append(wrong(bindings, "`let`", "a mapping from names to pipelines"))
        return
    for entry in bindings:
        if not re.fullmatch(NAME, entry.key):
            problem = "a name has letters, digits and `_`, and begins with a letter"
            found.append(errors.BadValue(span=entry.key_span, key=entry.key, problem=problem))
        if isinstance(entry.value, Listing):
            yield Let(entry.key, entry.key_span, sequence(entry.value, found))
        else:
            hint = "begin each step with `- `" if isinstance(entry.value, Table) else ""
            found.append(wrong(entry.value, f"`{entry.key}`", "a list of steps", hint))
            yield Let(entry.key, entry.key_span, _unreadable(entry.value.span))


def _parallel(value: Listing, found: list[Diagnostic]) -> Parallel:
    if not value.items:
        found.append(errors.EmptyPipeline(span=value.span))
    branches = (_branch(item, found) if isinstance(item, Listing) else _step(item, found) for item in value.items)
    return Parallel(tuple(branches), value.span)


def _branch(value: Listing, found: list[Diagnostic]) -> Sequence:
    if not value.items:
        found.append(errors.EmptyPipeline(span=value.span))
    return sequence(value, found)


def _step(value: Located, found: list[Diagnostic]) -> Step:
    match value:
        case Leaf(value=str(op)) if op:
            return Step(op, value.span, Table((), value.span), value.span)
        case Table(entries=(entry,)) if entry.key == LET:
            found.append(errors.MisplacedLet(span=entry.key_span))
        case Table(entries=(entry,)) if entry.key:
            args = entry.value
            if isinstance(args, Leaf) and args.value is None:
                args = Table((), entry.key_span)
            return Step(entry.key, entry.key_span, args, value.span)
        case Table(entries=entries) if len(entries) > 1:
            found.append(_several(entries))
        case _:
            found.append(wrong(value, "a step", "an op with its arguments, such as `rank: {model: big}`"))
    return Step("", value.span, Table((), value.span), value.span)


_ARGUMENTS = {"do", "then", "else", "branches", "until", "times", "condition", "model", "n"}
"""What is more likely an argument at the wrong depth than an op."""


def _several(entries: Sequence_[Entry]) -> Diagnostic:
    first, second = entries[0].key, entries[1].key
    hint = f"begin a new item: `- {second}: …`"
    if _ARGUMENTS & {e.key for e in entries[1:]}:
        hint = f"indent the arguments under it: `- {first}: {{{second}: …}}`"
    return errors.SeveralOps(span=entries[1].key_span, first=first, second=second, hint=hint)
