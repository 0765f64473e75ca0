"""Writing YAML: the canonical text of a spec, which reads back as the same values."""

from __future__ import annotations

import re
from collections.abc import Sequence

from archc.spec.located import Choice, Comment, Entry, Leaf, Listing, Located, Piece, Table, inner
from archc.spec.space.ranges import range_text
from archc.spec.vocabulary import Vocabulary
from archc.spec.write.notes import Notes, finished, indented
from archc.spec.write.scalars import constant, quoted, reads_well_as_lines

ORDER = ("name", "rules", "params", "models", "budget", "require", "search", "archon", "pipeline")
"""The keys of a spec as they are written; others come after."""

WIDTH = 100


def write_yaml(root: Located, comments: Sequence[Comment], vocabulary: Vocabulary) -> str:
    """The canonical YAML of the values, with the comments. Raises SpecError for a number that is not finite."""
    notes = Notes(root, comments)
    if comments:
        _lift(root, notes)
    writer = _Writer(notes, vocabulary)
    if isinstance(root, Table) and root.entries:
        rank = {key: position for position, key in enumerate(ORDER)}
        entries = sorted(root.entries, key=lambda entry: rank.get(entry.key, len(rank)))
        before, lines = writer.pieces(entries, "root", WIDTH)
    else:
        before, lines = [], writer.valued("", root, "data", WIDTH)
    whole = [*before, *lines, *notes.rest()]
    return finished(_UNFIT.sub(" ", line).rstrip() if "#" in line else line for line in whole)


_UNFIT = re.compile("[^\0\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""What a comment of another form may have, but none in YAML."""


def _lift(value: Located, notes: Notes) -> None:
    """Gives comments before the first piece of a list item, which begins on the line of the item, to that."""
    for piece in inner(value):
        _lift(piece.value if isinstance(piece, Entry) else piece, notes)
        if isinstance(piece, Table | Listing):
            notes.lift(inner(piece)[:1], piece)


class _Writer:
    """Writes values on one line where they fit, else as blocks.

    What a list means is its kind: the `steps` of a sequence, the `branches` of a layer or of alternatives, or `data`.
    Of tables: the `root`, the `args of` an op, the named sequences after `let`, or `data`.
    """

    def __init__(self, notes: Notes, vocabulary: Vocabulary) -> None:
        self.notes = notes
        self.vocabulary = vocabulary
        self.known: dict[int, str | None] = {}

    # ---- on one line

    def flat(self, value: Located) -> str | None:
        """The value on one line; None if it would be too long, or has comments inside or a text of several lines."""
        if isinstance(value, Leaf):
            return None if reads_well_as_lines(value.value) else _scalar(value, in_flow=True)
        if id(value) not in self.known:
            text = None if self.notes.inside(value) else self._flat(value)
            self.known[id(value)] = text if text is not None and len(text) <= WIDTH else None
        return self.known[id(value)]

    def _flat(self, value: Table | Listing | Choice) -> str | None:
        if isinstance(value, Choice) and value.range:
            return f"!choice {range_text(value.range)}"
        texts = [self._flat_entry(p) if isinstance(p, Entry) else self._flat_item(p) for p in inner(value)]
        if None in texts:
            return None
        inside = ", ".join(filter(None, texts))
        return f"{{{inside}}}" if isinstance(value, Table) else f"{_tag(value)}[{inside}]"

    def _flat_entry(self, entry: Entry) -> str | None:
        text = self.flat(entry.value)
        return None if text is None else f"{_string(entry.key, in_flow=True)}: {text}"

    def _flat_item(self, item: Located) -> str | None:
        if isinstance(item, Table) and len(item.entries) == 1 and not self.notes.inside(item):
            return self._flat_entry(item.entries[0])  # `[vote: {by: score}]`: braces may be left out
        return self.flat(item)

    # ---- as blocks

    def pieces(self, pieces: Sequence[Piece], kind: str, width: int) -> tuple[list[str], list[str]]:
        """The lines that must stand before the first piece, and those of all pieces."""
        first: list[str] = []
        lines: list[str] = []
        for piece in pieces:
            if isinstance(piece, Entry):
                hoisted, own = list[str](), self._entry(piece, kind, width)
            else:
                hoisted, own = self._item(piece, kind, width)
            before, own, after = self.notes.take(piece).around(own, self.notes.inside(piece))
            (lines if lines else first).extend([*before, *hoisted])
            lines += [*own, *after]
        return first, lines

    def _entry(self, entry: Entry, kind: str, width: int) -> list[str]:
        key = _string(entry.key, in_flow=True)
        is_tall = kind == "root" and entry.key in ("models", "pipeline")
        if len(key) <= _LONGEST_KEY:
            return self.valued(f"{key}:", entry.value, self._kind(kind, entry.key), width, is_tall)
        return [f"? {key}", *self.valued(":", entry.value, self._kind(kind, entry.key), width, is_tall)]

    def _kind(self, kind: str, key: str) -> str:
        """What the value of a key is in a table of that kind."""
        op = kind.removeprefix(_ARGS)
        if kind in ("steps", "branches"):
            return "lets" if key == "let" else f"{_ARGS}{key}"
        if (kind, key) == ("root", "pipeline") or kind == "lets" or (op != kind and key in self.vocabulary.regions(op)):
            return "steps"
        return "branches" if op != kind and key in self.vocabulary.region_lists(op) else "data"

    def _item(self, item: Located, kind: str, width: int) -> tuple[list[str], list[str]]:
        """The lines that must stand before an item of a list, and its own."""
        is_layer = kind == "steps" and isinstance(item, Listing) and item.items
        flat = None if is_layer else self._flat_item(item)
        if flat is not None and len(flat) + 2 <= width and not isinstance(item, Leaf):
            return [], [f"- {flat}"]
        if isinstance(item, Leaf | Choice):
            return [], self.valued("-", item, kind, width)
        before, lines = self.pieces(
            inner(item), _WITHIN.get(kind, kind) if isinstance(item, Listing) else kind, width - 2
        )
        return before, [f"- {lines[0]}", *indented(lines[1:])]

    def valued(self, head: str, value: Located, kind: str, width: int, is_tall: bool = False) -> list[str]:
        """The lines of a value after its key, its dash or nothing."""
        start = f"{head} " if head else ""
        if isinstance(value, Leaf):
            return _scalar_lines(start, value)
        if kind.startswith(_ARGS) and isinstance(value, Listing):
            kind = "steps"  # a list in place of arguments is the main region
        pieces = (
            value.entries if isinstance(value, Table) else value.items if isinstance(value, Listing) else value.options
        )
        is_tall = is_tall or (kind in _WITHIN and isinstance(value, Listing) and len(pieces) > 1)
        flat = self.flat(value)
        if not pieces or (flat is not None and len(start) + len(flat) <= width and not is_tall):
            return [f"{start}{flat}"]
        if isinstance(value, Choice):
            kind, head = "branches" if kind in _WITHIN else kind, f"{start}!choice"  # a list option is a sequence
        before, lines = self.pieces(pieces, kind, width - 2)
        return [head, *indented([*before, *lines])] if head else [*before, *lines]


def _tag(value: Located) -> str:
    return "!choice " if isinstance(value, Choice) else ""


_ARGS = "args of "
_WITHIN = {"steps": "branches", "branches": "steps"}
"""By the kind of a list: that of a list in it."""
_LONGEST_KEY = 1000
"""YAML takes no longer ones without a `?`."""

# ---- scalars


def _scalar_lines(start: str, leaf: Leaf) -> list[str]:
    if not (isinstance(leaf.value, str) and reads_well_as_lines(leaf.value)):
        return [f"{start}{_scalar(leaf, in_flow=False)}"]
    text, end = (leaf.value[:-1], "|") if leaf.value.endswith("\n") else (leaf.value, "|-")
    return [f"{start}{end}", *indented(text.split("\n"))]


def _scalar(leaf: Leaf, in_flow: bool) -> str:
    return _string(leaf.value, in_flow) if isinstance(leaf.value, str) else constant(leaf)


_NUMBER_LIKE = re.compile(r"[-+]?\.?[0-9][0-9_.eE+-]*\Z")
_CONSTANT_LIKE = re.compile(r"(null|true|false)\Z", re.IGNORECASE)
_UNSAFE = re.compile(r"""[\s?:,\[\]{}#&*!|>'"%@`~=-]|\.\.\.|.*(: | #)|.*[: ]\Z|\Z""")
_UNSAFE_IN_FLOW = re.compile(r".*[,\[\]{}?]")


def _string(text: str, in_flow: bool) -> str:
    """Plain where that reads back as the same string, else in the quotes that need fewer escapes."""
    if not text.isprintable():
        return quoted(text)
    is_plain = not (_UNSAFE.match(text) or _NUMBER_LIKE.match(text) or _CONSTANT_LIKE.match(text))
    if is_plain and not (in_flow and _UNSAFE_IN_FLOW.match(text)):
        return text
    return f"'{text}'" if "'" not in text and ('"' in text or "\\" in text) else quoted(text)
