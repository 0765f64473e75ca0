"""Final answers: finding them in a text and making equal ones look equal. Pure functions, linear in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from re import _constants, _parser  # type: ignore[attr-defined]  # typeshed lacks the parser that `re` itself uses
from typing import Any, TypeVar

MOST_READ = 20_000
"""How many characters of a text are searched."""

T = TypeVar("T")


def _pick(found: list[T], last: bool) -> T | None:
    return found[-1 if last else 0] if found else None


# ---- numbers

_NUMBER = re.compile(
    r"""(?<![A-Za-z_0-9./\\]) (?: (?<![)\]}]) [-+] )? \$? (?: (?<=\$) - )?
    (?: [0-9]{1,3} (?:,[0-9]{3})+ (?![0-9]) (?:\.[0-9]+)? | (?<![0-9],) [0-9]+,[0-9]{1,2} (?![0-9,.])
      | [0-9]+ (?:\.[0-9]+)? | \.[0-9]+ )
    (?:[eE][-+]?[0-9]+)? (?:\s?/\s?[0-9]+ (?![0-9]*[/.][0-9]))?""",
    re.VERBOSE,
)
_VALUE = re.compile(r"([-+]?)([0-9]*)(?:\.([0-9]*))?(?:e([-+]?[0-9]+))?(?:/([0-9]+))?")
_MARK = re.compile(r"answer[*_\"]*\s*(?:is\b|:)|\#{4}|\\boxed\b", re.IGNORECASE)
_EQUATION = re.compile(r"(?:[^,;(\n=]|,(?=[0-9]))*=(?!.*=.*[,;(])")
_POWER = re.compile(r"\s*(?:×|\\times|\\cdot|\*)\s*10\s*(?:\^|\*\*)\s*\{?\s*([-+]?[0-9]+)\}?")
_MOST_DIGITS = 1_000


def plain(text: str) -> str:
    """Numbers without LaTeX: `\\frac{3}{4}` is `3/4`, `1{,}000` is `1,000`, `2 \\times 10^3` is `2e3`."""
    text = re.sub(r"\\[dtc]?frac\{\s*(-?[0-9]+)\s*\}\{\s*([0-9]+)\s*\}", r"\1/\2", text.replace("−", "-"))
    text = re.sub(r"\\[,!]", "", text.replace("{,}", ",").replace("\\$", "$").replace("\\%", "%"))
    return _POWER.sub(r"e\1", text)


def number(text: str, last: bool) -> str | None:
    """A number after a mark on the same line (the result, if an equation stands there), else any."""
    text = plain(text)
    marked = [n for window in _windows(text) if (n := _first_number(window))]
    return _pick(marked or [m[0] for m in _NUMBER.finditer(text)], last)


def _windows(text: str) -> Iterator[str]:
    """What follows each mark, up to the end of the line."""
    for mark in _MARK.finditer(text):
        end = text.find("\n", mark.end() + len(text[mark.end() :]) - len(text[mark.end() :].lstrip()))
        yield text[mark.end() : end if end >= 0 else len(text)]


def _first_number(window: str) -> str | None:
    match = _NUMBER.search(window)
    return match[0] if match else None


def number_key(text: str) -> str | None:
    """The value: `18`, `18.0` and `1.8e1` have the same; None if the text is not one number."""
    match = _NUMBER.fullmatch(text.strip().rstrip(".%").strip())
    if not match:
        return None
    digits = re.sub(r"[$\s]", "", match[0]).lower()
    digits = re.sub(r",(?=[0-9]{3})", "", digits).replace(",", ".")
    value = _VALUE.fullmatch(digits)
    if not value or len(digits) > _MOST_DIGITS:
        return digits
    sign, whole, part, power, below = (group or "" for group in value.groups())
    mantissa = (whole + part).lstrip("0")
    exponent = int(power or 0) - len(part)
    if not mantissa or (below and not int(below)):
        return "0" if not mantissa and (not below or int(below)) else digits
    sign = "-" if sign == "-" else ""
    if abs(exponent) > _MOST_DIGITS:
        short = mantissa.rstrip("0")
        return f"{sign}{short}e{exponent + len(mantissa) - len(short)}" + (f"/{below}" if below else "")
    return sign + str(Fraction(int(mantissa)) * Fraction(10) ** exponent / Fraction(int(below or 1)))


# ---- letters


def letter(text: str, last: bool, choices: str) -> str | None:
    """A capital after a mark, else in brackets or bold, else alone and not a word of the language."""
    one = f"([{choices}])"
    ways = (
        rf"(?:(?i:answer)[*_]*\s*(?:(?i:is)\b|:)|\#{{4}}|\\boxed\b)[\s*_({{\[\\\"':]*(?:(?:text|mathrm)\{{)?"
        rf"(?:(?i:option|choice)\s+)?[*_(\[]*{one}(?![\w'])",
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
    found = [
        m[2] or text[m.end() : closing[m.start(1)]] for m in _BOX.finditer(text) if m[2] or m.start(1) in closing
    ]
    return _pick([f.strip() for f in found if f.strip()], last)


def _latex_key(text: str) -> str:
    """The usual normal form of MATH answers; numbers by value."""
    value = number_key(plain(text.replace("$", "").replace("\\left", "").replace("\\right", "")))
    if value is not None:
        return value
    text = re.sub(r"\\text\{\s[^{}]*\}$", "", re.sub(r"\\left\b|\\right\b|\\?\$|\\?%|\\[,!;: ]", "", text.strip()))
    text = re.sub(r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\[dtc]frac", r"\\frac", text).replace("^{\\circ}", "").replace("^\\circ", "")
    text = re.sub(r"\\frac([0-9])([0-9])", r"\\frac{\1}{\2}", re.sub(r"\s", "", text).rstrip("."))
    text = re.sub(r"^[a-zA-Z]{1,2}=", "", text)
    return number_key(plain(text)) or text


# ---- code and JSON

_BLOCK = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)


def code(text: str, last: bool) -> str | None:
    """A fenced block that is closed."""
    return _pick([m[1].strip("\n") for m in _BLOCK.finditer(text) if m[1].strip()], last)


def _code_key(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def json_(text: str, last: bool) -> str | None:
    """A JSON object or list; numbers that JSON does not have are refused."""
    found, at, tries = [], 0, 0
    decoder = json.JSONDecoder(parse_constant=_refused)
    while (match := re.compile(r"[{\[]").search(text, at)) and tries < MOST_READ:
        tries += 1
        try:
            value, at = decoder.raw_decode(text, match.start())
            _json_dumps(value)
            found.append(text[match.start() : at])
        except (ValueError, RecursionError):
            at = match.start() + 1
    return _pick(found, last)


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _json_dumps(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


# ---- patterns


def check_pattern(pattern: str) -> None:
    """Raises ValueError for a pattern that is not one, or whose search could take exponential time."""
    try:
        re.compile(pattern)
        tree = _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"`{pattern}` is not a regular expression: {error}") from None
    if _risky(tree, inside=False):
        raise ValueError(
            f"`{pattern}` has a repeat or an alternative inside a repeat, which can take forever on some texts; "
            "write it without, for example `[ab]+` instead of `(a|b)+`"
        )


def _risky(tree: Any, inside: bool) -> bool:
    for kind, details in tree:
        low, high = details[:2] if kind in _REPEATS else (1, 1)
        if inside and (low != high or kind is _constants.BRANCH):
            return True
        if any(_risky(part, inside or high > 1) for part in _parts(details)):
            return True
    return False


_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)


def _parts(details: Any) -> Iterator[Any]:
    """The parsed patterns within the details of one element."""
    if isinstance(details, _parser.SubPattern):
        yield details
    elif isinstance(details, (tuple, list)):
        for part in details:
            yield from _parts(part)


def by_pattern(pattern: re.Pattern[str], text: str, last: bool) -> str | None:
    """Group 1 if there is one, else the whole match."""
    found = [(m[1] if pattern.groups else m[0]) or "" for m in pattern.finditer(text)]
    return _pick([f.strip() for f in found if f.strip()], last)


def _loose_key(text: str) -> str:
    return number_key(plain(text)) or " ".join(text.split())


KEYS: dict[str, Callable[[str], str]] = {
    "number": lambda text: number_key(text) or text,
    "letter": str,
    "boxed": _latex_key,
    "code": _code_key,
    "regex": _loose_key,
    "json": lambda text: _json_dumps(json.loads(text)),
}
