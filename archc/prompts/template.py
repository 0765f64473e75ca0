"""Templates: the prompts of an op, in one text file beside it.

A file holds sections, each headed by `=== NAME: ROLE` where the role is `system`, `user` or `text` (a piece that
the op puts in as a value). `{name}` is replaced by a value, once: what a value contains is never looked at again.
`{{name}}` stands for a literal `{name}`; any other brace is itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from archc.calls import Conversation, Message

_HEADER = re.compile(r"^=== (\w+): (system|user|text)$", re.MULTILINE)
_HOLE = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")


@lru_cache(maxsize=256)
def placeholders(text: str) -> frozenset[str]:
    """The names that a template asks for."""
    return frozenset(m[2] for m in _HOLE.finditer(text) if m[2])


def fill(text: str, values: Mapping[str, str]) -> str:
    """The template with each `{name}` replaced by its value. Raises KeyError for a name without one."""
    return _HOLE.sub(lambda m: "{" + m[1] + "}" if m[1] else values[m[2]], text)


@dataclass(frozen=True, slots=True)
class Template:
    """One prompt: the system text (may be empty) and the user text."""

    system: str
    user: str

    @property
    def names(self) -> frozenset[str]:
        """The values it declares."""
        return placeholders(self.user) | placeholders(self.system)

    @property
    def bytes(self) -> int:
        """Its own length in UTF-8 bytes; no tokeniser makes more tokens of it."""
        return _bytes(self.system) + _bytes(self.user)

    @property
    def words(self) -> int:
        """Its own words; a tokeniser that splits at blanks makes at least as many tokens of them."""
        return _words(self.system) + _words(self.user)

    def render(self, conversation: Conversation, values: Mapping[str, str]) -> Conversation:
        """The messages to send: our system text, the earlier turns, then the filled prompt.

        `{question}` is the last user turn. A template without a system text keeps the conversation's own.
        """
        own = tuple(m for m in conversation[:-1] if m.role == "system")
        earlier = tuple(m for m in conversation[:-1] if m.role != "system")
        filled = {"question": conversation[-1].content, **values}
        system = (Message("system", fill(self.system, filled)),) if self.system else own
        return (*system, *earlier, Message("user", fill(self.user, filled)))


@lru_cache(maxsize=256)
def _bytes(text: str) -> int:
    return len(text.encode())


@lru_cache(maxsize=256)
def _words(text: str) -> int:
    return len(_HOLE.sub(" ", text).split())


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """All sections of one file."""

    prompts: Mapping[str, Template]
    texts: Mapping[str, str]


@cache
def read_templates(path: Path) -> TemplateFile:
    """Reads and caches a template file; an op without one has no prompts."""
    if not path.exists():
        return TemplateFile({}, {})
    pieces = _HEADER.split(path.read_text(encoding="utf-8"))[1:]
    sections = {(name, role): body.strip() for name, role, body in zip(*[iter(pieces)] * 3, strict=True)}
    prompts = {
        name: Template(sections.get((name, "system"), ""), body)
        for (name, role), body in sections.items()
        if role == "user"
    }
    return TemplateFile(prompts, {name: body for (name, role), body in sections.items() if role == "text"})
