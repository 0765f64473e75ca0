"""A hole: one choice by its path, the options it offers, and how a value names one of them."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from archc.source import Span
from archc.spec.located import Choice, Leaf, Listing, Located, Scalar, Table
from archc.spec.space import ranges

Value = Scalar
"""What a choice is closed with: the option itself where it is a scalar, else its label."""
Pick = int | float
"""A whole number is the position of an option, a float the number of a continuous range."""


@dataclass(frozen=True, slots=True)
class Hole:
    """An open choice."""

    path: str
    choice: Choice
    labels: tuple[str, ...]
    """A short text for each option, no two alike; none for a range."""
    under: tuple[tuple[str, int], ...] = ()
    """The options, as path and position, that must have been taken for it to be there; the nearest last."""
    param: str = ""
    """The parameter it gives; empty elsewhere."""

    @property
    def span(self) -> Span:
        """Where it is written."""
        return self.choice.span

    @property
    def options(self) -> int | None:
        """How many options there are; None between real numbers."""
        return ranges.size(self.choice.range) if self.choice.range else len(self.labels)

    def value(self, pick: Pick) -> Value:
        """The value that names a pick; `pick` takes it back."""
        if self.choice.range:
            return ranges.number_at(self.choice.range, pick) if isinstance(pick, int) else pick
        option, label = self.choice.options[int(pick)], self.labels[int(pick)]
        if label in _ON:
            return label == "true"
        return option.value if isinstance(option, Leaf) and not label.startswith("#") else label

    def label(self, pick: Pick) -> str:
        """The short text of a pick."""
        return value_text(self.value(pick))

    def offer(self) -> str:
        """All options in one line."""
        if self.choice.range:
            return ranges.range_text(self.choice.range)
        more = f" | … ({len(self.labels):,} options)" if len(self.labels) > _SHOWN else ""
        return " | ".join(self.labels[:_SHOWN]) + more

    def as_json(self) -> dict[str, object]:
        """A JSON-ready form."""
        of = self.choice.range
        return {
            "path": self.path,
            "count": self.options,
            "options": None if of else list(self.labels),
            "range": {"lo": of.lo, "hi": of.hi, "step": of.step} if of else None,
            "under": [{"path": path, "option": option + 1} for path, option in self.under],
            "line": self.span.line,
            "column": self.span.column,
        }

    def first(self) -> Pick:
        """Its first option, or its least number."""
        of = self.choice.range
        return float(of.lo) if of and of.step is None else 0

    def pick(self, value: Value) -> Pick | None:
        """The option that a value names: by its label, its position as `#2`, or the value itself."""
        if not isinstance(value, str):
            if value is None or isinstance(value, bool):
                return self.pick(value_text(value))
            return self._numbered(value)
        if value in self.labels:
            return self.labels.index(value)
        position = _POSITION.fullmatch(value)
        if position and int(position[1]) <= (self.options or 0):
            return int(position[1]) - 1
        same = (i for i, o in enumerate(self.choice.options) if isinstance(o, Leaf) and o.value == value)
        number = ranges.read_number(value)
        return next(same, None if number is None else self._numbered(number))

    def _numbered(self, number: ranges.Number) -> Pick | None:
        of = self.choice.range
        if of and of.step is None:
            return float(number) if of.lo <= number <= of.hi else None
        if of:
            return ranges.index_of(of, number)
        numbers = ((i, o.value) for i, o in enumerate(self.choice.options) if isinstance(o, Leaf))
        return next((i for i, n in numbers if n == number and not isinstance(n, bool)), None)


_ON = ("true", "false")
_SHOWN = 12
_POSITION = re.compile("#([1-9][0-9]{0,17})")


def assignment(path: str, value: Value) -> str:
    """As an argument of the command line, to be pasted into a shell."""
    return f"--choose {shlex.quote(f'{path}={value_text(value)}')}"


def value_text(value: Value) -> str:
    """A value as it is written."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case _:
            return str(value)


# ---- labels


def option_labels(options: Sequence[Located], are_stages: bool = False) -> tuple[str, ...]:
    """A short text for each option; where two are alike, or like a position, the position: `#2`."""
    labels = [_stages(o, False) if are_stages else _label(o) for o in options]
    if are_stages:
        alike = Counter(labels)
        labels = [_stages(o, True) if alike[text] > 1 else text for o, text in zip(options, labels, strict=True)]
    alike = Counter(labels)
    return tuple(f"#{i}" if alike[t] > 1 or t.startswith("#") else t for i, t in enumerate(labels, 1))


def _label(value: Located) -> str:
    match value:
        case Leaf():
            return _short(value_text(value.value))
        case Listing(items=items):
            return _short(",".join(map(_label, items)) or "[]")
        case Table(entries=entries):
            return _short(",".join(f"{e.key}:{_label(e.value)}" for e in entries) or "{}")
        case Choice(options=options, range=numbers):
            return ranges.range_text(numbers) if numbers else _short("/".join(map(_label, options)))


def _stages(value: Located, with_arguments: bool, is_layer: bool = False) -> str:
    """Steps in short: `write_tests-evaluate` one after the other, `generate+generate` side by side."""
    match value:
        case Table(entries=(step, *_)):
            values = step.value.entries if isinstance(step.value, Table) else (step,)
            given = ",".join(_label(e.value) for e in values)
            return _short(f"{step.key}:{given}" if with_arguments and given else step.key)
        case Listing(items=items):
            inner = (_stages(item, with_arguments, not is_layer) for item in items)
            return _short(("+" if is_layer else "-").join(inner) or "none")
        case Choice(options=options) if options:
            return _short("/".join(_stages(o, with_arguments) for o in options))
        case _:
            return _label(value)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_LONGEST = 48
