"""Ranges: reading one, and its numbers. Steps are decimal: the fourth number of `0..1 step 0.1` is 0.3."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from archc import errors
from archc.diagnostics import Diagnostic
from archc.source import Span
from archc.spec.located import Range

Number = int | float

_NUMBER = r"[-+]?[0-9](?:_?[0-9])*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})(?:\s+step\s+({_NUMBER}))?\s*\Z")
_LONGEST = 40
"""Digits of a number, as elsewhere."""


def read_range(text: str, span: Span) -> Range | Diagnostic:
    """The range that a text like `1..10` or `0.0..1.0 step 0.25` says, or what is wrong with it."""
    match = _RANGE.match(text)
    if not match or any(len(part or "") > _LONGEST for part in match.groups()):
        return errors.BadRange(span=span, problem="a range has the form `1..10`, `0.2..1.0` or `64..256 step 64`")
    lo, hi, step = (None if part is None else _number(part) for part in match.groups())
    assert lo is not None
    assert hi is not None
    return made_range(lo, hi, step, span)


def read_number(text: str) -> Number | None:
    """The finite number that a text is."""
    if len(text) > _LONGEST or not re.fullmatch(_NUMBER, text):
        return None
    number = _number(text)
    return number if math.isfinite(number) else None


def made_range(lo: Number, hi: Number, step: Number | None, span: Span) -> Range | Diagnostic:
    """The range of these numbers, or what is wrong with it. Between whole numbers the step is 1 if none is given."""
    if step is None and isinstance(lo, int) and isinstance(hi, int):
        step = 1
    if not all(math.isfinite(number) for number in (lo, hi, step or 0)):
        return errors.BadRange(span=span, problem="its numbers must be finite")
    if lo > hi:
        return errors.BadRange(span=span, problem=f"{lo} is more than {hi}", hint=f"write `{hi}..{lo}`")
    if step is not None and step <= 0:
        return errors.BadRange(span=span, problem="the step must be more than 0", hint=f"write `{lo}..{hi}`")
    return Range(lo, hi, step)


def _number(text: str) -> Number:
    plain = text.replace("_", "")
    return int(plain) if plain.lstrip("+-").isdecimal() else float(plain)


def size(of: Range) -> int | None:
    """How many numbers a range has; None where all real numbers between count."""
    if of.step is None:
        return None
    if isinstance(of.lo, int) and isinstance(of.hi, int) and isinstance(of.step, int):
        return (of.hi - of.lo) // of.step + 1
    return (_exact(of.hi) - _exact(of.lo)) // _exact(of.step) + 1


def number_at(of: Range, index: int) -> Number:
    """The number at a position, from 0."""
    assert of.step is not None
    if isinstance(of.lo, int) and isinstance(of.step, int):
        return of.lo + index * of.step
    return float(_exact(of.lo) + index * _exact(of.step))


def index_of(of: Range, number: Number) -> int | None:
    """The position of a number; None if the range does not have it."""
    assert of.step is not None
    if not of.lo <= number <= of.hi:
        return None
    steps = (_exact(number) - _exact(of.lo)) / _exact(of.step)
    return int(steps) if steps.denominator == 1 else None


def range_text(of: Range) -> str:
    """As it is written."""
    step = "" if of.step is None or (of.step == 1 and isinstance(of.lo, int)) else f" step {of.step}"
    return f"{of.lo}..{of.hi}{step}"


def _exact(number: Number) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))
