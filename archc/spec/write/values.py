"""Writing values in `.arch`: scalars, lists, tables, choices, conditions and the arguments of a call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from archc.spec.arch.grammar import CONTROL, KEYWORDS, STATEMENTS
from archc.spec.located import Choice, Entry, Leaf, Listing, Located, Table
from archc.spec.space.ranges import range_text
from archc.spec.write.layout import Doc, Layout, Unit, prefixed, text_block
from archc.spec.write.scalars import constant, quoted, reads_well_as_lines

_FREE = frozenset(CONTROL) - {*STATEMENTS}
"""Keywords that may be values."""

_WORD = re.compile(r"[^\W\d]\w*\Z")
_PARAM = re.compile(r"\$[^\W\d]\w*\Z")
_CONSTANT = re.compile(r'-?[0-9][0-9_.eE+-]*%?\Z|(true|false)\Z|"[^"]*"\Z')
"""A condition that would be read as a constant if it were not in quotes."""


def word(name: str) -> str:
    """A name, bare if it can be."""
    return name if _WORD.match(name) and name not in KEYWORDS else quoted(name)


def key(name: str) -> str:
    """A name before `=` or `:`, where keywords can stand too."""
    return name if _WORD.match(name) else quoted(name)


class Values:
    """Makes texts of values. `canonical_condition` gives None for what is no condition."""

    def __init__(self, layout: Layout, canonical_condition: Callable[[str], str | None]) -> None:
        self.layout = layout
        self.canonical_condition = canonical_condition

    def value(self, value: Located, is_condition: bool = False) -> Doc:
        """The text of a value."""
        match value:
            case Leaf(value=str(words)):
                return self._condition(words) if is_condition else _string(words)
            case Leaf():
                return Doc(constant(value))
            case Choice(range=None):
                units = [Unit((option,), self.value(option, is_condition)) for option in value.options]
                return self.layout.bracket(("{", "}"), units, lead="| ", trail="")
            case Choice(range=of):
                assert of
                return Doc(f"{{{range_text(of)}}}")
            case Listing():
                return self.layout.bracket(("[", "]"), [Unit((item,), self.value(item)) for item in value.items])
            case Table():
                units = [Unit((e,), prefixed(f"{key(e.key)}: ", self.value(e.value))) for e in value]
                return self.layout.bracket(("{", "}"), units)

    def arguments(self, head: str, entries: Iterable[Entry], main: str = "", conditions: Iterable[str] = ()) -> Doc:
        """A call: the main argument bare and first, the others by name in written order."""
        ordered = sorted(entries, key=lambda entry: entry.key != main)
        units = [
            Unit((e,), prefixed("" if e.key == main else f"{key(e.key)}=", self.value(e.value, e.key in conditions)))
            for e in ordered
        ]
        return prefixed(head, self.layout.bracket(("(", ")"), units))

    def exact(self, words: str) -> Doc:
        """A string in quotes, or the parameter in its place."""
        return Doc(words if _PARAM.match(words) else quoted(words))

    def _condition(self, words: str) -> Doc:
        canonical = self.canonical_condition(words)
        return Doc(quoted(words) if canonical is None or _CONSTANT.match(canonical) else canonical)


def _string(words: str) -> Doc:
    if _PARAM.match(words):
        return Doc(words)
    if reads_well_as_lines(words) and '"""' not in words and words[-1] not in '"\\':
        return text_block(['"""', *words.split("\n")], '"""')
    return Doc(words if words in _FREE else word(words))
