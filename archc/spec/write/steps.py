"""Writing pipelines in `.arch`: sequences, layers, alternatives, calls and control forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from archc import errors
from archc.diagnostics import SpecError
from archc.spec.located import Choice, Entry, Leaf, Listing, Located, Piece, Table, kind_of
from archc.spec.vocabulary import Vocabulary
from archc.spec.write.layout import Doc, Layout, Unit, headed, prefixed, suffixed
from archc.spec.write.values import Values, key, word

CONTROL = ("repeat", "each", "until", "race", "cascade", "deadline", "budget", "fold", "optional")
"""Ops whose one block follows their arguments without a word before it."""

_REGIONS = ("do", "then", "else")
"""The words before the blocks of other ops."""


def cannot(value: Located, what: str, hint: str = "") -> NoReturn:
    """Ends the writing of what is not well formed."""
    raise SpecError(errors.CannotWrite(span=value.span, what=what, hint=hint))


class Steps:
    """Makes texts of pipelines."""

    def __init__(self, layout: Layout, values: Values, vocabulary: Vocabulary) -> None:
        self.layout = layout
        self.values = values
        self.vocabulary = vocabulary

    def sequence(self, stages: Listing, owner: Piece) -> Doc:
        """Stages after each other, with the lets at their head; `owner` begins on their first line."""
        lets, rest = split_lets(stages)
        if not rest:
            cannot(stages, "a sequence without steps")
        if not lets:
            return self.chain(rest, owner)
        line = Listing(tuple(rest), stages.span)
        chain = self.chain(rest, line)
        return self.layout.stack([*map(self.let, lets), Unit((line,), chain)], "", flat=False)

    def chain(self, stages: Sequence[Located], owner: Piece) -> Doc:
        """Stages after each other."""
        units = [self.stage(stage) for stage in stages]
        self.layout.notes.lift(units[0].pieces, owner)
        return self.layout.stack(units, "-> ", flat=True)

    def let(self, named: tuple[tuple[Piece, ...], Entry]) -> Unit:
        """A named sequence."""
        pieces, entry = named
        branch = self.branch(entry.value)
        return Unit((*pieces, entry, *branch.pieces), prefixed(f"let {key(entry.key)} = ", branch.doc))

    def branch(self, stage: Located) -> Unit:
        """A step, or a list of steps after each other."""
        return Unit((stage,), self.sequence(stage, stage)) if isinstance(stage, Listing) else self.stage(stage)

    def stage(self, stage: Located) -> Unit:
        """A step, a layer or alternatives, in a sequence."""
        match stage:
            case Leaf(value=str(name)):
                return Unit((stage,), Doc(word(name)))
            case Table(entries=(entry,)):
                return self._step(stage, entry)
            case Listing():
                branches = [self.branch(branch) for branch in stage.items]
                return Unit((stage,), self.layout.bracket(("(", ")"), branches, lead="& ", trail=""))
            case Choice(options=options) if options:
                return self._alternatives(stage)
        cannot(stage, f"{kind_of(stage)} as a step")

    def _alternatives(self, choice: Choice) -> Unit:
        *others, last = choice.options
        is_optional = others and last == Listing((), last.span)
        options = [self._option(option) for option in (others if is_optional else choice.options)]
        pieces: tuple[Piece, ...] = (choice, last) if is_optional else (choice,)
        if is_optional and len(others) == 1 and _is_single(others[0]):
            return Unit((*pieces, *options[0].pieces), suffixed(options[0].doc, "?"))
        doc = self.layout.bracket(("{", "}"), options, lead="| ", trail="")
        return Unit(pieces, suffixed(doc, "?") if is_optional else doc)

    def _option(self, option: Located) -> Unit:
        return Unit((option,), Doc("")) if option == Listing((), option.span) else self.branch(option)

    def _step(self, step: Table, entry: Entry) -> Unit:
        """A step with arguments."""
        op = entry.key
        entries = self._arguments(op, entry)
        pieces: tuple[Piece, ...] = (step, entry)
        if not entries:
            return Unit(pieces, Doc(word(op)))
        args = {e.key: e for e in entries}
        if op == "when" and (doc := self._when(args)):
            return Unit((*pieces, args["condition"]), doc)
        if op == "use" and (doc := self._use(args)):
            return Unit((*pieces, args["spec"], *filter(None, [args.get("with")])), doc)
        regions = [e for e in entries if self._is_region(op, e)]
        others = [e for e in entries if not self._is_region(op, e)]
        main, conditions = self.vocabulary.main(op), self.vocabulary.conditions(op)
        if op in CONTROL and len(regions) == 1:
            is_bare = not others and op != "budget"
            head = Doc(op) if is_bare else self.values.arguments(op, others, main, conditions)
            return Unit(pieces, headed(head, [("", self._block(op, regions[0]))]))
        regions = [e for e in regions if e.key in _REGIONS]
        others = [e for e in entries if e not in regions]
        head = self.values.arguments(word(op), others, main, conditions)
        return Unit(pieces, headed(head, [(f"{region.key} ", self._block(op, region)) for region in regions]))

    def _arguments(self, op: str, entry: Entry) -> tuple[Entry, ...]:
        """The arguments by name; a value in their place is the main one, a list the main region."""
        value = entry.value
        match value:
            case Table():
                return value.entries
            case Leaf(value=None):
                return ()
            case Listing():
                blocks = (*self.vocabulary.regions(op), *self.vocabulary.region_lists(op), self.vocabulary.main(op))
                return (Entry(blocks[0], entry.key_span, value),)
            case Choice(options=options) if any(isinstance(option, Table) for option in options):
                cannot(value, f"a choice among the arguments of `{op}`", f"make it a choice among steps: `{op}: …`")
        return (Entry(self.vocabulary.main(op), entry.key_span, value),)

    def _is_region(self, op: str, entry: Entry) -> bool:
        if entry.key not in _REGIONS and op not in CONTROL:
            return False
        value = entry.value
        if entry.key in self.vocabulary.region_lists(op):
            return isinstance(value, Listing) and all(isinstance(i, Listing) and i.items for i in value.items)
        is_block = isinstance(value, Listing) or (isinstance(value, Choice) and not value.range)
        return is_block and entry.key in self.vocabulary.regions(op)

    def _block(self, op: str, entry: Entry) -> Doc:
        """The braces around a sequence, or around several of them."""
        value = entry.value
        if isinstance(value, Listing) and entry.key in self.vocabulary.region_lists(op):
            units = [self.branch(item) for item in value.items]
        elif isinstance(value, Listing):
            units = [Unit((), self.sequence(value, entry))] if value.items else []
        else:
            units = [self.branch(value)]
        trail = "," if entry.key in self.vocabulary.region_lists(op) else ""
        return self.layout.bracket(("{ ", " }"), units, trail=trail, owner=(entry,))

    def _when(self, args: dict[str, Entry]) -> Doc | None:
        """`when C { … } else { … }`; None if there is more, or less."""
        keys = args.keys()
        if not {"condition", "then"} <= keys <= {"condition", "then", "else"}:
            return None
        if not all(self._is_region("when", args[k]) for k in keys - {"condition"}):
            return None
        condition = prefixed("when ", self.values.value(args["condition"].value, is_condition=True))
        blocks = [("", self._block("when", args["then"]))]
        if other := args.get("else"):
            blocks.append(("else ", self._nested(other) or self._block("when", other)))
        return headed(condition, blocks)

    def _nested(self, other: Entry) -> Doc | None:
        """`when …` as all that is in `else`, if there are no comments on it."""
        match other.value:
            case Listing(items=(Table(entries=(Entry("when", _, Table() as args) as entry,)) as step,)):
                pieces: tuple[Piece, ...] = (other, step, entry, *(e for e in args if e.key == "condition"))
                return None if self.layout.notes.has(*pieces) else self._when({e.key: e for e in args})
        return None

    def _use(self, args: dict[str, Entry]) -> Doc | None:
        """`use "…" (…)`; None if there is more."""
        spec, given = args.get("spec"), args.get("with")
        if not spec or not isinstance(spec.value, Leaf) or not isinstance(spec.value.value, str) or len(args) > 2:
            return None
        if len(args) == 1:
            return prefixed("use ", self.values.exact(spec.value.value))
        if not given or not isinstance(given.value, Table):
            return None
        return self.values.arguments(f"use {self.values.exact(spec.value.value).flat} ", given.value.entries)


def split_lets(stages: Listing) -> tuple[list[tuple[tuple[Piece, ...], Entry]], Sequence[Located]]:
    """The named sequences at the head of a sequence, each with the pieces that begin with it; and what follows."""
    lets: list[tuple[tuple[Piece, ...], Entry]] = []
    for index, stage in enumerate(stages.items):
        match stage:
            case Table(entries=(Entry("let", _, Table(entries=named)) as let,)) if named:
                lets += [((stage, let) if position == 0 else (), entry) for position, entry in enumerate(named)]
            case _:
                return lets, stages.items[index:]
    return lets, ()


def _is_single(option: Located) -> bool:
    """Whether `?` after it makes all of it optional."""
    match option:
        case Listing(items=(stage,)):
            return not isinstance(stage, Choice)
    return isinstance(option, Leaf | Table)
