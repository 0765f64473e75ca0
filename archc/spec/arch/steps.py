"""The statements and pipelines of the .arch form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from archc.diagnostics import Diagnostic
from archc.source import Source, Span
from archc.spec.arch.values import Values, as_condition, unique
from archc.spec.located import Choice, Entry, Leaf, Listing, Located, Table
from archc.spec.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Said:
    """One statement: the key of a spec that it says something of, and what."""

    key: str
    word: Span
    """The word it begins with."""
    value: Located | Entry
    span: Span


@dataclass(frozen=True, slots=True)
class _Block:
    """Pipelines between braces, with commas between."""

    sequences: tuple[Listing, ...]
    span: Span
    opened: Span


Rule = Callable[[Sequence[Any]], Any]


class Steps(Values):
    """Makes statements and steps of the grammar's rules."""

    def __init__(self, source: Source, vocabulary: Vocabulary) -> None:
        super().__init__(source)
        self.vocabulary = vocabulary
        formulas: dict[str, Rule] = dict.fromkeys(_FORMULAS, self.formula)
        self.rules = formulas | {rule: getattr(self, rule) for rule in _RULES}

    def start(self, children: Sequence[Any]) -> list[Said]:
        """All statements; the pipeline is one of them."""
        return [c if isinstance(c, Said) else Said("pipeline", c.span, c, c.span) for c in children]

    # ---- statements

    def said(self, key: str, children: Sequence[Any], value: Located | Entry) -> Said:
        return Said(key, self.span(children[0], children[0]), value, self.span(children[0], _Ends(value)))

    def architecture(self, children: Sequence[Any]) -> Said:
        return self.said("name", children, children[1])

    def rulebook(self, children: Sequence[Any]) -> Said:
        return self.said("rules", children, children[1])

    def param(self, children: Sequence[Any]) -> Said:
        name = children[1]
        if len(children) == 3:
            return self.said("params", children, self.entry(name, children[2]))
        span = self.span(name, name)
        return self.said("params", children, Entry(self.name(str(name), span), span, Leaf(None, span)))

    def model(self, children: Sequence[Any]) -> Said:
        _, name, options = children
        if isinstance(options, Leaf) and isinstance(options.value, str):
            options = Table((Entry("backend", options.span, options),), options.span)
        return self.said("models", children, self.entry(name, options))

    def backend(self, children: Sequence[Any]) -> Table:
        name, span = self.called(children[0])
        entries = (Entry("backend", span, Leaf(name, span)), *self.arguments(children, "model"))
        return Table(unique(entries, self.found), self.span(children[0], children[-1]))

    def budget(self, children: Sequence[Any]) -> Said:
        return self.pairs("budget", children)

    def search(self, children: Sequence[Any]) -> Said:
        return self.pairs("search", children)

    def pairs(self, key: str, children: Sequence[Any]) -> Said:
        pieces = [c for c in children[1:] if getattr(c, "type", "") != "COMMA"]
        limits = [self.entry(key, value) for key, value in zip(pieces[::2], pieces[1::2], strict=True)]
        span = limits[0].key_span.join(limits[-1].value.span)
        return self.said(key, children, Table(unique(limits, self.found), span))

    def require(self, children: Sequence[Any]) -> Said:
        return self.said("require", children, as_condition(self.leaf(children[1:])))

    def beside(self, children: Sequence[Any]) -> Said:
        return self.said("archon", children, children[1])

    def let(self, children: Sequence[Any]) -> Said:
        return self.said("let", children, self.entry(children[1], children[2]))

    # ---- pipelines

    def pipe(self, children: Sequence[Any]) -> Listing:
        return Listing(tuple(children[::2]), self.span(children[0], children[-1]))

    def sequence(self, children: Sequence[Any]) -> Listing:
        *lets, pipe = children
        return Listing((named_by(lets, self.found), *pipe.items), self.span(lets[0], pipe))

    def optional(self, children: Sequence[Any]) -> Choice:
        step, mark = children
        nothing = Listing((), self.span(mark, mark))
        options = step.options if isinstance(step, Choice) else (_alone((step,), step.span),)
        return Choice((*options, nothing), self.span(step, mark))

    def alternatives(self, children: Sequence[Any]) -> Choice:
        options: list[Located] = []
        for before, piece in pairwise(children):
            if not isinstance(piece, str):
                options.append(_alone(piece.items, piece.span))
            elif isinstance(before, str):
                options.append(Listing((), Span(self.source, before.end_pos, before.end_pos)))  # type: ignore[attr-defined]
        span = self.span(children[0], children[-1])
        if len(children) == 2:
            self.wrong(span, "there is nothing to choose from", "write `{verify(small) | rank(small)}`", "empty")
        return Choice(tuple(options), span)

    def group(self, children: Sequence[Any]) -> Listing:
        branches = (_alone(c.items, c.span) for c in children if not isinstance(c, str))
        return Listing(tuple(branches), self.span(children[0], children[-1]))

    def block(self, children: Sequence[Any]) -> _Block:
        opened, closed = children[0], children[-1]
        sequences = tuple(c for c in children if not isinstance(c, str))
        return _Block(sequences, self.span(opened, closed), self.span(opened, opened))

    # ---- steps

    def word(self, children: Sequence[Any]) -> Leaf:
        [token] = children
        span = self.span(token, token)
        return Leaf(self.name(str(token), span), span)

    def call(self, children: Sequence[Any]) -> Table:
        if not isinstance(children[0], str):
            return self.with_region(*children)
        name, span = self.called(children[0])
        return self.step(name, span, self.arguments_of(name, children), children[-1])

    def with_region(self, step: Table, word: Any, block: _Block) -> Table:
        """`step do { … }`."""
        [entry] = step.entries
        assert isinstance(entry.value, Table)
        region = Entry(str(word), self.span(word, word), self.region(entry.key, str(word), block))
        return self.step(entry.key, entry.key_span, unique((*entry.value.entries, region), self.found), block)

    def control(self, children: Sequence[Any]) -> Table:
        block = children[-1]
        name = children[0].rstrip("( \t")
        start = children[0].start_pos
        key = "branches" if name == "race" else "do"
        region = Entry(key, block.opened, self.region(name, key, block))
        entries = unique((*self.arguments_of(name, children[:-1]), region), self.found)
        return self.step(name, Span(self.source, start, start + len(name)), entries, block)

    def when(self, children: Sequence[Any]) -> Table:
        word, condition, then, *rest = children
        entries = [
            Entry("condition", condition.span, as_condition(condition)),
            Entry("then", then.opened, self.region("when", "then", then)),
        ]
        if rest:
            other = rest[1]
            steps = Listing((other,), other.span) if isinstance(other, Table) else self.region("when", "else", other)
            entries.append(Entry("else", self.span(rest[0], rest[0]), steps))
        return self.step("when", self.span(word, word), tuple(entries), children[-1])

    def use(self, children: Sequence[Any]) -> Table:
        word, spec, *rest = children
        entries = [Entry("spec", self.span(spec, spec), self.scalar(spec))]
        if rest:
            span = self.span(rest[0], rest[-1])
            entries.append(Entry("with", span, Table(self.arguments(rest, ""), span)))
        return self.step("use", self.span(word, word), tuple(entries), children[-1])

    def called(self, token: Any) -> tuple[str, Span]:
        """The name before the `(` of a call."""
        span = Span(self.source, token.start_pos, token.end_pos - 1)
        return self.name(token[:-1], span), span

    def arguments_of(self, op: str, children: Sequence[Any]) -> tuple[Entry, ...]:
        entries = self.arguments(children, self.vocabulary.main(op))
        conditions = self.vocabulary.conditions(op) if entries else ()
        return tuple(replace(e, value=as_condition(e.value)) if e.key in conditions else e for e in entries)

    def step(self, name: str, span: Span, entries: tuple[Entry, ...], last: Any) -> Table:
        end = last.span.end if hasattr(last, "span") else last.end_pos
        args = Table(entries, Span(self.source, span.end, end))
        return Table((Entry(name, span, args),), Span(self.source, span.start, end))

    def region(self, op: str, key: str, block: _Block) -> Listing:
        """What a block is for a parameter: a pipeline, or several."""
        if key == "branches" or key in self.vocabulary.region_lists(op):
            return Listing(block.sequences, block.span)
        if not block.sequences:
            return Listing((), block.span)
        first, *others = block.sequences
        if others:
            problem = f"the block of `{op}` holds one pipeline"
            hint = "join steps with `->`, and branches side by side as `(a & b)`"
            self.wrong(others[0].span, problem, hint, "a second one")
        return first


@dataclass(frozen=True, slots=True)
class _Ends:
    """Gives a span to what has none by this name."""

    of: Located | Entry | Span

    @property
    def span(self) -> Span:
        of = self.of.value if isinstance(self.of, Entry) else self.of
        return of if isinstance(of, Span) else of.span


_RULES = (
    *("start", "architecture", "rulebook", "param", "model", "backend", "budget", "require", "search", "beside", "let"),
    *("pipe", "sequence"),
    *("optional", "alternatives", "group", "block", "word", "call", "control", "when", "use"),
    *("leaf", "listing", "table", "choice", "range", "argument", "negative"),
)
_FORMULAS = ("disjunction", "conjunction", "negation", "comparison", "sum", "product", "parentheses")


def _alone(items: tuple[Located, ...], span: Span) -> Located:
    """A branch or an option: one step is itself, but a list would be a sequence."""
    return Listing(items, span) if len(items) != 1 or isinstance(items[0], Listing) else items[0]


def named_by(lets: Sequence[Said], found: list[Diagnostic]) -> Table:
    """The step `let` with all names in it."""
    span = lets[0].span.join(lets[-1].span)
    entries = [let.value for let in lets if isinstance(let.value, Entry)]
    return Table((Entry("let", lets[0].word, Table(unique(entries, found), span)),), span)
