"""Diagnostics: what is wrong, where, and what to do; data first, and one renderer.

A diagnostic is a frozen dataclass with class-level templates that are filled from its own fields:

    error[unknown-key]: `generate` has no key `temprature`
      --> specs/pair.yaml:7:18
       |
     7 |   - generate: {temprature: 0.8}
       |                ^^^^^^^^^^ not a key of `generate`
       = help: did you mean `temperature`?
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, dataclass_transform

from archc.secret import masked, masked_line
from archc.source import Source, Span

Severity = Literal["error", "warning"]
Format = Literal["full", "concise"]


@dataclass(frozen=True, slots=True)
class Label:
    """A second place worth seeing, and why."""

    span: Span
    text: str


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Diagnostic:
    """One mistake. Subclasses give the wording, `archc/errors/` holds them all; each is a frozen dataclass."""

    severity: ClassVar[Severity] = "error"
    title: ClassVar[str]
    label: ClassVar[str] = ""
    help: ClassVar[str] = ""

    span: Span | None = None
    also: tuple[Label, ...] = ()

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True, eq=False, repr=False)(cls)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        return render(self, "concise")

    @property
    def name(self) -> str:
        """The stable name, from the class: `UnknownKey` is `unknown-key`."""
        return kebab(type(self).__name__)

    @property
    def headline(self) -> str:
        """The message in one sentence, which stands alone."""
        return self._fill(self.title)

    @property
    def advice(self) -> str:
        """What to do, in the form of the text that is wrong; may be empty."""
        advice = self._fill(self.help)
        return as_arch(advice) if self.span and self.span.source.name.endswith(".arch") else advice

    def _fill(self, template: str) -> str:
        return masked(template.format_map(_Fields(self)))  # a value that is wrong may be a key that was pasted

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form: name, severity, message, help and places (line and column from 1)."""
        labels = [Label(self.span, self._fill(self.label))] if self.span else []
        return {
            "name": self.name,
            "severity": self.severity,
            "message": self.headline,
            "help": self.advice,
            "places": [
                {
                    "file": label.span.source.name,
                    "line": label.span.line,
                    "column": label.span.column,
                    "start": label.span.start,
                    "end": label.span.end,
                    "label": label.text,
                }
                for label in (*labels, *self.also)
            ],
        }


_SNIPPET = re.compile(r"`(?:- )?(\w+): \{([^{}]*)\}`")


def as_arch(advice: str) -> str:
    """The advice with each snippet like `rank: {model: big}` as a call: `rank(model=big)`."""
    return _SNIPPET.sub(lambda m: f"`{m[1]}({re.sub(r': ', '=', m[2])})`", advice)


def kebab(name: str) -> str:
    """`UnknownKey` as `unknown-key`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


class _Fields(dict[str, Any]):
    """Gives a diagnostic's attributes to `str.format_map`."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__()
        self._diagnostic = diagnostic

    def __missing__(self, key: str) -> Any:
        return getattr(self._diagnostic, key)


MOST_TOLD = 200
"""Nobody reads more mistakes at once than this, and a hostile text has tens of thousands."""


class SpecError(Exception):
    """The user's input is wrong. Carries every diagnostic found, in source order, up to `MOST_TOLD`."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        self.diagnostics = in_source_order(diagnostics)[:MOST_TOLD]
        super().__init__("; ".join(d.headline for d in self.diagnostics[:100]))


class RunError(Exception):
    """A run failed for a reason outside the spec. Carries one diagnostic."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic.headline)


class ArchcBug(Exception):
    """A law of archc itself was broken; never the user's fault."""


def in_source_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by file and position, those without a place first, duplicates dropped."""
    unique = dict.fromkeys(diagnostics)
    return tuple(sorted(unique, key=lambda d: (d.span.source.name, d.span.start) if d.span else ("", -1)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "did you mean `x`?" for the word that was meant, else the list of known words."""
    return _hint(word, tuple(sorted(known)))


@lru_cache(maxsize=1024)
def _hint(word: str, words: tuple[str, ...]) -> str:
    if near := nearest(word, words):
        return f"did you mean `{near}`?"
    more = ", …" if len(words) > _LISTED else ""
    return "known here: " + ", ".join(f"`{w}`" for w in words[:_LISTED]) + more if words else ""


_LISTED = 50
_COMPARED = 200
"""Of so many known words the nearest is looked for; of more only among those that begin alike."""


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that was meant: one that other tools call so, or that begins so, or that looks like it."""
    here = [name for name, others in _ELSEWHERE.items() if word.lower() in others.split() and name in known]
    begun = [name for name in known if name.startswith(word)] if len(word) > 3 else []
    if here or len(begun) == 1:
        return (here or begun)[0]
    if len(known) > _COMPARED:
        known = [name for name in known if name[:1] == word[:1] and abs(len(name) - len(word)) < 3][:_COMPARED]
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.6)), None)


_ELSEWHERE = {
    "pipeline": "steps stages layers tasks jobs flow chain graph nodes",
    "params": "parameters inputs variables vars args",
    "backend": "provider engine type",
    "base_url": "api_base endpoint url host",
    "n": "samples num_samples num_generations n_samples num_return_sequences k",
    "max_tokens": "max_new_tokens max_length max_completion_tokens num_predict",
    "top_k": "k keep top top_n n",
    "k": "n top_k top keep",
    "generate": "sample llm prompt call chat complete ask",
    "critique": "critic feedback review reflect",
    "rank": "ranker sort rerank",
    "fuse": "fuser aggregate merge combine synthesize synthesise",
    "refine": "revise improve rewrite",
    "verify": "verifier check validate",
    "vote": "majority majority_vote majority_voting self_consistency consensus",
    "select": "best best_of_n pick choose filter",
    "score": "judge grade rate reward",
    "extract": "parse regex",
    "when": "if switch branch",
    "each": "map foreach for_each for",
    "repeat": "loop while",
    "use": "import include uses",
    "condition": "if when test cond",
    "then": "do steps",
    "do": "steps body then pipeline",
    "times": "rounds iterations max max_rounds n",
    "max": "times limit max_samples",
}
"""What other tools call the words of the language."""


def render(diagnostic: Diagnostic, style: Format = "full") -> str:
    """The text of one diagnostic: `full` has the source lines with carets, `concise` is one line."""
    where = f"{diagnostic.span}: " if diagnostic.span else ""
    head = f"{diagnostic.severity}[{diagnostic.name}]: {diagnostic.headline}"
    if style == "concise":
        return printable(where + head)
    lines = [head]
    labels = [Label(diagnostic.span, diagnostic._fill(diagnostic.label))] if diagnostic.span else []
    width = max((len(str(label.span.line)) for label in (*labels, *diagnostic.also)), default=0)
    for source in dict.fromkeys(label.span.source for label in (*labels, *diagnostic.also)):
        lines += _excerpt(source, labels, diagnostic.also, width)
    advice = [part for part in diagnostic.advice.splitlines() if part]
    lines += [f"{' ' * width} {'        ' if i else '= help: '}{part}" for i, part in enumerate(advice)]
    return "\n".join(printable(line) for line in lines)


def render_all(diagnostics: Sequence[Diagnostic], style: Format = "full") -> str:
    """All of them, in source order, blank lines between full ones."""
    return ("\n\n" if style == "full" else "\n").join(render(d, style) for d in in_source_order(diagnostics))


def _excerpt(source: Source, primary: Sequence[Label], also: Sequence[Label], width: int) -> list[str]:
    marked = [(label, "^") for label in primary] + [(label, "-") for label in also]
    mine = sorted((m for m in marked if m[0].span.source == source), key=lambda m: m[0].span.start)
    first = next((label for label, mark in mine if mark == "^"), mine[0][0])
    pad = " " * width
    lines = [f"{pad}--> {first.span}", f"{pad} |"]
    shown = (0, 0)
    for label, mark in mine:
        span = label.span
        text, begin = _window(span)
        before = text[: span.column - 1 - begin]
        covered = text[: span.column - 1 - begin + span.end - span.start].rstrip()
        if (span.line, begin) != shown:
            if shown[0] and span.line > shown[0] + 1:
                lines.append("...")
            lines.append(f"{span.line:>{width}} | {printable(text.expandtabs(4))}")
            shown = (span.line, begin)
        start = _cells(before)
        lines.append(f"{pad} | {' ' * start}{mark * max(1, _cells(covered) - start)} {label.text}".rstrip())
    return lines


LONG_LINE = 240
"""Of a longer line only a part is shown."""


def _window(span: Span) -> tuple[str, int]:
    """The part of a span's line that is worth seeing, and how many characters stand before it."""
    text = masked_line(span.line_text())
    if len(text) <= LONG_LINE:
        return text, 0
    begin = max(0, span.column - 1 - LONG_LINE // 4)
    return text[begin : begin + LONG_LINE], begin


def _cells(text: str) -> int:
    """How many columns of a terminal a text takes when it is shown."""
    shown = printable(text.expandtabs(4))
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in shown)


def printable(line: str) -> str:
    """The line with control characters made visible: specs are hostile, and these must not reach a terminal."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)
