"""Scalars as both surface forms write them: numbers, ranges and strings in double quotes."""

from __future__ import annotations

import math
import re

from archc import errors
from archc.diagnostics import SpecError
from archc.source import Span
from archc.spec.located import Leaf, Range

_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_WORTH_A_LOOK = re.compile(r"[^ !#-\[\]-~]")


def quoted(text: str) -> str:
    """The string in double quotes; what can't be seen is escaped."""
    return f'"{_WORTH_A_LOOK.sub(_escaped, text)}"'


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    if char in _ESCAPES:
        return _ESCAPES[char]
    return char if char.isprintable() or char > "\uffff" else f"\\u{ord(char):04x}"


def constant(leaf: Leaf) -> str:
    """The text of a number, of a truth value or of nothing."""
    match leaf.value:
        case None:
            return "null"
        case bool():
            return "true" if leaf.value else "false"
        case _:
            return number(leaf.value, leaf.span)


def number(value: object, span: Span) -> str:
    """The text of a number, which reads back as the same."""
    if isinstance(value, float) and not math.isfinite(value):
        raise SpecError(errors.CannotWrite(span=span, what="a number that is not finite"))
    return repr(value)


def range_text(of: Range, span: Span) -> str:
    """A range as it is written: `1..10`, `0.0..1.0 step 0.25`."""
    text = f"{number(of.lo, span)}..{number(of.hi, span)}"
    if of.step is None or (of.step == 1 and isinstance(of.step, int) and isinstance(of.lo, int)):
        return text
    return f"{text} step {number(of.step, span)}"


def reads_well_as_lines(value: object) -> bool:
    """Whether a value is a text of several lines of which nothing is hidden, such as blanks at the end of one."""
    if not isinstance(value, str) or "\n" not in value or value.endswith("\n\n") or not value.strip("\n"):
        return False
    is_plain = value.replace("\n", "").replace("\t", "").isprintable()
    return is_plain and not re.match(r"\n*[ \t]", value) and not re.search(r"[ \t](\n|\Z)", value)
