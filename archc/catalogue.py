"""The catalogue: the page of each diagnostic, in a Markdown file beside the module that defines it.

A page is a heading, a few sentences, and three fences: what is wrong, what archc says to it, and what is right. The
second is written by `pytest --update-cases`. An example need not declare the models `small` and `big`.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from archc import errors
from archc.diagnostics import Diagnostic, kebab


@dataclass(frozen=True, slots=True)
class Example:
    """A spec, a config of another system, or what is typed at a prompt."""

    language: str
    options: str
    """What a test must know to try it."""
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """What there is to know about one diagnostic."""

    kind: type[Diagnostic]
    about: str
    wrong: Example
    said: str
    """What archc says to the wrong example."""
    right: Example

    @property
    def name(self) -> str:
        """That of the diagnostic."""
        return kebab(self.kind.__name__)

    @property
    def headline(self) -> str:
        """Its message in general; what it is about, if every word differs from case to case."""
        about = " ".join(str(self.kind.__doc__).split()).rstrip(".")
        return _in_general(self.kind.title) if _worded(self.kind.title) else about[0].lower() + about[1:]

    @property
    def help(self) -> str:
        """What to do in general; empty where that differs from case to case."""
        return _in_general(self.kind.help) if _worded(self.kind.help) else ""

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        parts = {"name": self.name, "severity": self.kind.severity, "message": self.headline, "help": self.help}
        return parts | {"about": self.about, "wrong": self.wrong.text, "said": self.said, "right": self.right.text}

    def as_text(self) -> str:
        """For a terminal."""
        parts = [f"{self.kind.severity}[{self.name}]: {self.headline}", self.about]
        for title, text in (("wrong", self.wrong.text), ("archc says", self.said), ("right", self.right.text)):
            parts += [f"{title}:", re.sub(r"(?m)^(?=.)", "    ", text)]
        return "\n\n".join(parts)

    def as_markdown(self, *, whole: bool = False) -> str:
        """As it stands in its file, or `whole`: as it stands in the documentation."""
        fences = [("wrong", self.wrong), ("says", Example("text", "", self.said)), ("right", self.right)]
        written = []
        for word, example in fences:
            info = " ".join(filter(None, (example.language, word, "" if whole else example.options)))
            written.append(f"```{info}\n{example.text}\n```")
        if not whole:
            return "\n\n".join([f"## {self.name}", self.about, *written])
        headline = f"**{self.kind.severity}**: {self.headline}"
        return "\n\n".join(
            [f"## {self.name}", headline, self.about, written[0], "archc says", written[1], "Instead", written[2]]
        )


@lru_cache(maxsize=1)
def kinds() -> dict[str, type[Diagnostic]]:
    """Every diagnostic by name, in the order of the files."""
    classes = (k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Diagnostic))
    return {kebab(k.__name__): k for k in classes if k is not Diagnostic}


def file_of(kind: type[Diagnostic]) -> Path:
    """Where its page is written."""
    return Path(str(sys.modules[kind.__module__].__file__)).with_suffix(".md")


def page(kind: type[Diagnostic]) -> Page:
    """Its page. Raises KeyError if nobody has written one."""
    return pages(file_of(kind))[kebab(kind.__name__)]


@cache
def pages(path: Path) -> dict[str, Page]:
    """All pages of a file, by name. Raises ValueError for a section that is no page, KeyError for one of nothing."""
    sections = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:] if path.exists() else []
    made = [_page(section) for section in sections]
    return {one.name: one for one in made}


_FENCE = re.compile(r"^```(\w+) (wrong|says|right) ?([^\n]*)\n(.*?)\n?```$", re.MULTILINE | re.DOTALL)


def _page(section: str) -> Page:
    name, _, body = section.partition("\n")
    about = body.partition("```")[0].strip()
    fences = {m[2]: Example(m[1], m[3], m[4]) for m in _FENCE.finditer(body)}
    if not about or not {"wrong", "right"} <= fences.keys():
        raise ValueError(f"the page of {name} has no text, no wrong example or no right one")
    said = fences.get("says", Example("text", "", ""))
    return Page(kinds()[name], about, fences["wrong"], said.text, fences["right"])


def book() -> str:
    """All pages: what `docs/errors.md` holds."""
    parts = [_TITLE]
    files = {file_of(kind).stem: file_of(kind) for kind in kinds().values()}
    for file in (files[stem] for stem in sorted(files, key=lambda stem: (_ORDER.find(stem) < 0, _ORDER.find(stem)))):
        parts += [head_of(file), " · ".join(f"[{name}](#{name})" for name in pages(file))]
        parts += [one.as_markdown(whole=True) for one in pages(file).values()]
    return "\n\n".join(parts) + "\n"


def head_of(file: Path) -> str:
    """What a file says of all its pages."""
    return file.read_text(encoding="utf-8").partition("\n## ")[0].strip()


_ORDER = "form meaning conditions choices running foreign"
"""The files as a reader meets them; others come last."""


_TITLE = """<!-- Made by `pytest --update-cases tests/test_catalogue.py` from archc/errors/; change the pages there. -->

Everything that archc may say against a spec, a file or a run, with an example of each. `archc explain NAME` shows one
of these pages. An error ends the command; a warning does not.

What an example does not show is `models: {small: {backend: simulated}, big: {backend: simulated}}`, and a `pipeline`
of `generate: small`."""


def _worded(template: str) -> bool:
    """Whether a template has words of its own."""
    return bool(re.search(r"\w", re.sub(r"\{[^{}]*\}", "", template)))


class _Anything(dict[str, Any]):
    """Stands for the values that a template will be filled with."""

    def __missing__(self, key: str) -> _Anything:
        return self

    def __format__(self, how: str) -> str:
        return "…"


def _in_general(template: str) -> str:
    return template.format_map(_Anything())
