"""Comments of the YAML form: PyYAML passes over them, so they are found between the scalars."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archc.source import Source
from archc.spec.located import Choice, Comment, Listing, Located, Table

_COMMENT = re.compile("#[^\n\r\x85\u2028\u2029]*")


def comments_in_yaml(source: Source, root: Located) -> tuple[Comment, ...]:
    """The comments of a YAML text that was read as `root`, in order: each `#` that is not part of a scalar."""
    found = []
    at = 0
    for begin, end in [*_scalars(source.text, root), (len(source.text), len(source.text))]:
        for match in _COMMENT.finditer(source.text, at, max(at, begin)):
            text = match[0].rstrip()
            found.append(Comment(text, source.span(match.start(), match.start() + len(text))))
        at = max(at, end)
    return tuple(found)


def _scalars(text: str, value: Located) -> Iterator[tuple[int, int]]:
    """The ranges where a `#` is a character like others, in source order."""
    match value:
        case Table():
            for entry in value:
                yield entry.key_span.start, entry.key_span.end
                yield from _scalars(text, entry.value)
        case Listing(items=inner) | Choice(options=inner, range=None):
            for item in inner:
                yield from _scalars(text, item)
        case _:
            begin, end = value.span.start, value.span.end
            if text[begin : begin + 1] in ("|", ">"):  # the head of a block scalar may end with a comment
                head = text.find("\n", begin)
                begin = head if begin < head < end else end
            if text[begin : begin + 1] != "#":  # else nothing is written here, and the span is a mere place
                yield begin, end
