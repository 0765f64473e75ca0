"""Literals: the numbers and strings that `.arch` and conditions share."""

from __future__ import annotations

import math
import re

LONGEST = 40
"""Characters of a number."""

_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.?))", re.DOTALL)
_MEANS = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def number(text: str) -> int | float:
    """The value of a number or a percentage. Raises ValueError with what is wrong with it."""
    if len(text) > LONGEST:
        raise ValueError(f"a number has at most {LONGEST} characters")
    digits = text.replace("_", "")
    if digits.isdecimal():
        return int(digits)
    value = float(digits.replace("%", "e-2"))
    if not math.isfinite(value):
        raise ValueError("this number is too large")
    return value


def string(text: str) -> str:
    """What a string between quotes says. Raises ValueError with what is wrong with it."""
    if text.startswith('"""'):
        return dedented(text[3:-3].replace("\r\n", "\n")).replace('\\"""', '"""')
    return _ESCAPE.sub(_unescaped, text[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    code, char = match[1], match[2]
    if code:
        if 0xD800 <= int(code, 16) <= 0xDFFF:
            raise ValueError(f"`\\u{code}` is half a character; write the character itself")
        return chr(int(code, 16))
    if char not in _MEANS:
        raise ValueError(f"`\\{char}` is no escape; write `\\\\` for a backslash")
    return _MEANS[char]


def dedented(text: str) -> str:
    """The text from its first line break on, without the margin that its lines share with the closing quotes."""
    head, newline, body = text.partition("\n")
    if head.strip() or not newline:
        return text
    lines = body.split("\n")
    counted = [line for line in lines[:-1] if line.strip()] + lines[-1:]
    margin = _margin(counted[0])
    for line in counted[1:]:
        margin = _shared(margin, _margin(line))
    return "\n".join(line.removeprefix(margin) if line.strip() else line[len(margin) :] for line in lines)


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _shared(one: str, two: str) -> str:
    length = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    return one[:length]
