"""Sketch: a text cut into words without the grammar, to see what stands around a mistake."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from archc.spec.arch.grammar import CONTROL, KEYWORDS, Unexpected

LOGIC = frozenset({"and", "or", "not", "true", "false"})
COMPARES = frozenset({"==", "!=", "<", "<=", ">", ">="})
OPENS, SHUTS = frozenset({"(", "[", "{", "call"}), frozenset({")", "]", "}"})


class Word(NamedTuple):
    """A piece of the text, read without the grammar."""

    kind: str
    """`string`, `call`, `key`, `field`, `number`, `word`, `end`, or what it says."""
    text: str
    start: int
    end: int

    @property
    def name(self) -> str:
        """Without the `(`, `=` or `:` that makes it what it is."""
        return re.split(r"[\s(=:#]", self.text, maxsplit=1)[0]


NOTHING = Word("end", "", 0, 0)
"""What stands before the beginning and behind the end."""

_BLANK = r"(?:[\s\ufeff]|#[^\n]*+)*+"
_NAME = r"[^\W\d]\w*"
_KINDS = {
    "string": r'"""(?:[^"\\]++|\\(?:""")?+|"(?!""))*+"""|"(?!"")(?:[^"\\\n]|\\.)*+"',
    "call": rf"{_NAME}\(|(?:{'|'.join(CONTROL)})[ \t]*\(",
    "key": rf"{_NAME}{_BLANK}=(?![=>])",
    "field": rf"{_NAME}{_BLANK}:",
    "number": r"[0-9](?:[eE][-+][0-9]|[\w%]|\.(?!\.))*",
    "word": rf"\$?{_NAME}(?:\.{_NAME})*",
    "mark": r"-->|->|\|>|>>|=>|~>|[→⇒⟶]|&&|\|\||===?|!==?|<=|>=|<>|\.\.|//|.",
}
_PIECE = re.compile(f"{_BLANK}(?:{'|'.join(f'(?P<{kind}>{said})' for kind, said in _KINDS.items())})", re.DOTALL)
_BEFORE_VALUE = {"key", "field", "["}


@dataclass
class Place:
    """Where the text leaves the grammar."""

    is_condition: bool
    expected: frozenset[str]
    before: list[Word] = field(default_factory=list)
    at: Word = NOTHING
    after: Word = NOTHING
    opened: list[tuple[Word, bool]] = field(default_factory=list)
    """The brackets around, and whether values stand in them (and not steps)."""

    @property
    def last(self) -> Word:
        """The piece before; an empty end at the beginning."""
        return self.before[-1] if self.before else NOTHING

    @property
    def inside(self) -> str:
        """The kind of the bracket around; empty outside of all."""
        return self.opened[-1][0].kind if self.opened else ""

    @property
    def in_values(self) -> bool:
        """Whether arguments or items stand here, and not steps."""
        return bool(self.opened) and self.opened[-1][1]

    @property
    def clause(self) -> list[Word]:
        """What stands before in the same clause, the nearest first."""
        found = []
        for word in reversed(self.before):
            found.append(word)
            if word.kind in {"->", "{", "}", "key", "call", ",", "&", "|"} or word.text in KEYWORDS - LOGIC:
                break
        return found

    @property
    def in_condition(self) -> bool:
        """Whether a condition stands here for sure."""
        heads = {"when", "require"}
        return self.is_condition or any(w.text in heads or w.kind in COMPARES for w in self.clause)

    def add(self, word: Word) -> None:
        """Goes on over a piece."""
        if word.kind in OPENS:
            values = word.kind in ("call", "[") or self.last.kind in _BEFORE_VALUE or (self.in_values)
            self.opened.append((word, values))
        elif word.kind in SHUTS and self.opened:
            self.opened.pop()
        self.before.append(word)


def _words(text: str, start: int) -> Iterator[Word]:
    while match := _PIECE.match(text, start):
        kind = match.lastgroup or ""
        said = match[kind]
        yield Word(said if kind == "mark" else kind, said, match.start(kind), match.end(kind))
        start = match.end()
    end = len(text.rstrip())
    yield Word("end", "", end, end)


def sketch(text: str, error: Unexpected, start: int, is_condition: bool) -> Place:
    """What stands around the place of an error, in a text that was read from `start` on."""
    place = Place(is_condition, error.expected)
    words = _words(text, start)
    for word in words:
        place.at = word
        if word.end > error.offset or word.kind == "end":
            break
        place.add(word)
    place.after = next(words, place.after)
    return place
