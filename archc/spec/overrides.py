"""Overrides: `--set path=value` on located values, before they become a Spec.

A path names keys and list positions, joined by dots: `models.small.base_url`, `pipeline.0.generate.n`. `*` stands for
every key. A path that starts with an op's name means every step of that op: `generate.n=16`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from archc import errors
from archc.diagnostics import SpecError, printable
from archc.source import Source, Span
from archc.spec.located import Choice, Entry, Leaf, Listing, Located, Table
from archc.spec.reading import KEYS
from archc.spec.yaml import MAX_DEPTH, read_yaml


def override(root: Located, assignments: Iterable[str]) -> Located:
    """`root` with each `path=value` applied, in order. Raises SpecError for a path that leads nowhere."""
    for text in assignments:
        path, equals, _ = text.partition("=")
        steps = [step for step in path.strip().split(".") if step]
        source = Source("--set", text)
        if not equals or not steps:
            raise SpecError(errors.BadOverride(span=source.span(), problem="it has the form `path=value`"))
        where = source.span(0, len(path))
        if len(steps) > MAX_DEPTH:
            raise SpecError(errors.BadOverride(span=where, problem=f"a path has at most {MAX_DEPTH} parts"))
        new = _value(source, len(path) + 1)
        changed = _set(root, steps, new, where) if steps[0] in KEYS else _set_steps(root, steps, new, where)
        if changed is None:
            problem = f"nothing in the spec is at `{printable(path.strip())}`"  # an argument need not be text
            raise SpecError(errors.BadOverride(span=where, problem=problem))
        root = changed
    return root


def _value(source: Source, start: int) -> Located:
    return read_yaml(source, start) if source.text[start:].strip() else Leaf("", source.span(start))


def _set(at: Located, steps: list[str], new: Located, where: Span) -> Located | None:
    """`at` with the value at `steps` replaced or, for a table's last step, added; None if the path ends early."""
    if not steps:
        return new
    head, rest = steps[0], steps[1:]
    if isinstance(at, Leaf) and at.value is None:
        at = Table((), at.span)
    if isinstance(at, Listing):
        if not head.isdecimal() or int(head) >= len(at.items):
            return None
        item = _set(at.items[int(head)], rest, new, where)
        return None if item is None else _with_item(at, int(head), item)
    if not isinstance(at, Table):
        return None
    if head == "*":
        entries = [(e, _set(e.value, rest, new, where)) for e in at.entries]
        if not entries or any(v is None for _, v in entries):
            return None
        return replace(at, entries=tuple(replace(e, value=v) for e, v in entries if v is not None))
    entry = at.get(head)
    inner = _set(entry.value if entry else Table((), where), rest, new, where)
    return None if inner is None else _with_entry(at, Entry(head, entry.key_span if entry else where, inner))


def _set_steps(root: Located, steps: list[str], new: Located, where: Span) -> Located | None:
    """`root` with the value set in every step of the op named first; None if there is none."""
    if isinstance(root, Listing | Choice):
        old = root.items if isinstance(root, Listing) else root.options
        items = [_set_steps(item, steps, new, where) for item in old]
        if all(item is None for item in items):
            return None
        changed = tuple(new or item for new, item in zip(items, old, strict=True))
        return replace(root, items=changed) if isinstance(root, Listing) else replace(root, options=changed)
    if isinstance(root, Leaf):
        if root.value != steps[0]:
            return None
        root = Table((Entry(steps[0], root.span, Table((), root.span)),), root.span)
    pipeline = root.get("pipeline")
    if pipeline:
        inner = _set_steps(pipeline.value, steps, new, where)
        return None if inner is None else _with_entry(root, replace(pipeline, value=inner))
    return _set(root, steps, new, where) if root.get(steps[0]) else None


def _with_item(at: Listing, index: int, item: Located) -> Listing:
    return replace(at, items=(*at.items[:index], item, *at.items[index + 1 :]))


def _with_entry(at: Table, entry: Entry) -> Table:
    others = [e for e in at.entries if e.key != entry.key]
    position = next((i for i, e in enumerate(at.entries) if e.key == entry.key), len(others))
    return replace(at, entries=(*others[:position], entry, *others[position:]))
