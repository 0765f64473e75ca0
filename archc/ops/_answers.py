"""Final answers: finding them in a text and making equal ones look equal. Pure functions, linear in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, TypeVar

MOST_READ = 20_000
"""How many characters of a text are searched."""

T = TypeVar("T")


def _pick(found: list[T], last: bool) -> T | None:
    return found[-1 if last else 0] if found else None


# ---- numbers

_NUMBER = re.compile(
    r"""(?<![A-Za-z_0-9./\\]) (?: (?<![)\]}]) [-+] )? \$? (?: (?<=\$) - )?
    (?: [0-9]{1,3} (?:,[0-9]{3})+ (?![0-9]) (?:\.[0-9]+)? | (?<![0-9],) [0-9]+,[0-9]{1,2} (?!,?[0-9]|\.[0-9])
      | [0-9]+ (?:\.[0-9]+)? | \.[0-9]+ )
    (?:[eE][-+]?[0-9]+)? (?:\s?/\s?[0-9]++ (?![/.][0-9]))?""",
    re.VERBOSE,
)
_VALUE = re.compile(r"([-+]?)([0-9]*)(?:\.([0-9]*))?(?:e([-+]?[0-9]+))?(?:/([0-9]+))?")
_MARK = re.compile(r"answer[*_\"]*\s*(?:is\b|:)|\#{4}|\\boxed\b", re.IGNORECASE)
_EQUATION = re.compile(r"\W*+(?:[A-Za-z]+\b)?(?:[^A-Za-z,;:.]|[.,](?=[0-9]))*=")
_POWER = re.compile(r"\s{0,4}(?:×|\\times|\\cdot|\*)\s*10\s*(?:\^|\*\*)\s*\{?\s*([-+]?[0-9]+)\}?")
_BLANK = re.compile(r"\s*")
_WINDOW = 200
"""How many characters after a mark a number may begin."""
_MOST_DIGITS = 1_000


def plain(text: str) -> str:
    """Numbers without LaTeX: `\\frac{3}{4}` is `3/4`, `1{,}000` is `1,000`, `2 \\times 10^3` is `2e3`."""
    if "\\" not in text and "−" not in text and "×" not in text and "*" not in text:
        return text.replace("{,}", ",")
    text = re.sub(r"\\[dtc]?frac\{\s*(-?[0-9]+)\s*\}\{\s*([0-9]+)\s*\}", r"\1/\2", text.replace("−", "-"))
    text = re.sub(r"\\[,!]", "", text.replace("{,}", ",").replace("\\$", "$").replace("\\%", "%"))
    return _POWER.sub(r"e\1", text)


def number(text: str, last: bool) -> str | None:
    """A number after a mark on the same line (the result, if an equation stands there), else any."""
    text = plain(text)
    found = next(_marked(text, last), None)
    return found or _pick([m[0] for m in _NUMBER.finditer(text)], last)


def _marked(text: str, last: bool) -> Iterator[str]:
    """The numbers that follow a mark on its line, or on the next if nothing is left of it."""
    marks = list(_MARK.finditer(text))
    for mark in reversed(marks) if last else marks:
        blank = _BLANK.match(text, mark.end())
        start = blank.end() if blank else mark.end()
        line = text.find("\n", start)
        stop = min(start + _WINDOW, line if line >= 0 else len(text))
        equation = _EQUATION.match(text, start, stop)
        near = (equation and _NUMBER.search(text, equation.end(), stop)) or _NUMBER.search(text, start, stop)
        if near:
            yield (_NUMBER.match(text, near.start()) or near)[0]


def number_key(text: str) -> str | None:
    """The value: `18`, `18.0` and `1.8e1` have the same; None if the text is not one number."""
    match = _NUMBER.fullmatch(text.strip().rstrip(".%").strip())
    if not match:
        return None
    digits = re.sub(r"[$\s]", "", match[0]).lower()
    digits = re.sub(r",(?=[0-9]{3})", "", digits).replace(",", ".")
    if digits.isdecimal() and len(digits) <= _MOST_DIGITS:
        return str(int(digits))
    value = _VALUE.fullmatch(digits)
    if not value or len(digits) > _MOST_DIGITS:
        return digits
    sign, whole, part, power, below = (group or "" for group in value.groups())
    mantissa = (whole + part).strip("0")
    if below and not int(below):
        return digits
    if not mantissa:
        return "0"
    exponent = int(power or 0) + len(whole + part) - len((whole + part).rstrip("0")) - len(part)
    sign = "-" if sign == "-" else ""
    if abs(exponent) > _MOST_DIGITS:
        return f"{sign}{mantissa}e{exponent}" + (f"/{below}" if below else "")
    return sign + str(int(mantissa) * Fraction(10) ** exponent / int(below or 1))


# ---- letters


def letter(text: str, last: bool, choices: str) -> str | None:
    """A capital after a mark, else in brackets or bold, else alone and not a word of the language."""
    one = f"([{choices}])"
    ways = (
        rf"(?:(?i:answer)[*_\"]{{0,4}}\s{{0,9}}(?:(?i:is)\b|:)|\#{{4}}|\\boxed\b)[\s*_({{\[\\\"':]{{0,9}}"
        rf"(?:(?:text|mathrm|textbf)\{{)?(?:(?i:option|choice)\s{{1,9}})?[*_(\[]{{0,4}}{one}(?![\w'])",
        rf"\({one}\)|\*\*{one}[.:]?\*\*",
        rf"(?<![\w']){one}(?![\w'])(?!(?<=[AI])\s+(?!(?:is|was)\b)[a-z])",
    )
    for way in ways:
        found = [next(g for g in m.groups() if g) for m in re.finditer(way, text)]
        if found:
            return _pick(found, last)
    return None


# ---- LaTeX boxes

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BOX = re.compile(r"\\(?:boxed|fbox)(?:\s*(\{)|\s+([^\s${}]+))")


def boxed(text: str, last: bool) -> str | None:
    """What a box holds, with its inner braces; a box that is not closed does not count."""
    closing: dict[int, int] = {}
    open_: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            open_.append(brace.start())
        elif brace[0] == "}" and open_:
            closing[open_.pop()] = brace.start()
    found = [m[2] or text[m.end() : closing[m.start(1)]] for m in _BOX.finditer(text) if m[2] or m.start(1) in closing]
    return _pick([f.strip() for f in found if f.strip()], last)


def _latex_key(text: str) -> str:
    """The usual normal form of MATH answers; numbers by value."""
    text = re.sub(r"\\text\{\s[^{}]*\}$", "", re.sub(r"\\left\b|\\right\b|\\?\$|\\?%|\\[,!;: ]", "", text.strip()))
    text = re.sub(r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\[dtc]frac", r"\\frac", text).replace("^{\\circ}", "").replace("^\\circ", "")
    text = re.sub(r"\\frac([0-9])([0-9])", r"\\frac{\1}{\2}", re.sub(r"\s", "", text).rstrip("."))
    text = re.sub(r"^[a-zA-Z]{1,2}=", "", text)
    return number_key(plain(text)) or text


# ---- code and JSON

_OPENING = re.compile(r"\s*(`{3,})[^`]*")


def code(text: str, last: bool) -> str | None:
    """A fenced block that is closed."""
    found: list[str] = []
    ticks, start = "", 0
    lines = text.splitlines()
    for at, line in enumerate(lines):
        mark = line.strip()
        if not ticks:
            opening = _OPENING.fullmatch(line)
            ticks, start = (opening[1], at + 1) if opening else ("", 0)
        elif mark.startswith(ticks) and not mark.strip("`"):
            found.append("\n".join(lines[start:at]))
            ticks = ""
    return _pick([block for block in found if block.strip()], last)


def _code_key(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


_JSON_START = re.compile(r"[{\[]")


def json_value(text: str, last: bool) -> str | None:
    """A JSON object or list; numbers that JSON does not have are refused, and nesting beyond reason ends the search."""
    found: list[str] = []
    at = 0
    decoder = json.JSONDecoder(parse_constant=_refused)
    while match := _JSON_START.search(text, at):
        try:
            value, at = decoder.raw_decode(text, match.start())
            _json_dumps(value)
            found.append(text[match.start() : at])
        except ValueError:
            at = match.start() + 1
        except RecursionError:
            break
    return _pick(found, last)


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _json_dumps(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


# ---- patterns


def by_pattern(pattern: re.Pattern[str], text: str, last: bool) -> str | None:
    """Group 1 if there is one, else the whole match."""
    found = [(m[1] if pattern.groups else m[0]) or "" for m in pattern.finditer(text)]
    return _pick([f.strip() for f in found if f.strip()], last)


def _loose_key(text: str) -> str:
    return number_key(plain(text)) or " ".join(text.split())


FINDERS: dict[str, Callable[[str, bool], str | None]] = {
    "number": number,
    "boxed": boxed,
    "code": code,
    "json": json_value,
}
KEYS: dict[str, Callable[[str], str]] = {
    "number": lambda text: number_key(text) or text,
    "letter": str,
    "boxed": _latex_key,
    "code": _code_key,
    "regex": _loose_key,
    "json": lambda text: _json_dumps(json.loads(text)),
}
