"""Layout: pieces of text that stand on one line where they fit, else take several; comments find their places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from archc.spec.located import Piece
from archc.spec.write.notes import INDENT, Notes, indented

WIDTH = 100


_Tall = Callable[[str, str, int, list[str]], list[str]]


@dataclass(frozen=True, slots=True)
class Doc:
    """A text and its two layouts."""

    flat: str | None
    """On one line; None if it can't or would be far too long."""
    tall: _Tall | None = None
    """On several lines, given what stands before and after it, the width, and where to put comments that precede it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A text that begins a line when there is not one line for all, and the pieces of the spec that it says."""

    pieces: tuple[Piece, ...]
    doc: Doc


def text_block(lines: Sequence[str], closing: str) -> Doc:
    """A text of several lines, those after the first indented, with a word that closes the last one."""

    def tall(before: str, after: str, width: int, hoisted: list[str]) -> list[str]:
        first, *others, last = lines
        return [before + first, *indented(others), f"{INDENT}{last}{closing}{after}"]

    return Doc(None, tall)


def lay(doc: Doc, before: str, after: str, width: int, hoisted: list[str]) -> list[str]:
    """The lines of a text between two others."""
    if doc.flat is not None and len(before) + len(doc.flat) + len(after) <= width:
        return [before + doc.flat + after]
    return _broken(doc, before, after, width, hoisted)


def _broken(doc: Doc, before: str, after: str, width: int, hoisted: list[str]) -> list[str]:
    return doc.tall(before, after, width, hoisted) if doc.tall else [f"{before}{doc.flat}{after}"]


def prefixed(words: str, doc: Doc) -> Doc:
    """With words before it, on the same line."""
    flat = None if doc.flat is None else words + doc.flat
    if doc.tall is None:
        return Doc(flat)
    return Doc(flat, lambda before, after, width, hoisted: lay(doc, before + words, after, width, hoisted))


def suffixed(doc: Doc, words: str) -> Doc:
    """With words after it, on the same line."""
    flat = None if doc.flat is None else doc.flat + words
    if doc.tall is None:
        return Doc(flat)
    return Doc(flat, lambda before, after, width, hoisted: lay(doc, before, words + after, width, hoisted))


def headed(head: Doc, blocks: Sequence[tuple[str, Doc]]) -> Doc:
    """A head and blocks, each after its word; if all do not fit on one line, then each block takes several."""

    def tall(before: str, after: str, width: int, hoisted: list[str]) -> list[str]:
        lines = lay(head, before, " {", width, hoisted)
        lines[-1] = lines[-1].removesuffix("{")
        for index, (word, block) in enumerate(blocks):
            end = after if index == len(blocks) - 1 else " "
            lines += _broken(block, lines.pop() + word, end, width, hoisted)
        return lines

    flats = [prefixed(word, block).flat for word, block in blocks]
    return Doc(_short([head.flat, *flats], " "), tall) if blocks else head


def _short(flats: Sequence[str | None], separator: str, ends: tuple[str, str] = ("", "")) -> str | None:
    parts = [flat for flat in flats if flat is not None]
    if len(parts) < len(flats):
        return None
    joined = separator.join(parts).join(ends)
    return joined if len(joined) <= WIDTH else None


class Layout:
    """Makes texts of units; takes their comments when it lays them."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    def lines(
        self, unit: Unit, before: str = "", after: str = "", width: int = WIDTH
    ) -> tuple[list[str], list[str], list[str]]:
        """The lines to stand before a unit, its own, and comments after it."""
        hoisted: list[str] = []
        own = lay(unit.doc, before, after, width, hoisted)
        ahead, own, behind = self.notes.take(*unit.pieces).around(own, unit.doc.flat is None)
        return [*ahead, *hoisted], own, behind

    def flats(self, units: Sequence[Unit]) -> list[str | None]:
        """Each on one line, those without comments."""
        return [None if self.notes.has(*unit.pieces) else unit.doc.flat for unit in units]

    def stack(self, units: Sequence[Unit], lead: str, flat: bool) -> Doc:
        """Units below each other, or after each other on one line; `lead` stands before each but the first."""

        def tall(before: str, after: str, width: int, hoisted: list[str]) -> list[str]:
            lines: list[str] = []
            behind: list[str] = []
            for index, unit in enumerate(units):
                shift = indented if index and (lead or before) else list[str]
                lines += shift(behind)
                end = after if index == len(units) - 1 else ""
                ahead, own, behind = self.lines(unit, lead if index else before, end, width - 2 if index else width)
                (lines if index else hoisted).extend(shift(ahead))
                lines += shift(own)
            return [*lines, *behind]  # what ends a block stands at its margin

        return Doc(_short(self.flats(units), f" {lead}") if flat else None, tall)

    def bracket(
        self,
        ends: tuple[str, str],
        units: Sequence[Unit],
        *,
        lead: str = "",
        trail: str = ",",
        owner: tuple[Piece, ...] = (),
    ) -> Doc:
        """Units in brackets. On several lines, `lead` stands before each but the first and `trail` behind each."""
        opening, closing = ends[0].strip(), ends[1].strip()

        def tall(before: str, after: str, width: int, hoisted: list[str]) -> list[str]:
            inner: list[str] = []
            for index, unit in enumerate(units):
                start = lead if index else ""
                ahead, own, behind = self.lines(unit, start if unit.doc.flat else start.rstrip(), trail, width - 2)
                inner += [*ahead, *(own if own != [""] else []), *behind]
            ahead, inner, behind = self.notes.take(*owner).around(inner, True)
            return [before + opening, *indented([*ahead, *inner, *behind]), closing + after]

        separator = f" {lead}" if lead else f"{trail} "
        if not units and not self.notes.has(*owner):
            return Doc(opening + closing)
        flat = None if self.notes.has(*owner) else _short(self.flats(units), separator, ends)
        return Doc(flat, tall)
