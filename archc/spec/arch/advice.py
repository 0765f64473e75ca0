"""Advice: what is wrong where a text leaves the grammar, in the words of who wrote it."""

from __future__ import annotations

import difflib

from archc.spec.arch.grammar import CONTROL, KEYWORDS, STATEMENTS, Unexpected
from archc.spec.arch.outline import Mistake
from archc.spec.arch.sketch import COMPARES, LOGIC, NOTHING, OPENS, SHUTS, Place, sketch
from archc.spec.arch.slips import SLIPS, Rule, at_word


def advice(text: str, error: Unexpected, start: int = 0, is_condition: bool = False) -> Mistake:
    """The mistake at a place where the grammar knows no way on; `start` is where reading began."""
    place = sketch(text, error, start, is_condition)
    rules = SLIPS if is_condition else (*SLIPS, *_OF_FILES)
    return next(mistake for rule in (*rules, _anything) if (mistake := rule(place)))


_ARROWS = {"|>", ">>", "=>", "~>", "-->", "→", "⇒", "⟶"}

# ---- rules: each knows one mistake


def _arrow(place: Place) -> Mistake | None:
    at = place.at
    if at.kind in _ARROWS or (at.kind == "|" and not place.opened):
        hint = "write `->`" + ("; alternatives stand in braces: `{a | b}`" if at.kind == "|" else "")
        return at_word(at, f"steps are joined by `->`, not `{at.text}`", hint)
    if at.kind == ">" and place.last.kind == "-":
        return at_word(at, "steps are joined by `->`, in one piece", "write `->`")
    if at.kind == "->" and place.last.kind in {"->", "&", "|", "{", "(", "end", ","}:
        return at_word(at, "a step is missing before this `->`", "name an op, or remove the arrow")
    return None


def _foreign_if(place: Place) -> Mistake | None:
    for word in (place.at, *place.clause[:_NEAR]):
        if word.name in ("if", "elif", "elsif") and word.kind in ("word", "call"):
            new = "when" if word.name == "if" and place.last.text != "else" else "else when"
            hint = "write `when agreement < 0.5 { … } else { … }`"
            return at_word(word, f"a condition begins with `{new}`, not `{word.name}`", hint)
        if word.name in ("while", "for", "loop") and word.kind in ("word", "call"):
            hint = "write `repeat(times=3, until=agreement >= 80%) { … }`, or `each { … }` for every candidate"
            return at_word(word, f"there is no `{word.name}`", hint)
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
        return at_word(at, "an argument is given with `=`, not `:`", f"write `{at.name}=…`")
    if last.text in ("model", "param", "let"):
        hint = f"write `{last.text} {at.name} = …`"
        return at_word(at, f"`{last.text} {at.name}` is followed by `=`, not `:`", hint)
    if last.text == "budget" or (last.kind == "number" and not place.opened):
        return at_word(at, "a limit is given with `=`, not `:`", f"write `{at.name}=…`")
    if at.name in _EXAMPLES:
        return at_word(at, f"`{at.name}` is not followed by `:`", f"write `{_EXAMPLES[at.name]}`")
    return at_word(at, "a `:` stands in tables only", f"elsewhere write `{at.name} = …`")


def _equals(place: Place) -> Mistake | None:
    at = place.at
    if at.kind != "key":
        return None
    if place.inside == "{" and place.in_values:
        return at_word(at, "in a table a value follows `:`, not `=`", f"write `{at.name}: …`")
    if place.last.kind == "word" and place.last.text not in KEYWORDS and not place.in_values:
        return _unknown_statement(place)
    if place.in_values:
        return None
    hint = f"write `let {at.name} = …` to name a pipeline, `model {at.name} = …` for a model"
    return at_word(at, f"`{at.name} =` has no word before it that says what it is", hint)


def _touching(place: Place) -> Mistake | None:
    at = place.at
    if at.kind == "(":
        opener, earlier = at, place.last
    elif at.kind in (",", "key") and place.inside == "(":
        opener = place.opened[-1][0]
        earlier = place.before[place.before.index(opener) - 1] if place.before[0] is not opener else NOTHING
    else:
        return None
    if earlier.kind == "word" and earlier.text not in KEYWORDS:
        hint = f"write `{earlier.text}(`"
        return at_word(opener, "the `(` of a call touches its name", hint, also=(earlier, "called here"))
    if earlier.kind == "string" and place.before[-2:-1] and place.before[-2].text == "use":
        return at_word(at, "the arguments of `use` have names", "write `(writer=small)`")
    if at.kind == ",":
        return at_word(at, "branches side by side are joined by `&`, not `,`", "write `(a & b)`")
    return None


def _separator(place: Place) -> Mistake | None:
    at = place.at
    if at.kind == "&" and place.inside != "(":
        return at_word(at, "branches side by side stand in parentheses", "write `(a & b)`")
    if at.kind == "|" and place.inside != "{":
        return at_word(at, "alternatives stand in braces", "write `{a | b}`")
    if at.kind == ";":
        return at_word(at, "nothing ends a line here", "remove the `;`")
    return None


_ENDS_VALUE = {"word", "number", "string", ")", "]", "}"}
_STARTS_VALUE = {"word", "number", "string", "key", "field", "call", "[", "{", "$"}


def _comma(place: Place) -> Mistake | None:
    last, at = place.last, place.at
    if not place.in_values or last.kind not in _ENDS_VALUE or at.kind not in _STARTS_VALUE:
        return None
    if last.text in KEYWORDS - LOGIC or at.text in KEYWORDS:
        return None
    return at_word(at, f"a comma is missing before `{_short(at.name)}`", f"write `, {_short(at.text)}`")


def _statement_too_late(place: Place) -> Mistake | None:
    at = place.at
    if at.text not in STATEMENTS or place.last.kind not in {*_ENDS_VALUE, "?"} or place.in_values:
        return None
    problem = "`let` stands before the steps of its block" if place.opened else "statements stand before the pipeline"
    return at_word(at, problem, "move it up, above the first step", "after the first step")


def _unknown_statement(place: Place) -> Mistake | None:
    last, at = place.last, place.at
    earlier = place.before[-2] if len(place.before) > 1 else NOTHING
    if place.opened or last.kind != "word" or last.text in KEYWORDS or earlier.kind in {"->", "key", "="}:
        return None
    if at.kind not in ("word", "key", "string", "number", "field"):
        return None
    if earlier.kind == "word" and earlier.text in KEYWORDS:
        return None
    meant = _SYNONYMS.get(last.text) or next(iter(difflib.get_close_matches(last.text, STATEMENTS, 1, 0.6)), None)
    if meant:
        return at_word(last, f"there is no statement `{last.text}`", f"did you mean `{meant}`?", "not a statement")
    if at.kind == "key":
        known = ", ".join(f"`{word}`" for word in STATEMENTS)
        return at_word(last, f"there is no statement `{last.text}`", f"known here: {known}", "not a statement")
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
    return at_word(at, "a `->` is missing before this step", f"write `-> {shown}`")


def _nothing(place: Place) -> Mistake | None:
    """A step or a value that is not there."""
    at, last = place.at, place.last
    if at.kind not in {"end", ")", "}", "]", ",", "->"} and at.text not in STATEMENTS:
        return None
    if last.kind == "->" and at.text == "let":
        hint = "move it in front of the first step: `let drafts = generate(small)`"
        return at_word(at, "`let` stands at the head of a pipeline, not after a `->`", hint)
    if last.kind in ("->", "&"):
        return at_word(last, f"a step is missing after this `{last.text}`", "name an op, such as `rank(big)`")
    if last.kind in ("key", "field"):
        return at_word(last, f"the value of `{last.name}` is missing", f"write a value after `{last.text}`")
    if last.text in _EXAMPLES and not place.in_values:
        return at_word(last, f"`{last.text}` is not finished", f"write `{_EXAMPLES[last.text]}`")
    if last.kind in COMPARES or last.kind in "+-*/" or last.text in LOGIC:
        return at_word(last, f"a value is missing after `{last.text}`", "complete the condition")
    return None


_EXAMPLES = {
    "architecture": "architecture demo",
    "rules": "rules open",
    "param": "param k = 4",
    "model": 'model small = openai("Qwen/Qwen2.5-7B-Instruct")',
    "budget": "budget calls=64 tokens=200_000",
    "require": "require k <= 24",
    "search": 'search maximise=accuracy subject_to=["calls <= 40"]',
    "let": "let drafts = generate(small, n=8)",
    "use": 'use "refine.yaml"',
    "when": "when agreement < 0.5 { … } else { … }",
}


def _missing_block(place: Place) -> Mistake | None:
    last, at = place.last, place.at
    if last.text in CONTROL and at.kind in _STARTS_VALUE:
        hint = _CONTROLLED.get(last.text, f"write `{last.text} {{ … }}`")
        return at_word(at, f"the arguments of `{last.text}` stand in parentheses", hint)
    after_condition = any(word.text == "when" for word in place.clause)
    if "LBRACE" not in place.expected or not (after_condition or len(place.expected) <= _FEW):
        return None
    return at_word(at, "a block is missing here", "write `{ … }` with the steps that it controls")


_FEW = 3
_CONTROLLED = {
    "repeat": "write `repeat(times=3) { … }`",
    "until": "write `until(confidence >= 0.95, max=40) { … }`",
    "race": "write `race(verified >= 1) { generate(small), generate(big) }`",
    "cascade": "write `cascade([small, big], until=agreement == 1) { … }`",
    "deadline": "write `deadline(10) { … }`",
    "fold": "write `fold(window=6) { … }`",
}


def _unfinished(place: Place) -> Mistake | None:
    last, at = place.last, place.at
    if last.text == "use" and at.kind == "word":
        return at_word(at, "the file that `use` names stands in quotes", f'write `use "{at.text}"`')
    if last.text in ("let", "model") and at.kind in ("word", "string", "call"):
        return at_word(at, f"`{last.text}` needs a name and a `=`", f"write `{_EXAMPLES[last.text]}`")
    return None


def _keyword(place: Place) -> Mistake | None:
    at = place.at
    if at.text not in KEYWORDS or not {"NAME", "KEY"} & place.expected:
        return None
    hint = f'as a name or a value it stands in quotes: `"{at.text}"`'
    if at.text == "model":
        hint = "the model of a `cascade` is `$model`; " + hint
    return at_word(at, f"`{at.text}` is a keyword", hint, "a keyword")


def _anything(place: Place) -> Mistake:
    fits = [
        _SHOWN[name] for name in _SHOWN if name in place.expected and place.inside in _INSIDE.get(name, place.inside)
    ]
    hint = f"expected {_either(list(dict.fromkeys(fits))[:_MOST])}" if fits else ""
    if place.at.kind == "end":
        what = "the condition" if place.is_condition else "the text"
        return at_word(place.last, f"{what} ends too early", hint, "nothing follows")
    return at_word(place.at, f"`{_short(place.at.text)}` does not fit here", hint, "not expected")


_INSIDE = {
    "RBRACE": ("{",),
    "RPAR": ("(", "call"),
    "RSQB": ("[",),
    "COMMA": ("call", "[", "{"),
    "BAR": ("{",),
    "AND_ALSO": ("(",),
}
"""The brackets in which some words make sense; the parser's tables do not tell them apart."""

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

_OF_FILES: tuple[Rule, ...] = (
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
    _unfinished,
    _missing_block,
    _keyword,
)
