"""Advice: what is wrong where a text leaves the grammar, in the words of who wrote it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

from archc.spec.grammar import CONTROL, KEYWORDS, STATEMENTS, Unexpected
from archc.spec.outline import Mistake
from archc.spec.sketch import COMPARES, LOGIC, OPENS, SHUTS, Place, Word, sketch


def advice(text: str, error: Unexpected, start: int = 0, is_condition: bool = False) -> Mistake:
    """The mistake at a place where the grammar knows no way on; `start` is where reading began."""
    place = sketch(text, error, start, is_condition)
    rules = _EVERYWHERE if is_condition else (*_EVERYWHERE, *_OF_FILES)
    return next(mistake for rule in (*rules, _anything) if (mistake := rule(place)))


_ARROWS = {"|>", ">>", "=>", "~>", "-->", "→", "⇒", "⟶"}

# ---- rules: each knows one mistake


def _at(word: Word, problem: str, hint: str = "", here: str = "here", also: tuple[Word, str] | None = None) -> Mistake:
    labels = ((also[0].start, also[0].end, also[1]),) if also else ()
    return Mistake(word.start, max(word.end, word.start + 1), problem, hint, here, labels)


def _foreign_logic(place: Place) -> Mistake | None:
    meant = {"&&": "and", "||": "or", "&": "and", "|": "or", "!": "not"}.get(place.at.kind)
    if meant is None or (len(place.at.text) == 1 and meant != "not" and not place.in_condition):
        return None
    if place.at.kind == "!" and place.after.text == "choice":
        return _at(place.at, "`!choice` belongs to YAML", "write `{1 | 2 | 4}`, or a range: `{1..10}`")
    if place.at.kind == "&&" and not place.in_condition:
        return _at(place.at, "branches side by side are joined by `&`, not `&&`", "write `&`; conditions have `and`")
    if place.at.kind == "||" and not place.in_condition:
        return _at(place.at, "alternatives are separated by `|`, not `||`", "write `|`; conditions have `or`")
    return _at(place.at, f"conditions have `{meant}`, not `{place.at.text}`", f"write `{meant}`")


def _foreign_comparison(place: Place) -> Mistake | None:
    if place.at.kind in ("===", "!==", "<>"):
        right = "==" if place.at.kind == "===" else "!="
        return _at(place.at, f"values are compared with `{right}`, not `{place.at.text}`", f"write `{right}`")
    is_assignment = place.at.kind in ("=", "key") and (place.in_condition or place.last.kind == "key")
    if not is_assignment or (place.in_values and place.last.kind in (",", "call")):
        return None
    sign = place.at if place.at.kind == "=" else place.at._replace(start=place.at.end - 1)
    return _at(sign, "values are compared with `==`, not `=`", "write `==`")


def _chained(place: Place) -> Mistake | None:
    if place.at.kind not in COMPARES:
        return None
    for word in place.clause:
        if word.kind in COMPARES:
            hint = "compare twice: `1 < k and k < 4`"
            return _at(place.at, "comparisons cannot be chained", hint, "the second one", (word, "the first one"))
        if word.text in LOGIC or word.kind == "(":
            break
    return None


def _misspelt_literal(place: Place) -> Mistake | None:
    at = place.at
    if at.kind == "'":
        return _at(at, "strings stand in double quotes", 'write `"…"`')
    if at.kind == "$":
        hint = 'put it in quotes: `"${VAR}"`' if place.after.kind == "{" else "a parameter is written `$name`"
        return _at(at, "a `$` stands before the name of a parameter", hint)
    if at.kind == "number" and not re.fullmatch(r"[0-9](_?[0-9])*(\.[0-9]+)?(%|[eE][0-9]{1,3})?", at.text):
        return _at(at, f"`{at.text}` is not a number", "write it like 64, 200_000, 0.8, 1e-3 or 80%", "not a number")
    if at.kind == "//":
        return _at(at, "comments begin with `#`, not `//`", "write `#`")
    return None


def _arrow(place: Place) -> Mistake | None:
    at = place.at
    if at.kind in _ARROWS or (at.kind == "|" and not place.opened):
        hint = "write `->`" + ("; alternatives stand in braces: `{a | b}`" if at.kind == "|" else "")
        return _at(at, f"steps are joined by `->`, not `{at.text}`", hint)
    if at.kind == ">" and place.last.kind == "-":
        return _at(at, "steps are joined by `->`, in one piece", "write `->`")
    if at.kind == "->" and place.last.kind in {"->", "&", "|", "{", "(", "end", ","}:
        return _at(at, "a step is missing before this `->`", "name an op, or remove the arrow")
    return None


def _foreign_if(place: Place) -> Mistake | None:
    for word in (place.at, *place.clause[:_NEAR]):
        if word.name in ("if", "elif", "elsif") and word.kind in ("word", "call"):
            new = "when" if word.name == "if" else "else when"
            hint = "write `when agreement < 0.5 { … } else { … }`"
            return _at(word, f"a condition begins with `{new}`, not `{word.name}`", hint)
        if word.name in ("while", "for", "loop") and word.kind in ("word", "call"):
            hint = "write `repeat(times=3, until=agreement >= 80%) { … }`, or `each { … }` for every candidate"
            return _at(word, f"there is no `{word.name}`", hint)
    if place.before and place.at.kind == "{" and place.last.kind == ")":
        return _foreign_if_call(place)
    return None


_NEAR = 40


def _foreign_if_call(place: Place) -> Mistake | None:
    """`if(…) {`: the call is closed already."""
    depth = 0
    for index in range(len(place.before) - 1, -1, -1):
        word = place.before[index]
        depth += (word.kind in SHUTS) - (word.kind in OPENS)
        if depth == 0:
            if word.name not in ("if", "elif", "while", "for", "loop"):
                return None
            inner = Place(False, place.expected, place.before[:index], word)
            return _foreign_if(inner)
    return None


def _colon(place: Place) -> Mistake | None:
    at, last = place.at, place.last
    if at.kind != "field" or place.inside == "{":
        return None
    if place.inside == "call":
        return _at(at, "an argument is given with `=`, not `:`", f"write `{at.name}=…`")
    if last.text in ("model", "param", "let"):
        hint = f"write `{last.text} {at.name} = …`"
        return _at(at, f"`{last.text} {at.name}` is followed by `=`, not `:`", hint)
    if last.text == "budget" or (last.kind == "number" and not place.opened):
        return _at(at, "a limit is given with `=`, not `:`", f"write `{at.name}=…`")
    if at.name in _EXAMPLES:
        return _at(at, f"`{at.name}` is not followed by `:`", f"write `{_EXAMPLES[at.name]}`")
    return _at(at, "a `:` stands in tables only", f"elsewhere write `{at.name} = …`")


def _equals(place: Place) -> Mistake | None:
    at = place.at
    if at.kind != "key":
        return None
    if place.inside == "{" and place.in_values:
        return _at(at, "in a table a value follows `:`, not `=`", f"write `{at.name}: …`")
    if place.last.kind == "word" and place.last.text not in KEYWORDS and not place.in_values:
        return _unknown_statement(place)
    if place.in_values:
        return None
    hint = f"write `let {at.name} = …` to name a pipeline, `model {at.name} = …` for a model"
    return _at(at, f"`{at.name} =` has no word before it that says what it is", hint)


def _touching(place: Place) -> Mistake | None:
    at, last = place.at, place.last
    opener = at if at.kind == "(" else place.opened[-1][0] if place.inside == "(" else None
    if opener is None or not (at.kind in ("(", ",") or place.at.kind == "key"):
        return None
    index = len(place.before) if opener is at else place.before.index(opener)
    name = place.before[index - 1] if index else last
    if name.kind == "word" and name.text not in KEYWORDS:
        return _at(opener, "the `(` of a call touches its name", f"write `{name.text}(`", also=(name, "called here"))
    if at.kind == ",":
        return _at(at, "branches side by side are joined by `&`, not `,`", "write `(a & b)`")
    return None


def _separator(place: Place) -> Mistake | None:
    at = place.at
    if at.kind == "&" and place.inside != "(":
        return _at(at, "branches side by side stand in parentheses", "write `(a & b)`")
    if at.kind == "|" and place.inside != "{":
        return _at(at, "alternatives stand in braces", "write `{a | b}`")
    if at.kind == ";":
        return _at(at, "nothing ends a line here", "remove the `;`")
    return None


_ENDS_VALUE = {"word", "number", "string", ")", "]", "}"}
_STARTS_VALUE = {"word", "number", "string", "key", "field", "call", "[", "{", "$"}


def _comma(place: Place) -> Mistake | None:
    if not place.in_values or place.last.kind not in _ENDS_VALUE or place.at.kind not in _STARTS_VALUE:
        return None
    if place.last.text in KEYWORDS - LOGIC or place.at.text in KEYWORDS:
        return None
    return _at(place.at, f"a comma is missing before `{place.at.text}`", f"write `{place.last.text}, {place.at.text}`")


def _statement_too_late(place: Place) -> Mistake | None:
    at = place.at
    if at.text not in STATEMENTS or place.last.kind not in {*_ENDS_VALUE, "?"} or place.in_values:
        return None
    problem = "`let` stands before the steps of its block" if place.opened else "statements stand before the pipeline"
    return _at(at, problem, "move it up, above the first step", "after the first step")


def _unknown_statement(place: Place) -> Mistake | None:
    last, at = place.last, place.at
    earlier = place.before[-2] if len(place.before) > 1 else Word("end", "", 0, 0)
    if place.opened or last.kind != "word" or last.text in KEYWORDS or earlier.kind in {"->", "key", "="}:
        return None
    if at.kind not in ("word", "key", "string", "number", "field"):
        return None
    if earlier.kind == "word" and earlier.text in KEYWORDS:
        return None
    meant = _SYNONYMS.get(last.text) or next(iter(difflib.get_close_matches(last.text, STATEMENTS, 1, 0.6)), None)
    if meant:
        return _at(last, f"there is no statement `{last.text}`", f"did you mean `{meant}`?", "not a statement")
    if at.kind == "key":
        known = ", ".join(f"`{word}`" for word in STATEMENTS)
        return _at(last, f"there is no statement `{last.text}`", f"known here: {known}", "not a statement")
    return None


_SYNONYMS = {
    "name": "architecture",
    "arch": "architecture",
    "pipeline": "let",
    "def": "let",
    "var": "let",
    "const": "let",
    "set": "let",
    "limit": "budget",
    "assert": "require",
    "constraint": "require",
    "import": "use",
    "include": "use",
    "params": "param",
}


def _missing_arrow(place: Place) -> Mistake | None:
    at, last = place.at, place.last
    if place.in_values or last.kind not in {"word", ")", "}", "?", "string"} or last.text in KEYWORDS:
        return None
    if at.kind not in {"word", "call", "(", "{", "string"} or at.text in STATEMENTS:
        return None
    if at.text in KEYWORDS and at.text not in ("when", "use", *CONTROL):
        return None
    shown = at.text if at.kind in ("word", "string", "(", "{") else f"{at.name}(…)"
    return _at(at, "a `->` is missing before this step", f"write `-> {shown}`")


def _nothing(place: Place) -> Mistake | None:
    """A step or a value that is not there."""
    at, last = place.at, place.last
    if at.kind not in {"end", ")", "}", "]", ",", "->"} and at.text not in STATEMENTS:
        return None
    if last.kind in ("->", "&"):
        return _at(last, f"a step is missing after this `{last.text}`", "name an op, such as `rank(big)`")
    if last.kind in ("key", "field"):
        return _at(last, f"the value of `{last.name}` is missing", f"write a value after `{last.text}`")
    if last.text in _EXAMPLES:
        return _at(last, f"`{last.text}` is not finished", f"write `{_EXAMPLES[last.text]}`")
    if last.kind in COMPARES or last.kind in "+-*/" or last.text in LOGIC:
        return _at(last, f"a value is missing after `{last.text}`", "complete the condition")
    return None


_EXAMPLES = {
    "architecture": "architecture demo",
    "rules": "rules open",
    "param": "param k = 4",
    "model": 'model small = openai("Qwen/Qwen2.5-7B-Instruct")',
    "budget": "budget calls=64 tokens=200_000",
    "require": "require k <= 24",
    "let": "let drafts = generate(small, n=8)",
    "use": 'use "refine.yaml"',
    "when": "when agreement < 0.5 { … } else { … }",
}


def _missing_block(place: Place) -> Mistake | None:
    if "LBRACE" not in place.expected or (len(place.expected) > 3 and not place.in_condition):
        return None
    if place.last.text in CONTROL or place.last.text in ("do", "then", "else") or place.last.kind == ")":
        return _at(place.at, "a block is missing here", "write `{ … }` with the steps that are controlled")
    return None


def _keyword(place: Place) -> Mistake | None:
    at = place.at
    if at.text not in KEYWORDS or not {"NAME", "KEY"} & place.expected:
        return None
    return _at(at, f"`{at.text}` is a keyword", f'as a name or a value it stands in quotes: `"{at.text}"`', "a keyword")


def _anything(place: Place) -> Mistake:
    words = dict.fromkeys(_SHOWN[name] for name in _SHOWN if name in place.expected)
    hint = "expected " + _either(list(words)[:_MOST]) if words else ""
    if place.at.kind == "end":
        what = "the condition" if place.is_condition else "the text"
        return _at(
            place.at._replace(start=max(0, place.at.start - 1)), f"{what} ends too early", hint, "nothing follows"
        )
    return _at(place.at, f"`{_short(place.at.text)}` does not fit here", hint, "not expected")


_MOST = 5


def _short(text: str) -> str:
    return text if len(text) <= _NEAR and "\n" not in text else f"{text.splitlines()[0][:_NEAR]}…"


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


_SHOWN = {
    "RBRACE": "`}`",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "ARROW": "`->`",
    "COMMA": "`,`",
    "BAR": "`|`",
    "AND_ALSO": "`&`",
    "KEY": "`name =`",
    "FIELD": "`name:`",
    "CALL": "a step",
    "NUMBER": "a value",
    "NAME": "a name",
    "STRING": "a string",
    "AND": "`and`",
    "OR": "`or`",
    "COMPARE": "a comparison such as `>=`",
    "$END": "the end",
}

_Rule = Callable[[Place], Mistake | None]
_EVERYWHERE: tuple[_Rule, ...] = (_foreign_logic, _foreign_comparison, _chained, _misspelt_literal)
_OF_FILES: tuple[_Rule, ...] = (
    _foreign_if,
    _arrow,
    _colon,
    _equals,
    _touching,
    _separator,
    _unknown_statement,
    _statement_too_late,
    _nothing,
    _comma,
    _missing_arrow,
    _missing_block,
    _keyword,
)
