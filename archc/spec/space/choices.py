"""Choices: the holes of a spec, their names, and how they are closed.

A hole's path is a stable name, made of letters, digits, `_` and `.`:

- in `params` it is the parameter's name: `k`;
- in a step it is the op and the argument: `generate.n`. The second `generate` of the file, in written order and with
  those in alternatives and blocks counted, is `generate2`;
- elsewhere it is the keys with dots between: `models.small.temperature`;
- between stages it is the first step that is offered, with `.or`: `verify.or`; a stage that is there or not has `.on`:
  `critique.on`;
- a path that is taken gets a number: `verify.or2`.

Closing one choice renames no other: those that are left keep their path on themselves (`Choice.path`).
Scalar and list arguments are in their long form here (`generate: {model: small}`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archc import errors
from archc.diagnostics import Diagnostic, Label, SpecError, did_you_mean
from archc.source import Source
from archc.spec.located import Choice, Leaf, Listing, Located, Table
from archc.spec.space.closing import Walk
from archc.spec.space.hole import Hole, Pick, Value, assignment, value_text


def holes(root: Located) -> tuple[Hole, ...]:
    """The open choices of a spec in written order; those that an option holds come after the choice of that option."""
    walk = Walk({})
    if is_open(root):
        walk.spec(root)
    return tuple(walk.holes)


def is_open(root: Located) -> bool:
    """Whether anything is left to choose."""
    match root:
        case Choice():
            return True
        case Listing():
            return any(map(is_open, root.items))
        case Table():
            return any(is_open(e.value) for e in root)
        case Leaf():
            return False


def closed(root: Located, values: Mapping[str, Value]) -> Located:
    """`root` with the choices named in `values` closed, each by an option's value, its label, or its position as `#2`.

    Raises SpecError for a path that is none, a value that is not offered, and a choice that is not there since the one
    around it is closed otherwise.
    """
    if not values:
        return root
    walk = Walk(values)
    made = walk.spec(root)
    picked(walk.holes, values, root)
    return made


def picked(known: Sequence[Hole], values: Mapping[str, Value], root: Located) -> dict[str, Pick]:
    """What the values say for each path. Raises SpecError as `closed` does."""
    by_path = {hole.path: hole for hole in known}
    picks: dict[str, Pick] = {}
    found: list[Diagnostic] = []
    for path, value in values.items():
        hole = by_path.get(path)
        span = Source("--choose", f"{path}={value_text(value)}").span()
        if hole is None:
            found.append(errors.NoSuchChoice(span=span, path=path, hint=_hint(path, by_path, root)))
        elif (pick := hole.pick(value)) is None:
            found.append(errors.NoSuchOption.at(span, hole.span, path, value_text(value), hole.offer()))
        else:
            picks[path] = pick
    for path in picks:
        around = next(((p, i) for p, i in by_path[path].under if picks.get(p, i) != i), None)
        if around:
            parent, needed = by_path[around[0]], around[1]
            found.append(_not_there(by_path[path], parent, needed, values[parent.path]))
    if found:
        raise SpecError(*found)
    return picks


def _not_there(hole: Hole, parent: Hole, needed: int, value: Value) -> Diagnostic:
    return errors.ChoiceNotThere(
        span=hole.span,
        path=hole.path,
        parent=f"{parent.path}={value_text(value)}",
        needed=f"{parent.path}={parent.label(needed)}",
        also=(Label(parent.span, "closed otherwise"),),
    )


def _hint(path: str, known: Mapping[str, Hole], root: Located) -> str:
    params = root.get("params") if isinstance(root, Table) else None
    if params and isinstance(params.value, Table) and params.value.get(path):
        return f"`{path}` is a param with one value; change it with `--set params.{path}=…`"
    return did_you_mean(path, list(known)[:_SEARCHED]) or "this spec has no choices"


def open_choices(root: Located) -> Diagnostic | None:
    """What to say where a closed spec is needed; None if `root` is one."""
    known = holes(root) if is_open(root) else ()
    if not known:
        return None
    shown = ", ".join(f"`{hole.path}`" for hole in known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
    number = "1 choice" if len(known) == 1 else f"{len(known):,} choices"
    also = tuple(Label(hole.span, "open too") for hole in known[1:3])
    example = assignment(known[0].path, known[0].value(known[0].first()))
    return errors.OpenChoice(span=known[0].span, number=number, paths=shown, example=example, also=also)


_SHOWN = 8
_SEARCHED = 200
