"""Documents: a spec in one of its forms, with its comments; reading any form, and writing the canonical text of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from archc.diagnostics import SpecError
from archc.source import Source
from archc.spec.arch import read_arch
from archc.spec.comments import comments_in_yaml
from archc.spec.conditions import parse_condition, text_of
from archc.spec.json_text import read_json
from archc.spec.located import Comment, Located
from archc.spec.vocabulary import Vocabulary
from archc.spec.write_arch import write_arch
from archc.spec.write_yaml import write_yaml
from archc.spec.yaml import read_yaml

Form = Literal["yaml", "arch", "json"]

_BY_SUFFIX: Mapping[str, Form] = {".arch": "arch", ".json": "json"}


@dataclass(frozen=True, slots=True)
class Document:
    """What a text says, and what its author says beside."""

    form: Form
    root: Located
    comments: tuple[Comment, ...] = ()


def form_of(name: str) -> Form:
    """The form of a file, by the end of its name: YAML unless that says otherwise."""
    return _BY_SUFFIX.get(PurePath(name).suffix.lower(), "yaml")


def read_document(source: Source, vocabulary: Vocabulary, form: Form | None = None) -> Document:
    """The document that a text is, by its name unless `form` is given. Raises SpecError."""
    form = form or form_of(source.name)
    return Document(form, *_READERS[form](source, vocabulary))


def write_document(document: Document, form: Literal["yaml", "arch"], vocabulary: Vocabulary) -> str:
    """The canonical text of a document in a form. Raises SpecError for what has no words there."""
    if form == "yaml":
        return write_yaml(document.root, document.comments, vocabulary)
    return write_arch(document.root, document.comments, vocabulary, canonical_condition)


def canonical_condition(text: str) -> str | None:
    """A condition as it is written; None for what is none."""
    try:
        return text_of(parse_condition(text, Source("condition", text).span))
    except SpecError:
        return None


def _read_yaml(source: Source, vocabulary: Vocabulary) -> tuple[Located, tuple[Comment, ...]]:
    root = read_yaml(source)
    return root, comments_in_yaml(source, root)


def _read_json(source: Source, vocabulary: Vocabulary) -> tuple[Located, tuple[Comment, ...]]:
    return read_json(source), ()


_Reader = Callable[[Source, Vocabulary], tuple[Located, tuple[Comment, ...]]]
_READERS: Mapping[Form, _Reader] = {"yaml": _read_yaml, "arch": read_arch, "json": _read_json}
