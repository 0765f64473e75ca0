"""Outline: the comments, strings and brackets of a text, found in one pass before the grammar sees it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from archc.diagnostics import Label
from archc.source import Span
from archc.spec.arch.grammar import STATEMENTS
from archc.spec.yaml import MAX_CHARACTERS, MAX_DEPTH

__all__ = ["MAX_CHARACTERS", "MAX_DEPTH", "MOST", "Mistake", "Outline", "outline", "restarts"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in a text, at its offsets; the reader makes a diagnostic of it."""

    start: int
    end: int
    problem: str
    hint: str = ""
    here: str = "here"
    also: tuple[tuple[int, int, str], ...] = ()
    limit: int = 0
    """Set where the problem is having more of something than this."""

    def labels(self, place: Callable[[int, int], Span]) -> tuple[Label, ...]:
        """The other places worth seeing."""
        return tuple(Label(place(start, end), text) for start, end, text in self.also)


@dataclass(frozen=True, slots=True)
class Outline:
    """What a text has beside its words."""

    comments: tuple[tuple[int, int], ...]
    mistakes: tuple[Mistake, ...]


_QUIET = r'#[^\n]*|"""(?:[^"\\]++|\\(?:""")?+|"(?!""))*+"""|"(?!"")(?:[^"\\\n]|\\.)*+"'
_PIECE = re.compile(rf"{_QUIET}|\"(?:\"\")?|[()\[\]{{}}]|[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_CLOSES = {"(": ")", "[": "]", "{": "}"}
MOST = 20
"""How many mistakes of one text are told."""


def outline(text: str) -> Outline:
    """The comments of a text, and the mistakes for which there is no use in reading it."""
    comments: list[tuple[int, int]] = []
    found: list[Mistake] = []
    opened: list[tuple[str, int]] = []
    for match in _PIECE.finditer(text):
        piece, start = match[0], match.start()
        if piece[0] == "#":
            comments.append((start, start + len(piece.rstrip())))
        elif piece in _CLOSES:
            opened.append((piece, start))
            if len(opened) > MAX_DEPTH:
                found.append(Mistake(start, start + 1, "levels of nesting", limit=MAX_DEPTH))
        elif piece in ")]}":
            found += _closed(opened, piece, start)
        elif piece in ('"', '"""'):
            found.append(_unclosed_string(text, piece, start))
        elif piece[0] != '"':
            found.append(Mistake(start, start + 1, f"the character {ord(piece):#x} is not allowed", "remove it"))
        if len(found) >= MOST or (found and (found[-1].limit or piece == '"""')):
            return Outline(tuple(comments), tuple(found))
    if not any(mistake.problem == _STRING for mistake in found):
        found += [_never_closed(piece, start) for piece, start in opened]
    return Outline(tuple(comments), tuple(found[:MOST]))


_STRING = "this string is not closed"


def _closed(opened: list[tuple[str, int]], piece: str, start: int) -> Iterator[Mistake]:
    """Takes off what a closing bracket closes; brackets between were forgotten."""
    if not any(_CLOSES[bracket] == piece for bracket, _ in opened):
        inside = tuple((at, at + 1, f"this waits for its `{_CLOSES[bracket]}`") for bracket, at in opened[-1:])
        yield Mistake(start, start + 1, f"this `{piece}` closes nothing", "remove it", "nothing to close", inside)
        return
    while opened:
        bracket, at = opened.pop()
        if _CLOSES[bracket] == piece:
            return
        also = ((start, start + 1, f"this `{piece}` closes an outer bracket"),)
        yield _never_closed(bracket, at, also)


def _never_closed(bracket: str, at: int, also: tuple[tuple[int, int, str], ...] = ()) -> Mistake:
    closing = _CLOSES[bracket]
    return Mistake(at, at + 1, f"this `{bracket}` is never closed", f"add the missing `{closing}`", "opened here", also)


def _unclosed_string(text: str, quotes: str, start: int) -> Mistake:
    if quotes == '"""':
        return Mistake(start, start + 3, _STRING, 'close it with `"""`', "opened here")
    return Mistake(
        start, start + 1, _STRING, 'close it on the same line; longer texts stand between `"""`', "opened here"
    )


_RESTART = re.compile(
    rf"(?P<quiet>{_QUIET})|(?P<open>[(\[{{])|(?P<close>[)\]}}])"
    rf"|^[ \t]*(?P<restart>->|(?:{'|'.join(STATEMENTS)})(?![\w.(]))",
    re.MULTILINE,
)


def restarts(text: str) -> Iterator[int]:
    """Where reading can go on after a mistake: lines that begin with a statement or an arrow, outside of brackets."""
    depth = 0
    for match in _RESTART.finditer(text):
        depth += bool(match["open"]) - bool(match["close"])
        if match["restart"] and depth == 0:
            yield match.start("restart")
