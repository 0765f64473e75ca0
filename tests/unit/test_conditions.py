"""Conditions: reading, units, values and text."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from archc.diagnostics import Diagnostic, SpecError, render_all
from archc.source import Source
from archc.spec.conditions import (
    Expr,
    Unit,
    bound,
    constant,
    evaluate,
    must_be_truth,
    names,
    names_within,
    parse_condition,
    place_in,
    text_of,
    unit_of,
)
from archc.spec.expressions import Arithmetic, Comparison, Constant, Logic, Name, Negative, Not, negated
from archc.spec.located import Leaf

UNITS = {
    "agreement": Unit.SHARE,
    "entropy": Unit.BITS,
    "count": Unit.CANDIDATES,
    "verified": Unit.CANDIDATES,
    "best_score": Unit.NUMBER,
    "round": Unit.ROUNDS,
    "spent.calls": Unit.CALLS,
    "left.tokens": Unit.TOKENS,
    "spent.usd": Unit.USD,
    "mode": Unit.TEXT,
    "k": Unit.NUMBER,
}
SPAN = Source("c", "").span()


def parsed(text: str) -> Expr:
    return parse_condition(text, Source("c", text).span)


def said(text: str) -> str:
    """What is wrong with a condition."""
    found: list[Diagnostic] = []
    try:
        must_be_truth(parsed(text), UNITS, found)
    except SpecError as error:
        found += error.diagnostics
    return re.sub(r" +$", "", render_all(found), flags=re.MULTILINE)


# ---- reading


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("agreement>=80%", "agreement >= 0.8"),
        ("a or b and not c == d + e * -f", "a or b and not c == d + e * -f"),
        ("(a or b) and c", "(a or b) and c"),
        ("((a)) - (b - c)", "a - (b - c)"),
        ("-(3)", "-3"),
        ("-(a + b) * 2", "-(a + b) * 2"),
        ("(a < b) == true", "(a < b) == true"),
        ("a # why\n and b", "a and b"),
        ('$mode == "f\\"\\u00e9"', '$mode == "f\\"é"'),
        ("1_000 + 1e-7 + 1e22", "1000 + 1e-07 + 1e+22"),
        ("not (a and b)", "not (a and b)"),
        ("(a or b) or c", "(a or b) or c"),
    ],
)
def test_conditions_have_a_canonical_text(text: str, canonical: str) -> None:
    assert text_of(parsed(text)) == canonical
    assert parsed(canonical) == parsed(text)


def test_every_node_has_its_place() -> None:
    expr = parsed(" (a + b)>= -3 and c")

    assert isinstance(expr, Logic)
    assert expr.span.text == "(a + b)>= -3 and c"
    [left, right] = expr.operands
    assert isinstance(left, Comparison)
    assert [e.span.text for e in (left, left.left, left.right, right)] == ["(a + b)>= -3", "(a + b)", "-3", "c"]


def test_places_in_a_string_of_the_source() -> None:
    source = Source("x.yaml", 'until: "agrement > 1"  # é')
    quoted = Leaf("agrement > 1", source.span(7, 21))
    escaped = Leaf("a == 1", source.span(7, 21))

    assert place_in(quoted)(0, 8).text == "agrement"
    assert place_in(escaped)(0, 1) == escaped.span


def test_names() -> None:
    expr = parsed("agreement > $k and (count < 3 or spent.calls == k)")

    assert names(expr) == {"agreement", "k", "count", "spent.calls"}
    assert {name.name for name in names_within(expr) if name.is_param} == {"k"}


# ---- values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - 4 / 2", 5),
        ("8 / 4 / 2", 1),
        ("1 / 0", 0),
        ("-a", -2),
        ("a == 2 and not b", False),
        ("a < 1 or b", True),
        ("b == true", True),
        ('s == "x"', True),
        ("s != 3", True),
        ("s < 3", False),
        ("unknown + 1", 1),
        ("80% == 0.8", True),
    ],
)
def test_values(text: str, expected: Any) -> None:
    assert evaluate(parsed(text), {"a": 2, "b": True, "s": "x"}) == expected


def test_parameters_are_bound_and_names_stay() -> None:
    expr = bound(parsed("-$k + k > $other"), {"k": 3})

    assert text_of(expr) == "-3 + k > $other"
    assert constant(expr) is None
    assert constant(bound(parsed('$m == "fast" and 2 > 1'), {"m": "fast"})) is True


HUGE: list[Any] = [10**400, -(10**400), math.inf, -math.inf, math.nan, 1e308, "x", True, 0]


@pytest.mark.parametrize("text", ["a * a * a", "a - b", "a / b", "-a + b", "a < b", "a == b", "not a", "a and b or a"])
def test_no_value_is_too_much(text: str) -> None:
    expr = parsed(text)

    for a in HUGE:
        for b in HUGE:
            result = evaluate(expr, {"a": a, "b": b})
            assert not isinstance(result, float) or math.isfinite(result)


# ---- long and deep


@pytest.mark.parametrize("operator", ["and", "or", "+", "-", "*", "/"])
def test_long_chains(operator: str) -> None:
    expr = parsed(f" {operator} ".join(["a"] * 5000))

    assert parsed(text_of(expr)) == expr
    assert hash(expr) == hash(parsed(text_of(expr)))
    evaluate(bound(expr, {}), {"a": 1})
    unit_of(expr, {"a": Unit.NUMBER}, [])


def test_as_deep_as_allowed() -> None:
    deep = "(a or b and not c == d + e * -" * 32 + "1" + ")" * 32
    expr = parsed(deep)

    assert parsed(text_of(expr)) == expr
    evaluate(bound(expr, {}), {})
    unit_of(expr, {}, [])


@pytest.mark.parametrize("text", ["(" * 33 + "a" + ")" * 33, "(" * 30_000])
def test_deeper_ones_are_refused(text: str) -> None:
    assert "levels of nesting" in said(text)


# ---- units


@pytest.mark.parametrize(
    "text",
    [
        "agreement >= 80%",
        "agreement * 100 >= 80",
        "count / 2 + 1 >= verified",
        "count / verified > k * 2",
        "left.tokens - 100 > 2 * left.tokens",
        'mode == "fast" and not (round > 2)',
        "1 - agreement < agreement",
        "k == 1 or true",
    ],
)
def test_units_that_fit(text: str) -> None:
    assert said(text) == ""


MISTAKES = {
    "agreement >= 80": """\
error[not-a-share]: a share lies between 0 and 1, so it is never 80
 --> c:1:14
  |
1 | agreement >= 80
  | --------- this is a share, from 0 to 1
  |              ^^ not a share
  = help: write `80%`""",
    "agreement > left.tokens": """\
error[unit-mismatch]: a share cannot be compared with a number of tokens
 --> c:1:1
  |
1 | agreement > left.tokens
  | ^^^^^^^^^ this is a share
  |             ----------- this is a number of tokens
  = help: put values of one kind, or plain numbers, on both sides""",
    "agrement >= 0.8": """\
error[unknown-name]: there is no `agrement` to look at in a condition
 --> c:1:1
  |
1 | agrement >= 0.8
  | ^^^^^^^^ not known here
  = help: did you mean `agreement`?""",
    "agreement": """\
error[not-true-or-false]: a condition is true or false, not a share
 --> c:1:1
  |
1 | agreement
  | ^^^^^^^^^ this is a share
  = help: compare it: `agreement >= 80%`""",
    "not count > 1 and count": """\
error[not-true-or-false]: a condition is true or false, not a number of candidates
 --> c:1:19
  |
1 | not count > 1 and count
  |                   ^^^^^ this is a number of candidates
  = help: compare it: `count >= 3`""",
    "count + left.tokens > 3": """\
error[unit-mismatch]: a number of tokens cannot be added to a number of candidates
 --> c:1:9
  |
1 | count + left.tokens > 3
  | ----- this is a number of candidates
  |         ^^^^^^^^^^^ this is a number of tokens
  = help: put values of one kind, or plain numbers, on both sides""",
    "count / agreement > 2": """\
error[unit-mismatch]: a number of candidates cannot be divided by a share
 --> c:1:1
  |
1 | count / agreement > 2
  | ^^^^^ this is a number of candidates
  |         --------- this is a share
  = help: put values of one kind, or plain numbers, on both sides""",
    'mode + "x" == "ax"': """\
error[not-a-number]: one cannot calculate with a string
 --> c:1:1
  |
1 | mode + "x" == "ax"
  | ^^^^ this is a string
  = help: use numbers here

error[not-a-number]: one cannot calculate with a string
 --> c:1:8
  |
1 | mode + "x" == "ax"
  |        ^^^ this is a string
  = help: use numbers here""",
    'mode < "b"': """\
error[no-order]: `<` orders numbers, not a string
 --> c:1:1
  |
1 | mode < "b"
  | ^^^^^^^^^^ compared here
  = help: use `==` or `!=`""",
    "1 < count < 3": """\
error[bad-condition]: this is not a condition: comparisons cannot be chained
 --> c:1:11
  |
1 | 1 < count < 3
  |   - the first one
  |           ^ the second one
  = help: compare twice: `1 < k and k < 4`""",
    "count > 1 && round > 2": """\
error[bad-condition]: this is not a condition: conditions have `and`, not `&&`
 --> c:1:11
  |
1 | count > 1 && round > 2
  |           ^^ here
  = help: write `and`""",
    "(count > 1": """\
error[bad-condition]: this is not a condition: this `(` is never closed
 --> c:1:1
  |
1 | (count > 1
  | ^ opened here
  = help: add the missing `)`""",
    "count >": """\
error[bad-condition]: this is not a condition: the condition ends too early
 --> c:1:7
  |
1 | count >
  |       ^ nothing follows
  = help: expected a value, a name or a string""",
    "count > 1e999": """\
error[bad-condition]: this is not a condition: this number is too large
 --> c:1:9
  |
1 | count > 1e999
  |         ^^^^^ here""",
    'mode == "\\q"': """\
error[bad-condition]: this is not a condition: `\\q` is no escape; write `\\\\` for a backslash
 --> c:1:9
  |
1 | mode == "\\q"
  |         ^^^^ here""",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(text: str) -> None:
    assert said(text) == MISTAKES[text]


# ---- anything at all

NAMES = st.sampled_from(["a", "agreement", "spent.calls", "k_1", "é"])
CONSTANTS = (
    st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
)


def larger(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    def arithmetic(signs: list[Any]) -> st.SearchStrategy[Expr]:
        rest = st.lists(st.tuples(st.sampled_from(signs), inner), min_size=1, max_size=3).map(tuple)
        return st.builds(Arithmetic, inner, rest, st.just(SPAN))

    comparisons = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    operands = st.lists(inner, min_size=2, max_size=4).map(tuple)
    return (
        st.builds(negated, inner, st.just(SPAN))
        | st.builds(Not, inner, st.just(SPAN))
        | arithmetic(["+", "-"])
        | arithmetic(["*", "/"])
        | st.builds(Comparison, comparisons, inner, inner, st.just(SPAN))
        | st.builds(Logic, st.sampled_from(["and", "or"]), operands, st.just(SPAN))
    )


EXPRS = st.recursive(
    st.builds(Constant, CONSTANTS, st.just(SPAN))
    | st.builds(Name, NAMES, st.just(SPAN))
    | st.builds(Name, st.sampled_from(["k", "a"]), st.just(SPAN), st.just(True)),
    larger,
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(EXPRS)
@example(Negative(Negative(Name("a", SPAN), SPAN), SPAN))
@example(Arithmetic(Constant(-1, SPAN), (("-", Constant(-2.5, SPAN)),), SPAN))
def test_the_text_of_an_expression_is_read_as_it(expr: Expr) -> None:
    again = parsed(text_of(expr))

    assert again == expr
    assert hash(again) == hash(expr)
    assert text_of(again) == text_of(expr)
    evaluate(expr, {"a": 1e300, "agreement": "text"})
    unit_of(expr, UNITS, [])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30) | st.lists(st.sampled_from(list('a1(.)%$"\\<=!&|+-*/#\n ')), max_size=20).map("".join))
def test_any_text_is_a_condition_or_a_list_of_mistakes(text: str) -> None:
    try:
        evaluate(parsed(text), {})
    except SpecError as error:
        render_all(error.diagnostics)
