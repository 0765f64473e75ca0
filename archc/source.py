"""Source: the text of a spec and places in it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Source:
    """A text and the name to show for it (a path, or `<string>`)."""

    name: str
    text: str
    form: str = ""
    """How it is written, such as `arch`; by the end of its name where this is empty."""

    def span(self, start: int = 0, end: int | None = None) -> Span:
        """The half-open range of characters `[start, end)`, the whole text by default."""
        return Span(self, start, len(self.text) if end is None else end)


@dataclass(frozen=True, slots=True)
class Span:
    """The half-open range of characters `[start, end)` of a source."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        """The characters covered."""
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        """The line of the first character, counted from 1."""
        return bisect_right(_line_starts(self.source.text), self.start)

    @property
    def column(self) -> int:
        """The column of the first character, counted from 1."""
        return self.start - _line_starts(self.source.text)[self.line - 1] + 1

    def line_text(self) -> str:
        """The whole first line, without its end."""
        starts = _line_starts(self.source.text)
        end = starts[self.line] if self.line < len(starts) else len(self.source.text)
        return self.source.text[starts[self.line - 1] : end].rstrip("\r\n")

    def contains(self, other: Span) -> bool:
        """Whether `other` lies inside."""
        return self.source == other.source and self.start <= other.start and other.end <= self.end

    def join(self, other: Span) -> Span:
        """The smallest span that covers both; they must be of one source."""
        assert self.source == other.source
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"


@lru_cache(maxsize=64)
def _line_starts(text: str) -> tuple[int, ...]:
    return (0, *(i + 1 for i, char in enumerate(text) if char == "\n"))
