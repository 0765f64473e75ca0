"""The values of the .arch form: scalars, lists, tables, choices, ranges, and the arguments of a call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from archc import errors
from archc.diagnostics import Diagnostic, Label
from archc.source import Source, Span
from archc.spec.arch import literals
from archc.spec.arch.outline import MOST
from archc.spec.located import Choice, Entry, Leaf, Listing, Located, Range, Scalar, Table, kind_of


class Values:
    """Makes values of the grammar's rules; a method has the name of its rule and is given what stands in it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Diagnostic] = []
        """Mistakes after which reading can go on."""

    def wrong(self, span: Span, problem: str, hint: str, here: str = "here", also: tuple[Label, ...] = ()) -> None:
        """Adds a mistake."""
        if len(self.found) < MOST:
            self.found.append(errors.NotArch(span=span, problem=problem, hint=hint, here=here, also=also))

    def span(self, first: Any, last: Any) -> Span:
        """From the start of one piece to the end of another; pieces are tokens or have a span."""
        start = first.span.start if hasattr(first, "span") else first.start_pos
        return Span(self.source, start, last.span.end if hasattr(last, "span") else last.end_pos)

    # ---- scalars

    def leaf(self, children: Sequence[Any]) -> Leaf:
        [piece] = children
        return self.scalar(piece) if isinstance(piece, str) else piece

    def scalar(self, token: Any) -> Leaf:
        """The value of a token."""
        span = self.span(token, token)
        match token.type:
            case "NAME" | "CONTROL" | "DOLLAR":
                return Leaf(str(token), span)
            case "NUMBER" | "PERCENTAGE":
                return Leaf(self.literal(literals.number, token, span, 0), span)
            case "NULL":
                return Leaf(None, span)
            case "TRUE" | "FALSE":
                return Leaf(token == "true", span)
            case _:
                return Leaf(self.literal(literals.string, token, span, ""), span)

    def literal(self, read: Callable[[str], Scalar], text: str, span: Span, instead: Scalar) -> Scalar:
        """What a literal says; a mistake in it is noted."""
        try:
            return read(str(text))
        except ValueError as error:
            self.wrong(span, str(error), "")
            return instead

    def formula(self, children: Sequence[Any]) -> Leaf:
        """A condition, which is kept as its text, on one line and without comments."""
        span = self.span(children[0], children[-1])
        text = span.text
        if "\n" in text:
            text = _BETWEEN.sub(lambda match: match["string"] or " ", text)
        return Leaf(text, span)

    def negative(self, children: Sequence[Any]) -> Leaf:
        sign, operand = children
        if isinstance(operand, str) and operand.type in ("NUMBER", "PERCENTAGE"):  # type: ignore[attr-defined]
            value = self.scalar(operand).value
            return Leaf(-value if isinstance(value, int | float) else value, self.span(sign, operand))
        return self.formula(children)

    # ---- collections

    def listing(self, children: Sequence[Any]) -> Listing:
        items = tuple(child for child in children if not isinstance(child, str))
        return Listing(items, self.span(children[0], children[-1]))

    def table(self, children: Sequence[Any]) -> Table:
        fields = [child for child in children[1:-1] if getattr(child, "type", "") != "COMMA"]
        entries = [self.entry(key, value) for key, value in zip(fields[::2], fields[1::2], strict=True)]
        return Table(unique(entries, self.found), self.span(children[0], children[-1]))

    def choice(self, children: Sequence[Any]) -> Choice:
        return Choice(tuple(children[1::2]), self.span(children[0], children[-1]))

    def range(self, children: Sequence[Any]) -> Choice:
        span = self.span(children[0], children[-1])
        numbers = [number for value in children[1:-1:2] if (number := self.bound(value)) is not None]
        if len(numbers) < len(children[1:-1:2]):
            return Choice((), span, Range(0, 0, None))
        lo, hi = numbers[:2]
        step = numbers[2] if len(numbers) > 2 else None
        if step is None and isinstance(lo, int) and isinstance(hi, int):
            step = 1
        if lo > hi:
            self.wrong(span, f"the range is empty: {lo} is more than {hi}", f"write `{{{hi}..{lo}}}`", "this range")
        elif step is not None and step <= 0:
            self.wrong(span, "the step of a range must be more than 0", f"write `{{{lo}..{hi}}}`", "this range")
        return Choice((), span, Range(lo, hi, step))

    def bound(self, value: Located) -> int | float | None:
        """A number of a range."""
        if isinstance(value, Leaf) and isinstance(value.value, int | float) and not isinstance(value.value, bool):
            return value.value
        hint = "write numbers, as in `{1..10}` or `{0..1 step 0.25}`"
        self.wrong(value.span, "a range goes from a number to a number", hint, f"this is {kind_of(value)}")
        return None

    # ---- arguments

    def argument(self, children: Sequence[Any]) -> Entry:
        return self.entry(*children)

    def entry(self, token: Any, value: Located) -> Entry:
        """A value with the name that stands before it, which ends with `=` or `:`."""
        name = _KEY.match(token)
        assert name
        span = Span(self.source, token.start_pos, token.start_pos + name.end())
        return Entry(self.name(name[0], span), span, value)

    def name(self, text: str, span: Span) -> str:
        """A bare or quoted name."""
        return str(self.literal(literals.string, text, span, "")) if text.startswith('"') else text

    def arguments(self, children: Sequence[Any], main: str) -> tuple[Entry, ...]:
        """The arguments among the pieces; the first one may stand without its name, which is `main` then."""
        entries: list[Entry] = []
        bare: Span | None = None
        for piece in children:
            if isinstance(piece, Entry):
                entries.append(piece)
            elif isinstance(piece, str):
                continue
            elif main and not entries:
                bare = piece.span
                entries.append(Entry(main, bare, piece))
            else:
                self._nameless(piece, main, bare)
        return unique(entries, self.found) if len(entries) > 1 else tuple(entries)

    def _nameless(self, value: Located, main: str, bare: Span | None) -> None:
        hint = "give its name: `name=…`"
        if not main:
            self.wrong(value.span, "this argument has no name", hint, "no name")
        elif bare:
            also = (Label(bare, f"this is `{main}`"),)
            self.wrong(value.span, "only the first argument may stand without its name", hint, "no name", also)
        else:
            problem = "an argument without a name must be the first"
            self.wrong(value.span, problem, f"move it to the front, where it is `{main}`, or give its name", "no name")


_KEY = re.compile(r'"(?:[^"\\\n]|\\.)*"|[^\W\d]\w*')
_BETWEEN = re.compile(
    r'(?P<string>"""(?:[^"\\]|\\(?:""")?+|"(?!""))*+"""|"(?:[^"\\\n]|\\.)*+")|(?:[\s\ufeff]|#[^\n]*)+'
)


def unique(entries: Iterable[Entry], found: list[Diagnostic]) -> tuple[Entry, ...]:
    """The entries with different keys; those that come again are noted."""
    first: dict[str, Entry] = {}
    for entry in entries:
        if first.setdefault(entry.key, entry) is not entry and len(found) < MOST:
            found.append(errors.DuplicateKey.at(entry.key_span, first[entry.key].key_span, entry.key))
    return tuple(first.values())


def as_condition(value: Located) -> Located:
    """The value where a condition is asked for: `0.5` and `true` are texts there."""
    if isinstance(value, Choice):
        return replace(value, options=tuple(map(as_condition, value.options)))
    if isinstance(value, Leaf) and isinstance(value.value, int | float):
        return replace(value, value=value.span.text)
    return value
