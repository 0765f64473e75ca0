"""JSON texts, read into located values: the same as the YAML form, within the same limits."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from archc import errors
from archc.diagnostics import Diagnostic, SpecError
from archc.source import Source, Span
from archc.spec.located import Entry, Leaf, Listing, Located, Scalar, Table
from archc.spec.yaml import MAX_CHARACTERS, MAX_DEPTH, MAX_VALUES

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_][\w-]*")
_HALF = re.compile("[\ud800-\udfff]")
_CONSTANTS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
_LONGEST_NUMBER = 40


def read_json(source: Source, text: str | None = None) -> Located:
    """The located values of a JSON text. `text` is read in place of the source's own, character for character.

    Raises SpecError.
    """
    text = source.text if text is None else text
    if len(text) > MAX_CHARACTERS:
        raise SpecError(errors.TooLarge(what="characters", limit=MAX_CHARACTERS))
    reader = _Reader(source, text)
    root = reader.value(0)
    reader.space()
    if reader.at < len(text):
        raise reader.wrong("more text follows the value", "remove it")
    if reader.found:
        raise SpecError(*reader.found)
    return root


@dataclass
class _Reader:
    source: Source
    text: str
    at: int = 0
    values: int = 0
    found: list[Diagnostic] = field(default_factory=list)
    """Mistakes after which reading can go on."""

    def wrong(self, problem: str, hint: str = "", start: int | None = None) -> SpecError:
        """What is wrong with the word at `start`, or where reading stands."""
        begin = min(self.at if start is None else start, max(len(self.text.rstrip()) - 1, 0))
        word = _WORD.match(self.text, begin)
        return SpecError(
            errors.NotJson(span=self.place(begin, word.end() if word else begin + 1), problem=problem, hint=hint)
        )

    def place(self, start: int, end: int | None = None) -> Span:
        return self.source.span(start, self.at if end is None else end)

    def space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def comes(self, char: str) -> bool:
        """Whether `char` is next, and goes past it if so."""
        self.space()
        found = self.text.startswith(char, self.at)
        self.at += found
        return found

    def value(self, depth: int) -> Located:
        self.space()
        self.values += 1
        for count, limit, what in ((self.values, MAX_VALUES, "values"), (depth, MAX_DEPTH, "levels of nesting")):
            if count > limit:
                raise SpecError(errors.TooLarge(span=self.place(self.at, self.at + 1), what=what, limit=limit))
        start = self.at
        match self.text[start : start + 1]:
            case "{":
                entries: dict[str, Entry] = {}
                self.items("}", lambda: self.entry(entries, depth))
                return Table(tuple(entries.values()), self.place(start))
            case "[":
                items: list[Located] = []
                self.items("]", lambda: items.append(self.value(depth + 1)))
                return Listing(tuple(items), self.place(start))
            case '"':
                return Leaf(self.string(), self.place(start))
            case "":
                raise self.wrong("it ends where a value should stand")
            case _:
                return Leaf(self.scalar(), self.place(start))

    def items(self, closing: str, item: Callable[[], None]) -> None:
        """What stands between brackets; the opening one is next."""
        start = self.at
        self.at += 1
        if self.comes(closing):
            return
        while True:
            item()
            if self.comes(closing):
                return
            if not self.comes(","):
                if self.at >= len(self.text):
                    raise self.wrong("this bracket is not closed", f"close it with `{closing}`", start)
                raise self.wrong(f"a `,` or `{closing}` should stand here")
            self.space()
            if self.text.startswith(closing, self.at):
                raise self.wrong(f"nothing stands between the `,` and this `{closing}`", "remove the `,`")

    def entry(self, entries: dict[str, Entry], depth: int) -> None:
        self.space()
        start = self.at
        if not self.text.startswith('"', start):
            raise self.wrong("a key in double quotes should stand here")
        key = self.string()
        place = self.place(start)
        if not self.comes(":"):
            raise self.wrong("a `:` should follow the key")
        value = self.value(depth + 1)
        if key in entries:
            self.found.append(errors.DuplicateKey.at(place, entries[key].key_span, key))
        entries.setdefault(key, Entry(key, place, value))

    def string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if not match:
            raise self.wrong(
                "this string is not closed on its line", 'close it with `"`, and write a new line as `\\n`'
            )
        try:
            text = str(json.loads(match[0]))
        except ValueError:
            raise self.wrong("a `\\` in this string begins no escape", "write `\\\\`") from None
        if _HALF.search(text):
            raise self.wrong("an escape in this string is half a character")
        self.at = match.end()
        return text

    def scalar(self) -> Scalar:
        number = _NUMBER.match(self.text, self.at)
        word = _WORD.match(self.text, self.at)
        if word and word[0] in _CONSTANTS:
            self.at = word.end()
            return _CONSTANTS[word[0]]
        if not number:
            raise self.wrong("no value begins like this", 'a text stands in double quotes: "…"' if word else "")
        whole = not number[1] and not number[2]
        if len(number[0]) > _LONGEST_NUMBER or not math.isfinite(float(number[0])):
            raise self.wrong("this number is too long or too large")
        self.at = number.end()
        return int(number[0]) if whole else float(number[0])
