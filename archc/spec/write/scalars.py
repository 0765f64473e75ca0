"""Scalars as both surface forms write them: constants and strings in double quotes."""

from __future__ import annotations

import math
import re

from archc import errors
from archc.diagnostics import SpecError
from archc.spec.located import Leaf

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
    """The text of a number, of a truth value or of nothing. Raises SpecError for a number that is not finite."""
    match leaf.value:
        case None:
            return "null"
        case bool():
            return "true" if leaf.value else "false"
        case float() if not math.isfinite(leaf.value):
            raise SpecError(errors.CannotWrite(span=leaf.span, what="a number that is not finite"))
        case _:
            return repr(leaf.value)


def reads_well_as_lines(value: object) -> bool:
    """Whether a value is a text of several lines of which nothing is hidden, such as blanks at the end of one."""
    if not isinstance(value, str) or "\n" not in value or value.endswith("\n\n") or not value.strip("\n"):
        return False
    is_plain = value.replace("\n", "").replace("\t", "").isprintable()
    return is_plain and not re.match(r"\n*[ \t]", value) and not re.search(r"[ \t](\n|\Z)", value)
