"""Places: offsets in a text as lines and columns of the language server protocol, and back."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

_CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
"""What a column counts: the codec whose units they are, and the bytes of one."""


@dataclass(frozen=True)
class Places:
    """The places of a text. Lines and columns count from 0."""

    text: str
    encoding: str = "utf-16"

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer(r"\r\n?|\n", self.text))]

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column of an offset."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._starts, offset) - 1
        return line, self._units(self.text[self._starts[line] : offset])

    def offset(self, line: int, column: int) -> int:
        """The offset of a line and column; the nearest one before if there is none."""
        if not 0 <= line < len(self._starts):
            return len(self.text) if line >= 0 else 0
        start = self._starts[line]
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        content = self.text[start:end].rstrip("\r\n")
        if self._units(content) <= column:
            return start + len(content)
        codec, size = _CODECS[self.encoding]
        before = content.encode(codec, "surrogatepass")[: max(0, column) * size]
        return start + len(before.decode(codec, "ignore"))

    def _units(self, text: str) -> int:
        codec, size = _CODECS[self.encoding]
        return len(text.encode(codec, "surrogatepass")) // size
