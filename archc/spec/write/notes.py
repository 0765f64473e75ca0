"""Notes: each comment is given to the piece of a spec that it is about, so that a writer can print it there.

Writers work in lines without their indentation, and lay blocks into blocks by indenting them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from archc.spec.located import Comment, Entry, Located, Piece, inner

BLANK = "\0"
"""A blank line beside a comment; in a text, a blank line is an empty one."""

INDENT = "  "


def indented(lines: Iterable[str]) -> list[str]:
    """The lines one step to the right."""
    return [INDENT + line if line and line != BLANK else line for line in lines]


def finished(lines: Iterable[str]) -> str:
    """The text of all lines, with no blank ones at its ends and never two beside each other."""
    kept: list[str] = []
    for line in lines:
        if line != BLANK or (kept and kept[-1] != BLANK):
            kept.append(line)
    if kept and kept[-1] == BLANK:
        kept.pop()
    return "".join("\n" if line == BLANK else f"{line}\n" for line in kept)


@dataclass(frozen=True, slots=True)
class Note:
    """What is said about a piece: lines before it, at the end of its line, and after it."""

    before: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def joined(self, inner: Note) -> Note:
        """With what is said about a piece that begins on the same line."""
        return Note(self.before + inner.before, self.behind + inner.behind, inner.after + self.after)

    def around(self, lines: Sequence[str], is_closed: bool) -> tuple[list[str], list[str], list[str]]:
        """The lines before the piece, its own, and those after it; what stood behind it stays if it has but one line.

        `is_closed` says that the line may end with a comment already.
        """
        if len(lines) == 1 and self.behind and not is_closed:
            return [*self.before, *self.behind[:-1]], [f"{lines[0]}  {self.behind[-1]}"], [*self.after]
        return [*self.before, *self.behind], [*lines], [*self.after]


_NOTHING = Note()


class Notes:
    """The comments of a text by piece. A writer takes each once, in its own order, and ends with the `rest`."""

    def __init__(self, root: Located, comments: Sequence[Comment]) -> None:
        self._root = root
        """Kept alive: the pieces are known by identity."""
        self._lists: defaultdict[int, _Lists] = defaultdict(_Lists)
        self._tail: list[str] = []
        self._around: set[int] | None = None
        if comments:
            self._attach(comments)

    def inside(self, piece: Piece) -> bool:
        """Whether something within the piece has comments, when it is first asked of any."""
        if self._around is None:
            self._around = set()
            _mark(self._root, self._lists, self._around)
        return id(piece) in self._around

    def has(self, *pieces: Piece) -> bool:
        """Whether something is said about one of the pieces."""
        return bool(self._lists) and any(id(piece) in self._lists for piece in pieces)

    def lift(self, pieces: Iterable[Piece], owner: Piece) -> None:
        """Gives what is said before the pieces to their owner, which begins on the same line."""
        for piece in pieces:
            lists = self._lists.get(id(piece))
            if lists and lists.before and piece is not owner:
                self._lists[id(owner)].before += lists.before
                lists.before = []
                if not lists.behind and not lists.after:
                    del self._lists[id(piece)]

    def take(self, *pieces: Piece) -> Note:
        """What is said about pieces that begin on the same line, outer ones first."""
        note = _NOTHING
        for piece in pieces:
            if lists := self._lists.pop(id(piece), None):
                note = note.joined(Note(tuple(lists.before), tuple(lists.behind), tuple(lists.after)))
        return note

    def rest(self) -> list[str]:
        """What nobody took, and what stood at the end."""
        left = [line for lists in self._lists.values() for line in (*lists.before, *lists.behind, *lists.after)]
        self._lists.clear()
        return left + self._tail

    def _attach(self, comments: Sequence[Comment]) -> None:
        text = comments[0].span.source.text
        places = _places(self._root, comments)
        starts = [place.start for place in places]
        for comment in comments:
            at = comment.span.start
            line = text.rfind("\n", 0, at) + 1
            index = bisect_left(starts, at)
            chain = list(_outwards(places, index - 1))
            opening = text[line:at].strip()
            if opening and not opening.strip("- ") and index < len(places):  # an item begins below its dash
                self._lists[id(places[index].piece)].before.append(comment.text)
            elif opening and (place := _of_line(text, chain, line, at)):
                self._lists[id(place.piece)].behind.append(comment.text)
            else:
                lines = [*_blank(text, line - 1, -1), comment.text, *_blank(text, text.find("\n", at), 1)]
                self._list_for(text, at - line, at, chain, places[index : index + 1]).extend(lines)

    def _list_for(self, text: str, column: int, at: int, chain: list[_Place], following: list[_Place]) -> list[str]:
        """Where a comment on a line of its own belongs: before what follows, unless it ends what stands around it."""
        ended = [place for place in chain if place.end <= at]
        around = [place for place in chain if place.end > at][:1]
        if around and not (following and following[0].start < around[0].end):  # brackets close next
            return self._lists[id(ended[-1].piece)].after if ended else self._lists[id(around[0].piece)].before
        if column > (_column(text, following[0]) if following else 0):  # what follows is indented less
            for place in ended:
                if _column(text, place) == column:
                    return self._lists[id(place.piece)].after
        return self._lists[id(following[0].piece)].before if following else self._tail


@dataclass(slots=True)
class _Lists:
    before: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Place:
    """A piece where it stands in the text; `parent` is the index of the piece around it, -1 if there is none."""

    piece: Piece
    start: int
    end: int
    parent: int


def _places(root: Located, comments: Sequence[Comment]) -> list[_Place]:
    """The pieces that come from the text of the comments, in source order, outer ones first."""
    source = comments[0].span.source
    starts = [comment.span.start for comment in comments]
    found: list[_Place] = []

    def end_of(start: int, end: int) -> int:
        """Without the comments and blanks that the span of a block may have at its end."""
        while True:
            while end > start and source.text[end - 1].isspace():
                end -= 1
            last = bisect_left(starts, end) - 1
            if last < 0 or not start < starts[last] < end <= comments[last].span.end:
                return end
            end = starts[last]

    def walk(value: Located, parent: int) -> None:
        for piece in inner(value):
            span = piece.key_span if isinstance(piece, Entry) else piece.span
            own = piece.value if isinstance(piece, Entry) else piece
            mine = parent
            if span.source is source or span.source == source:
                end = own.span.end if own.span.source == source else span.end
                mine = len(found)
                found.append(_Place(piece, span.start, end_of(span.start, end), parent))
            walk(own, mine)

    walk(root, -1)
    order = sorted(range(len(found)), key=lambda i: (found[i].start, i))
    index = {old: new for new, old in enumerate(order)} | {-1: -1}
    return [_Place(p.piece, p.start, p.end, index[p.parent]) for p in map(found.__getitem__, order)]


def _outwards(places: Sequence[_Place], index: int) -> Iterator[_Place]:
    while index >= 0:
        yield places[index]
        index = places[index].parent


_CLOSING = re.compile(r"[\s,;)\]}&|?>-]*\Z")


def _of_line(text: str, chain: list[_Place], line: int, at: int) -> _Place | None:
    """The piece that a comment at the end of a line is about: what ends there, else what begins there."""
    ended = [place for place in chain if line <= place.end <= at]
    begun = [place for place in ended if place.start >= line]
    last = (begun or ended[:1])[-1:]
    if last and _CLOSING.match(text[last[0].end : at]):
        return last[0]
    return next((place for place in reversed(chain) if place.end > at and place.start >= line), None)


def _blank(text: str, newline: int, step: int) -> tuple[str, ...]:
    """A blank line, if there is one before (`step` -1) or after the line break at `newline`."""
    if newline < 0:
        return ()
    other = text.rfind("\n", 0, newline) if step < 0 else text.find("\n", newline + 1) % (len(text) + 1)
    line = text[other + 1 : newline] if step < 0 else text[newline + 1 : other]
    return () if line.strip() else (BLANK,)


def _column(text: str, place: _Place) -> int:
    """The column of a piece, or of the dash before an item."""
    line = text.rfind("\n", 0, place.start) + 1
    before = text[line : place.start].rstrip(" ")
    is_item = before.endswith("-") and not isinstance(place.piece, Entry)
    return len(before) - 1 if is_item else place.start - line


def _mark(value: Located, commented: Container[int], around: set[int]) -> bool:
    """Adds to `around` all pieces with commented ones inside; whether `value` is one."""
    inside = False
    for piece in inner(value):
        deeper = _mark(piece.value if isinstance(piece, Entry) else piece, commented, around)
        if deeper and isinstance(piece, Entry):
            around.add(id(piece))
        inside = inside or deeper or id(piece) in commented
    if inside:
        around.add(id(value))
    return inside
