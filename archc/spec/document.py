"""Documents: a spec in one of its forms, with its comments; reading any form, and writing the canonical text of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, Literal, get_args

from archc import errors
from archc.diagnostics import ArchcBug, Diagnostic, SpecError, did_you_mean
from archc.source import Source
from archc.spec.arch.reader import read_arch
from archc.spec.conditions import parse_condition, text_of
from archc.spec.foreign.archon import read_archon
from archc.spec.foreign.archon_export import write_archon
from archc.spec.foreign.moa import read_moa
from archc.spec.foreign.optillm import read_optillm
from archc.spec.located import Comment, Located, plain
from archc.spec.vocabulary import Vocabulary
from archc.spec.write.arch import write_arch
from archc.spec.write.comments import comments_in_yaml
from archc.spec.write.yaml import write_yaml
from archc.spec.yaml import read_yaml

OwnForm = Literal["yaml", "arch"]
OWN: tuple[OwnForm, ...] = get_args(OwnForm)
"""The forms that archc writes with comments."""

_BY_SUFFIX = {".arch": "arch", ".json": "archon"}


@dataclass(frozen=True, slots=True)
class Document:
    """What a text says, and what its author says beside."""

    form: str
    root: Located
    comments: tuple[Comment, ...] = ()
    found: tuple[Diagnostic, ...] = ()
    """What is wrong, or was left out, in a text of another system."""


def form_of(source: Source) -> str:
    """The form of a text: what it says, or else the end of its name; YAML by default."""
    return source.form or _BY_SUFFIX.get(PurePath(source.name).suffix.lower(), "yaml")


def read_document(source: Source, vocabulary: Vocabulary) -> Document:
    """The document that a text is. Raises SpecError."""
    form = form_of(source)
    if form not in FORMS:
        raise SpecError(errors.UnknownForm(form=form, hint=did_you_mean(form, FORMS)))
    return FORMS[form](source, vocabulary)


def write_document(document: Document, form: str, vocabulary: Vocabulary) -> str:
    """The canonical text of a document in a form. Raises SpecError for what has no words there."""
    text = _written(document, form, vocabulary)
    for _ in range(_SETTLES if document.comments and form in OWN else 0):
        settled = _written(read_document(Source("written", text, form), vocabulary), form, vocabulary)
        if settled == text:
            break
        text = settled
    return text


_SETTLES = 4
"""In another form, or moved, a comment may be about another piece than before, and leave room for another layout."""


def formatted(source: Source, vocabulary: Vocabulary) -> str:
    """The canonical text of a spec in its own form. Raises SpecError."""
    document = read_document(source, vocabulary)
    if document.form not in OWN:
        hint = "archc convert FILE --to yaml"
        raise SpecError(errors.CannotWrite(span=source.span(0, 1), what="another system's text", hint=hint))
    text = write_document(document, document.form, vocabulary)
    again = read_document(replace(source, text=text), vocabulary)
    if not is_same(again.root, document.root):  # better a report than a changed file
        raise ArchcBug(f"the formatted text of {source.name} would say something else")
    return text


def _written(document: Document, form: str, vocabulary: Vocabulary) -> str:
    match form:
        case "yaml":
            return write_yaml(document.root, document.comments, vocabulary)
        case "arch":
            return write_arch(document.root, document.comments, vocabulary, canonical_condition)
        case "archon":
            return write_archon(document.root)
        case _:
            raise SpecError(errors.UnknownForm(form=form, hint=did_you_mean(form, (*OWN, "archon"))))


def canonical_condition(text: str) -> str | None:
    """A condition as it is written; None for what is none."""
    try:
        return text_of(parse_condition(text, Source("condition", text).span))
    except SpecError:
        return None


def is_same(one: Located, other: Located) -> bool:
    """Whether two specs say the same: `select()` is `select`, and conditions may be written with other blanks."""
    return _is_same(plain(one), plain(other))


def _is_same(one: Any, other: Any) -> bool:
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
        case list(), list():
            return len(one) == len(other) and all(map(_is_same, one, other))
        case str(), str() if one != other:
            meant = canonical_condition(one)
            return meant is not None and meant == canonical_condition(other)
        case (dict() as step, str() as word) | (str() as word, dict() as step):
            return step == {word: {}}
        case _:
            return type(one) is type(other) and bool(one == other)


def _yaml(source: Source, vocabulary: Vocabulary) -> Document:
    root = read_yaml(source)
    return Document("yaml", root, comments_in_yaml(source, root))


def _arch(source: Source, vocabulary: Vocabulary) -> Document:
    return Document("arch", *read_arch(source, vocabulary))


def _foreign(form: str, reader: Callable[[Source], tuple[Located, list[Diagnostic]]]) -> _Reader:
    def read(source: Source, vocabulary: Vocabulary) -> Document:
        root, found = reader(source)
        return Document(form, root, found=tuple(found))

    return read


_Reader = Callable[[Source, Vocabulary], Document]
FORMS: Mapping[str, _Reader] = {
    "yaml": _yaml,
    "arch": _arch,
    "archon": _foreign("archon", read_archon),
    "archon-compat": _foreign("archon-compat", lambda source: read_archon(source, "compat")),
    "optillm": _foreign("optillm", read_optillm),
    "moa": _foreign("moa", read_moa),
}
"""Every form that can be read. `archon` is Archon's configs with their mistakes mended, `archon-compat` with them."""
