"""Writing `.arch`: the canonical text of a spec."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from archc.spec.located import Comment, Entry, Leaf, Listing, Located, Piece, Table, kind_of
from archc.spec.vocabulary import Vocabulary
from archc.spec.write.layout import Doc, Layout, Unit, prefixed
from archc.spec.write.notes import BLANK, Notes, finished
from archc.spec.write.steps import Steps, cannot, split_lets
from archc.spec.write.values import Values, key, word
from archc.spec.write.yaml import ORDER


def write_arch(
    root: Located,
    comments: Sequence[Comment],
    vocabulary: Vocabulary,
    canonical_condition: Callable[[str], str | None],
) -> str:
    """The canonical `.arch` of the values, with the comments. Raises SpecError for what has no words there.

    `canonical_condition` gives the text of a condition, or None for what is none, which is put in quotes.
    """
    if not isinstance(root, Table):
        cannot(root, f"{kind_of(root)} as a spec")
    notes = Notes(root, comments)
    layout = Layout(notes)
    values = Values(layout, canonical_condition)
    writer = _Statements(values, Steps(layout, values, vocabulary))
    lines: list[str] = []
    for unit in writer.all(root):
        for part in layout.lines(unit):
            lines += part
    return finished([*lines, *notes.rest()])


_BLANK_LINE = Unit((), Doc(BLANK))


class _Statements:
    """Makes texts of statements."""

    def __init__(self, values: Values, steps: Steps) -> None:
        self.values = values
        self.steps = steps

    def all(self, root: Table) -> Iterator[Unit]:
        """The statements in their order, then the pipeline."""
        entries = {entry.key: entry for entry in root}
        makers = (
            self._name,
            self._rules,
            self._params,
            self._models,
            self._budget,
            self._require,
            self._search,
            self._beside,
            self._pipeline,
        )
        for unknown in entries.keys() - set(ORDER):
            cannot(entries[unknown].value, f"the key `{unknown}`")
        for name, maker in zip(ORDER, makers, strict=True):
            if name in entries:
                yield from maker(entries[name])

    def _name(self, entry: Entry) -> Iterator[Unit]:
        yield Unit((entry,), prefixed("architecture ", self.values.value(entry.value)))

    def _rules(self, entry: Entry) -> Iterator[Unit]:
        yield Unit((entry,), prefixed("rules ", self.values.value(entry.value)))

    def _params(self, entry: Entry) -> Iterator[Unit]:
        for pieces, param in _owned(entry):
            if isinstance(param.value, Leaf) and param.value.value is None:
                yield Unit(pieces, Doc(f"param {word(param.key)}"))
            else:
                yield Unit(pieces, prefixed(f"param {key(param.key)} = ", self.values.value(param.value)))

    def _models(self, entry: Entry) -> Iterator[Unit]:
        for pieces, model in _owned(entry):
            start = f"model {key(model.key)} = "
            backend = model.value.get("backend") if isinstance(model.value, Table) else None
            if not backend or not isinstance(backend.value, Leaf) or not isinstance(backend.value.value, str):
                yield Unit(pieces, prefixed(start, self.values.value(model.value)))
                continue
            assert isinstance(model.value, Table)
            start += word(backend.value.value)
            options = [e for e in model.value if e is not backend]
            doc = self.values.arguments(start, options, "model") if options else Doc(start)
            yield Unit((*pieces, backend), doc)

    def _budget(self, entry: Entry) -> Iterator[Unit]:
        return self._pairs("budget", entry)

    def _search(self, entry: Entry) -> Iterator[Unit]:
        return self._pairs("search", entry)

    def _pairs(self, start: str, entry: Entry) -> Iterator[Unit]:
        limits = [limit for _, limit in _owned(entry)]
        units = [Unit((), prefixed(f"{key(limit.key)}=", self.values.value(limit.value))) for limit in limits]
        if units:
            stack = self.values.layout.stack(units, "", flat=True)
            yield Unit((entry, *limits), prefixed(f"{start} ", stack))

    def _require(self, entry: Entry) -> Iterator[Unit]:
        if not isinstance(entry.value, Listing):
            cannot(entry.value, f"{kind_of(entry.value)} as `require`")
        for index, item in enumerate(entry.value.items):
            pieces: tuple[Piece, ...] = (entry, item) if index == 0 else (item,)
            yield Unit(pieces, prefixed("require ", self.values.value(item, is_condition=True)))

    def _beside(self, entry: Entry) -> Iterator[Unit]:
        yield Unit((entry,), prefixed("archon ", self.values.value(entry.value)))

    def _pipeline(self, entry: Entry) -> Iterator[Unit]:
        if not isinstance(entry.value, Listing):
            cannot(entry.value, f"{kind_of(entry.value)} as the pipeline")
        lets, stages = split_lets(entry.value)
        for let in lets:
            yield from (_BLANK_LINE, self.steps.let(let)) if let is lets[0] else (self.steps.let(let),)
        if stages:
            yield _BLANK_LINE
            yield Unit((entry,), self.steps.chain(stages, entry))


def _owned(entry: Entry) -> Iterator[tuple[tuple[Piece, ...], Entry]]:
    """The entries of a table, each with the pieces that begin with it."""
    if not isinstance(entry.value, Table):
        cannot(entry.value, f"{kind_of(entry.value)} as `{entry.key}`")
    for index, inner in enumerate(entry.value):
        yield (entry, inner) if index == 0 else (inner,), inner
