"""The YAML form: a strict, safe subset read event by event into located values.

YAML 1.2 scalars (`no` is a string, `0777` a number in base ten), no tag but `!choice`, no anchors, aliases or merge
keys, no duplicate keys, and limits on size, depth and number of values, so that no input costs more than it is worth.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from archc import errors
from archc.diagnostics import MOST_TOLD, Diagnostic, SpecError
from archc.source import Source, Span
from archc.spec.located import Choice, Entry, Leaf, Listing, Located, Range, Scalar, Table, kind_of
from archc.spec.space.ranges import read_range

MAX_CHARACTERS = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 400_000
CHOICE = "!choice"

_INT = re.compile(r"[-+]?[0-9](?:_?[0-9])*\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9](?:_?[0-9])*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?\Z")


def read_yaml(source: Source, start: int = 0) -> Located:
    """The located values of the YAML text that begins at `start`. Raises SpecError."""
    if len(source.text) > MAX_CHARACTERS:
        raise SpecError(errors.TooLarge(what="characters", limit=MAX_CHARACTERS))
    start += source.text.startswith("\ufeff", start)  # libyaml does not count a byte order mark
    if yaml.__with_libyaml__ and not _LENIENT.search(source.text, start):
        try:
            return _Reader(source, start, yaml.CSafeLoader).document()
        except (yaml.YAMLError, ValueError, OverflowError, SpecError, _Doubtful) as error:
            if isinstance(error, SpecError) and isinstance(error.diagnostics[0], errors.TooLarge):
                raise  # whatever it is, it may not cost more; other mistakes are in the words of the other parser
    return _slowly(source, start)


_LENIENT = re.compile("[\t\ufeff]|[|>][-+0-9]*#")
"""What libyaml takes and PyYAML's own parser does not, or otherwise."""


class _Doubtful(Exception):
    """An event of libyaml that PyYAML's own parser may see otherwise."""


def _slowly(source: Source, start: int) -> Located:
    try:
        return _Reader(source, start, yaml.SafeLoader).document()
    except yaml.MarkedYAMLError as error:
        raise SpecError(_not_yaml(error, source, start)) from None
    except yaml.reader.ReaderError as error:
        at = start + int(error.position)
        problem = f"the character {ord(source.text[at]):#x} is not allowed"
        raise SpecError(errors.NotYaml(span=source.span(at, at + 1), problem=problem)) from None
    except (ValueError, OverflowError):  # PyYAML makes numbers and characters of what it has not checked
        wild = _WILD.search(source.text, start)
        span = source.span(*wild.span()) if wild else source.span(start, start + 1)
        raise SpecError(errors.NotYaml(span=span, problem="there is no such character or version")) from None


_WILD = re.compile(r"\\U(?!0010|000[0-9A-Fa-f])[0-9A-Fa-f]{8}|%YAML.*")

_QUOTES = "put quotes around a text with special characters: `prompt: 'Answer: {{question}}'`"
_COLUMNS = "keys of one mapping, and items of one list, begin in the same column"

_WORDING = (
    (r"found character '\\t'", "a tab stands where only blanks may", "indent with blanks", False),
    (r"expected '.' or '(.)', but got '\{'.*\$", "a `{{` stands within a text", 'put it in quotes: "${{VAR}}"', False),
    (r"found character '(.)'", "a value cannot begin with `{0}`", _QUOTES, False),
    (r"scanning an alias", "a value cannot begin with `*`", _QUOTES, True),
    (r"scanning an anchor", "a value cannot begin with `&`", _QUOTES, True),
    (r"mapping values are not allowed", "a second `:` stands here", f"{_QUOTES}; {_COLUMNS}", False),
    (r"expected <block end>, but found '([\]}},])'", "this `{0}` does not belong here", "remove it", False),
    (r"expected <block end>", "the indentation does not fit the lines above", _COLUMNS, False),
    (r"expected ',' or '(.)'", "this bracket is not closed", "close it with `{0}`", True),
    (r"expected the node content.*flow", "this bracket is not closed", "close it, or write the missing value", True),
    (r"unexpected end of stream.*quoted", "this quote is not closed", "", True),
    (r"unexpected (document separator).*quoted", "this quote is not closed", "", True),
    (r"could not find expected ':'", "a `:` is missing after this key", "write `key: value`", True),
    (r"unknown escape character '(.)'", "`\\{0}` is no escape", "write `\\\\`, or use single quotes", False),
)
"""By what PyYAML says: what is wrong, what to do, and whether it is wrong where PyYAML began to look."""


def _not_yaml(error: yaml.MarkedYAMLError, source: Source, start: int) -> errors.NotYaml:
    mark, context = error.problem_mark, error.context_mark
    at = start + mark.index if mark else start
    said = " ".join(filter(None, (error.problem, error.context)))
    for pattern, problem, hint, earlier in _WORDING:
        if match := re.search(pattern, f"{said} {source.text[max(at - 1, 0) : at]}"):
            at = start + context.index if earlier and context else at
            return errors.NotYaml(
                span=_word(source, at), problem=problem.format(*match.groups()), hint=hint.format(*match.groups())
            )
    return errors.NotYaml(span=_word(source, at), problem=said)


def _word(source: Source, at: int) -> Span:
    """The word at a place, or its one character; the end of the text counts to its last line."""
    at = min(at, len(source.text.rstrip()))
    word = re.compile(r"[\w-]+").match(source.text, at)
    return source.span(at, word.end() if word else at + 1)


class _Reader:
    """Walks PyYAML's events, keeping the place of each value."""

    def __init__(self, source: Source, start: int, loader: Any) -> None:
        self.source = source
        self.start = start
        self.events: Iterator[Any] = iter(yaml.parse(source.text[start:], Loader=loader))
        self.is_fast = loader is not yaml.SafeLoader
        self.values = 0
        self.found: list[Diagnostic] = []
        """Mistakes after which reading can go on."""

    def document(self) -> Located:
        next(self.events)  # stream start
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            raise SpecError(errors.EmptySpec(span=self.source.span(0, 0)))
        root = self.value(next(self.events), 0)
        next(self.events)  # document end
        extra = next(self.events)
        if not isinstance(extra, yaml.StreamEndEvent):
            self.found.append(errors.NotYaml(span=self.place(extra), problem="a second document starts here"))
        if self.found:
            raise SpecError(*self.found)
        return root

    def value(self, event: Any, depth: int) -> Located:
        self.values += 1
        if self.values > MAX_VALUES:
            raise SpecError(errors.TooLarge(span=self.place(event), what="values", limit=MAX_VALUES))
        if len(self.found) >= MOST_TOLD:
            raise SpecError(*self.found)
        if depth > MAX_DEPTH:
            raise SpecError(errors.TooLarge(span=self.place(event), what="levels of nesting", limit=MAX_DEPTH))
        chosen = self.refuse(event, CHOICE) == CHOICE
        match event:
            case yaml.AliasEvent():
                return Leaf(None, self.place(event))
            case yaml.ScalarEvent():
                text, place = self.text(event), self.place(event)
                return self.range(text, place) if chosen else Leaf(_scalar(event, text), place)
            case yaml.SequenceStartEvent():
                items = self.listing(event, depth)
                return self.choice(items) if chosen else items
            case _:
                table = self.table(event, depth)
                if chosen:
                    expected = "a list of options, or a range such as `1..10`"
                    wrong = errors.WrongKind(span=table.span, what="a choice", expected=expected, got=kind_of(table))
                    self.found.append(wrong)
                return table

    def choice(self, options: Listing) -> Choice:
        if not options.items:
            self.found.append(errors.EmptyChoice(span=options.span))
        return Choice(options.items, options.span)

    def range(self, text: str, place: Span) -> Located:
        read = read_range(text, place)
        if isinstance(read, Range):
            return Choice((), place, read)
        self.found.append(read)
        return Leaf(None, place)

    def refuse(self, event: Any, allowed: str = "!") -> str | None:
        """The tag of an event; what is not part of the language is a mistake."""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self.found.append(errors.NoAliases(span=self.place(event)))
        tag: str | None = getattr(event, "tag", None)
        self.doubt(tag == "!")
        if tag and tag not in ("!", allowed):
            near = difflib.get_close_matches(tag, [CHOICE])
            hint = f"did you mean `{CHOICE}`?" if near else errors.NoTags.hint
            self.found.append(errors.NoTags(span=self.place(event), tag=tag.replace(_YAML_TAG, "!!"), hint=hint))
        return tag

    def text(self, event: yaml.ScalarEvent) -> str:
        """What a scalar says; an escape like `\\ud83d` is half a character and means nothing."""
        text = str(event.value)
        if not event.style:
            self.doubt("?" in text, not text and self.is_omitted(event))
        if _HALF.search(text):
            raise SpecError(errors.NotYaml(span=self.place(event), problem="an escape here is half a character"))
        return text

    def is_omitted(self, event: Any) -> bool:
        """Whether nothing is written, but for blanks before."""
        first, last = event.start_mark.index, event.end_mark.index
        return bool(first == last and self.source.text[self.start + first - 1 : self.start + first].isspace())

    def doubt(self, *reasons: bool) -> None:
        if self.is_fast and any(reasons):
            raise _Doubtful

    def listing(self, start: Any, depth: int) -> Listing:
        items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.value(event, depth + 1))
        return Listing(tuple(items), self.place(start, event))

    def table(self, start: Any, depth: int) -> Table:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            self.refuse(event)
            if not isinstance(event, yaml.ScalarEvent):
                wrong = errors.NotYaml(span=self.place(event), problem="a key must be a plain word")
                raise SpecError(*(self.found or [wrong]))
            key, place = self.text(event), self.place(event)
            if key in entries:
                self.found.append(errors.DuplicateKey.at(place, entries[key].key_span, key))
            value = self.value(next(self.events), depth + 1)
            entries.setdefault(key, Entry(key, place, value))
        return Table(tuple(entries.values()), self.place(start, event))

    def place(self, start: Any, end: Any = None) -> Span:
        first, last = start.start_mark.index, (end or start).end_mark.index
        text = self.source.text[self.start + first : self.start + last]
        end = self.start + first + max(len(text.rstrip()), 1)
        return Span(self.source, self.start + first, min(end, len(self.source.text)))


_YAML_TAG = "tag:yaml.org,2002:"
_HALF = re.compile("[\ud800-\udfff]")


def _scalar(event: yaml.ScalarEvent, text: str) -> Scalar:
    if event.style:
        return text
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if len(text) <= 40 and _INT.match(text):
        return int(text.replace("_", ""))
    if len(text) <= 40 and _FLOAT.match(text):
        number = float(text.replace("_", ""))
        return number if math.isfinite(number) else text
    return text
