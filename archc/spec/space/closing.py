"""The walk through a spec that names its choices and closes those that are picked; `choices` tells the names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from archc import errors
from archc.diagnostics import SpecError
from archc.spec.located import Choice, Entry, Leaf, Listing, Located, Table
from archc.spec.space.hole import Hole, Pick, Value, option_labels

REGIONS = ("do", "then", "else")
"""Arguments that hold a pipeline, whatever the op."""
BRANCHES = "branches"
"""The argument that holds pipelines side by side."""

Under = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Where:
    """What surrounds a value: its path, the options it needs, and the parameter it belongs to."""

    path: str
    under: Under = ()
    param: str = ""

    def at(self, key: str | int) -> _Where:
        return _Where(f"{self.path}.{key}" if self.path else str(key), self.under, self.param)


MAX_CHOICES = 5_000
"""More of them make no space that anything can search."""


class Walk:
    """Goes through a spec in written order, naming choices and putting the option that is wanted in place of each."""

    def __init__(self, wanted: Mapping[str, Value]) -> None:
        self.wanted = wanted
        self.picks: dict[str, Pick] = {}
        self.holes: list[Hole] = []
        self.steps: Counter[str] = Counter()
        self.paths: set[str] = set()

    def spec(self, root: Located) -> Located:
        """The spec with what is picked; its choices are in `holes` then."""
        if not isinstance(root, Table):
            return self.value(root, _Where("spec"))
        return replace(root, entries=tuple(replace(e, value=self.part(e)) for e in root))

    def part(self, entry: Entry) -> Located:
        match entry:
            case Entry(key="pipeline"):
                return self.region(entry.value, ())
            case Entry(key="params", value=Table(entries=params) as table):
                made = (replace(e, value=self.value(e.value, _Where(e.key, param=e.key))) for e in params)
                return replace(table, entries=tuple(made))
            case _:
                return self.value(entry.value, _Where(entry.key))

    # ---- plain values

    def value(self, value: Located, where: _Where) -> Located:
        match value:
            case Leaf():
                return value
            case Listing():
                items = (self.value(item, where.at(i)) for i, item in enumerate(value.items))
                return replace(value, items=tuple(items))
            case Table():
                entries = (replace(e, value=self.value(e.value, where.at(e.key))) for e in value)
                return replace(value, entries=tuple(entries))
            case Choice():
                hole = self.hole(value, where.path, option_labels(value.options), where)
                inside = [replace(where, under=(*where.under, (hole.path, i))) for i in range(len(value.options))]
                options = [self.value(o, w) for o, w in zip(value.options, inside, strict=True)]
                return self.taken(hole, options) or self.kept(hole, options)

    def hole(self, choice: Choice, path: str, labels: tuple[str, ...], where: _Where) -> Hole:
        if len(self.holes) >= MAX_CHOICES:
            raise SpecError(errors.TooLarge(span=choice.span, what="choices", limit=MAX_CHOICES))
        path = self.unique(choice.path or re.sub(r"[^A-Za-z0-9_.]", "_", path))
        hole = Hole(path, choice, choice.labels or labels, where.under, where.param)
        self.holes.append(hole)
        if path in self.wanted and (pick := hole.pick(self.wanted[path])) is not None:
            self.picks[path] = pick
        return hole

    def unique(self, path: str) -> str:
        number, made = 1, path
        while made in self.paths:
            number += 1
            made = f"{path}{number}"
        self.paths.add(made)
        return made

    def taken(self, hole: Hole, options: Sequence[Located]) -> Located | None:
        """What the choice is closed with; None where it stays open."""
        pick = self.picks.get(hole.path)
        if pick is None:
            return None
        return options[pick] if options and isinstance(pick, int) else Leaf(hole.value(pick), hole.span)

    def kept(self, hole: Hole, options: Sequence[Located]) -> Choice:
        """A choice that stays open, which remembers its name if others are closed."""
        choice = replace(hole.choice, options=tuple(options))
        return replace(choice, path=hole.path, labels=hole.labels) if self.wanted else choice

    # ---- pipelines

    def region(self, value: Located, under: Under) -> Located:
        """A whole pipeline."""
        match value:
            case Listing():
                return replace(value, items=tuple(s for item in value.items for s in self.stage(item, under)))
            case Choice():
                stages = self.alternatives(value, under)
                is_still_open = len(stages) == 1 and isinstance(stages[0], Choice)
                return stages[0] if is_still_open else Listing(tuple(stages), value.span)
            case _:
                return value

    def stage(self, value: Located, under: Under) -> list[Located]:
        """What a stage becomes: one stage, or those of the option it is closed with."""
        match value:
            case Listing():
                branches = self.layer(value, under)
                return [branches] if branches.items or not value.items else []
            case Choice():
                return self.alternatives(value, under)
            case _:
                return [self.step(value, under)]

    def layer(self, value: Listing, under: Under) -> Listing:
        """Branches side by side; one that is closed with nothing is not there."""
        branches = [branch for item in value.items for branch in self.branch(item, under)]
        return replace(value, items=tuple(branches))

    def branch(self, value: Located, under: Under) -> list[Located]:
        match value:
            case Listing():
                return [self.region(value, under)]
            case Choice():
                stages = self.alternatives(value, under)
                return [_one(stages, value)] if stages else []
            case _:
                return [self.step(value, under)]

    def alternatives(self, choice: Choice, under: Under) -> list[Located]:
        """The stages of the option that is taken, or the choice itself."""
        path, labels = self.offered(choice)
        hole = self.hole(choice, path, labels, _Where("", under))
        options = [self.option(o, (*under, (hole.path, i))) for i, o in enumerate(choice.options)]
        pick = self.picks.get(hole.path)
        if isinstance(pick, int) and options:
            return options[pick]
        written = zip(options, choice.options, strict=True)
        return [self.kept(hole, [_one(stages, old) for stages, old in written])]

    def option(self, value: Located, under: Under) -> list[Located]:
        if isinstance(value, Listing):
            return [stage for item in value.items for stage in self.stage(item, under)]
        return self.stage(value, under)

    def offered(self, choice: Choice) -> tuple[str, tuple[str, ...]]:
        """The path of a choice between stages, and its options in short."""
        full = [not (isinstance(o, Listing) and not o.items) for o in choice.options]
        op = next((_first_op(o) for o, there in zip(choice.options, full, strict=True) if there), "")
        number = self.steps[op] + 1
        first = f"{op or 'stage'}{number if number > 1 else ''}"
        if sorted(full) == [False, True]:
            return f"{first}.on", tuple("true" if there else "false" for there in full)
        return f"{first}.or", option_labels(choice.options, are_stages=True)

    def step(self, value: Located, under: Under) -> Located:
        if isinstance(value, Leaf):
            self.steps[str(value.value)] += 1
            return value
        assert isinstance(value, Table)
        return replace(value, entries=tuple(replace(e, value=self.arguments(e, under)) for e in value))

    def arguments(self, step: Entry, under: Under) -> Located:
        self.steps[step.key] += 1
        number = self.steps[step.key]
        where = _Where(f"{step.key}{number if number > 1 else ''}", under)
        match step.value:
            case Listing():
                return self.region(step.value, under)
            case Table(entries=entries) as args:
                made = (replace(e, value=self.argument(step.key, e, where)) for e in entries)
                return replace(args, entries=tuple(made))
            case other:
                return self.value(other, where)

    def argument(self, op: str, arg: Entry, where: _Where) -> Located:
        if arg.key == BRANCHES and isinstance(arg.value, Listing):
            return self.layer(arg.value, where.under)
        if arg.key in REGIONS or op == "let":
            return self.region(arg.value, where.under)
        return self.value(arg.value, where.at(arg.key))


def _one(stages: list[Located], old: Located) -> Located:
    """Stages in the place of `old`: what was one stage stays one if it can, others are a list."""
    is_one = len(stages) == 1 and not isinstance(stages[0], Listing) and not isinstance(old, Listing)
    return stages[0] if is_one else Listing(tuple(stages), old.span)


def _first_op(value: Located) -> str:
    """The op that stands first in a stage."""
    match value:
        case Leaf():
            return str(value.value)
        case Table(entries=(first, *_)):
            return first.key
        case Listing(items=inner) | Choice(options=inner):
            return next(filter(None, map(_first_op, inner)), "")
        case _:
            return ""
