"""Slips: the mistakes of form that conditions and files share."""

from __future__ import annotations

import re
from collections.abc import Callable

from archc.spec.arch.outline import Mistake
from archc.spec.arch.sketch import COMPARES, LOGIC, Place, Word

Rule = Callable[[Place], Mistake | None]


def at_word(
    word: Word, problem: str, hint: str = "", here: str = "here", also: tuple[Word, str] | None = None
) -> Mistake:
    """The mistake that a word is, with another word worth seeing."""
    labels = ((also[0].start, also[0].end, also[1]),) if also else ()
    return Mistake(word.start, max(word.end, word.start + 1), problem, hint, here, labels)


def _foreign_logic(place: Place) -> Mistake | None:
    meant = {"&&": "and", "||": "or", "&": "and", "|": "or", "!": "not"}.get(place.at.kind)
    if meant is None or (len(place.at.text) == 1 and meant != "not" and not place.in_condition):
        return None
    if place.at.kind == "!" and place.after.text == "choice":
        return at_word(place.at, "`!choice` belongs to YAML", "write `{1 | 2 | 4}`, or a range: `{1..10}`")
    if place.at.kind == "&&" and not place.in_condition:
        return at_word(
            place.at, "branches side by side are joined by `&`, not `&&`", "write `&`; conditions have `and`"
        )
    if place.at.kind == "||" and not place.in_condition:
        return at_word(place.at, "alternatives are separated by `|`, not `||`", "write `|`; conditions have `or`")
    return at_word(place.at, f"conditions have `{meant}`, not `{place.at.text}`", f"write `{meant}`")


def _foreign_comparison(place: Place) -> Mistake | None:
    if place.at.kind in ("===", "!==", "<>"):
        right = "==" if place.at.kind == "===" else "!="
        return at_word(place.at, f"values are compared with `{right}`, not `{place.at.text}`", f"write `{right}`")
    is_assignment = place.at.kind in ("=", "key") and (place.in_condition or place.last.kind == "key")
    if not is_assignment or (place.in_values and place.last.kind in (",", "call")):
        return None
    sign = place.at if place.at.kind == "=" else place.at._replace(start=place.at.end - 1)
    return at_word(sign, "values are compared with `==`, not `=`", "write `==`")


def _chained(place: Place) -> Mistake | None:
    if place.at.kind not in COMPARES:
        return None
    for word in place.clause:
        if word.kind in COMPARES:
            hint = "compare twice: `1 < k and k < 4`"
            return at_word(place.at, "comparisons cannot be chained", hint, "the second one", (word, "the first one"))
        if word.text in LOGIC or word.kind == "(":
            break
    return None


def _misspelt_literal(place: Place) -> Mistake | None:
    at = place.at
    if at.kind == "'":
        return at_word(at, "strings stand in double quotes", 'write `"…"`')
    if at.kind == "$":
        hint = 'put it in quotes: `"${VAR}"`' if place.after.kind == "{" else "a parameter is written `$name`"
        return at_word(at, "a `$` stands before the name of a parameter", hint)
    if at.kind == "number" and not re.fullmatch(r"[0-9](_?[0-9])*(\.[0-9]+)?(%|[eE][0-9]{1,3})?", at.text):
        return at_word(
            at, f"`{at.text}` is not a number", "write it like 64, 200_000, 0.8, 1e-3 or 80%", "not a number"
        )
    if at.kind == "//":
        return at_word(at, "comments begin with `#`, not `//`", "write `#`")
    return None


SLIPS: tuple[Rule, ...] = (_foreign_logic, _foreign_comparison, _chained, _misspelt_literal)
"""Each knows one mistake."""
