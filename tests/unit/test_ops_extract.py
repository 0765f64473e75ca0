from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from archc.ops.extract import Extract
from archc.values import CandidateSet
from tests.scripted import ScriptedContext, candidates, never, run


def found(text: str, **params: object) -> tuple[str, str] | None:
    answer = Extract.model_validate(params).answer(text)
    return (answer.text, answer.key) if answer else None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("She has 16 - 3 - 4 = 9 eggs, so 9 * 2 = 18.\n#### 18", "18"),
        ("The answer is 18.", "18"),
        ("The answer is $18.00.", "18"),
        ("#### 1,234.50", "2469/2"),
        ("#### $1,234,567", "1234567"),
        ("**Answer:** 42", "42"),
        ('"answer": 42', "42"),
        ("Final Answer:\n\n7", "7"),
        ("The answer is 3 + 4 = 7", "7"),
        ("The answer is: 3 * (2 + 1) = 9", "9"),
        ("The answer is x = -5.", "-5"),
        ("The answer is 5, because 2+4=6 is not asked.", "5"),
        ("The answer is below.\n\nWe get 3 * 4 = 12", "12"),
        ("The answer is 18 and not 20. I thought of 21 too.", "18"),
        ("The answer is 1. No: the answer is 2.", "2"),
        ("so we get 3 and then -3", "-3"),
        ("so we get −3", "-3"),
        ("between 3-5", "5"),
        ("10-3=7", "7"),
        ("about 3/4 of it", "3/4"),
        ("\\boxed{\\frac{3}{4}}", "3/4"),
        ("\\boxed{1{,}000}", "1000"),
        ("1.8e1", "18"),
        ("1,8e1", "18"),
        ("it is 3,14", "157/50"),
        ("1,2,3", "3"),
        ("2 \\times 10^3", "2000"),
        ("5.97 × 10^{24} kg", "5970000000000000000000000"),
        ("50%", "50"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        (".5", "1/2"),
        ("-0", "0"),
        ("0.0", "0"),
        ("H2O and x1", None),
        ("none", None),
        ("", None),
        ("1e1000000", "1e1000000"),
        ("10e999999", "1e1000000"),
        ("1e1001", "1e1001"),
        ("10e1000", "1e1001"),
        ("3/0", "3/0"),
        ("Step 1. Add 2.\nTotal: 100 USD", "100"),
    ],
)
def test_number(text: str, key: str | None) -> None:
    answer = found(text, kind="number")
    assert (answer[1] if answer else None) == key


def test_number_shows_the_text_as_written() -> None:
    assert found("The answer is $1,234.50.", kind="number") == ("$1,234.50", "2469/2")


def test_first_number() -> None:
    assert found("1 then 2", kind="number", which="first") == ("1", "1")


@given(st.fractions(min_value=-(10**6), max_value=10**6))
def test_a_fraction_has_its_own_key(value: object) -> None:
    answer = found(f"The answer is {value}.", kind="number")
    assert answer is not None
    assert answer[1] == str(value)


@given(st.integers(-(10**15), 10**15))
def test_one_value_one_key(value: int) -> None:
    forms = [f"{value}", f"{value}.0", f"{value:,}", f"{value}e0", f"{value}0e-1", f"{value}%", f"{value}/1"]
    assert {found(f"#### {form}", kind="number")[1] for form in forms} == {str(value)}  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (B).", "B"),
        ("Answer: B", "B"),
        ("**Answer:** C", "C"),
        ("**B**", "B"),
        ("#### D", "D"),
        ("\\boxed{C}", "C"),
        ("The answer is $\\boxed{\\text{C}}$.", "C"),
        ("The correct answer is option D", "D"),
        ("The answer is A because of this.", "A"),
        ("A dog ran. Answer: B. A cat sat.", "B"),
        ("A dog ran.", None),
        ("A dog ran, so B", "B"),
        ("B is right", "B"),
        ("A is right", "A"),
        ("(A) is wrong, (B) is right", "B"),
        ("Band, Ceo, D'oh", None),
        ("Answer: F", None),
        ("", None),
    ],
)
def test_letter(text: str, letter: str | None) -> None:
    answer = found(text, kind="letter")
    assert (answer[1] if answer else None) == letter


def test_letter_of_other_choices() -> None:
    assert found("Answer: F", kind="letter", choices="ABCDEFGHIJ") == ("F", "F")
    assert found("I think J", kind="letter", choices="ABCDEFGHIJ") == ("J", "J")
    assert found("(A) or (B)", kind="letter", which="first") == ("A", "A")
    with pytest.raises(ValidationError):
        Extract(kind="letter", choices="a-z]")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("\\boxed{5}", "5"),
        ("first \\boxed{1}, then \\boxed{2}", "2"),
        ("\\fbox{7}", "7"),
        ("\\boxed{\\frac{1}{2}}", "1/2"),
        ("\\boxed{\\dfrac{1}{2}}", "1/2"),
        ("\\boxed{0.5}", "1/2"),
        ("\\boxed{\\frac12}", "1/2"),
        ("\\boxed{\\dfrac{\\sqrt{3}}{2}}", "\\frac{\\sqrt{3}}{2}"),
        ("\\boxed{\\left( 1, 2 \\right)}", "(1,2)"),
        ("\\boxed{\\text{Evelyn}.}", "Evelyn"),
        ("\\boxed{5\\text{ cm}}", "5"),
        ("\\boxed{$18.}", "18"),
        ("\\boxed{x = 5}", "5"),
        ("\\boxed{90^\\circ}", "90"),
        ("\\boxed{50\\%}", "50"),
        ("\\boxed{\\{1, 2\\}}", "\\{1,2\\}"),
        ("$\\boxed 4$", "4"),
        ("\\boxed{1} and \\boxed{2", "1"),
        ("\\boxed{", None),
        ("\\boxed{}", None),
        ("no box", None),
    ],
)
def test_boxed(text: str, key: str | None) -> None:
    answer = found(text, kind="boxed")
    assert (answer[1] if answer else None) == key


def test_code() -> None:
    text = "First:\n```python\nx = 1\n```\nthen\n```\ny = 2  \n\n```\nand `inline`"
    assert found(text, kind="code") == ("y = 2  \n", "y = 2")
    assert found(text, kind="code", which="first") == ("x = 1", "x = 1")
    assert found("```python\nx = 1", kind="code") is None
    assert found("````\n```\nx\n```\n````", kind="code") == ("```\nx\n```", "```\nx\n```")
    long = "x = 1\n" * 10_000
    assert found(f"```\n{long}```", kind="code") == (long.rstrip("\n"), long.rstrip("\n"))


def test_regex() -> None:
    assert found("a=1 b=2", kind="regex", pattern=r"\w=(\d)") == ("2", "2")
    assert found("a=1 b=2", kind="regex", pattern=r"\w=(\d)", which="first") == ("1", "1")
    assert found("Yes.", kind="regex", pattern="Yes|No") == ("Yes", "Yes")
    assert found("x: two   words;", kind="regex", pattern="x: ([^;]+);") == ("two   words", "two words")
    assert found("x", kind="regex", pattern="(y)?x") is None


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "needs a `pattern`"),
        ({"pattern": "("}, "is not a regular expression"),
        ({"pattern": "(a+)+$"}, "inside a repeat"),
        ({"pattern": "(ab|a)*c"}, "inside a repeat"),
        ({"pattern": "(a?a?)+b"}, "inside a repeat"),
        ({"kind": "number", "pattern": "1"}, "is for `kind: regex`"),
    ],
)
def test_a_pattern_is_checked_when_the_op_is_made(params: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Extract.model_validate({"kind": "regex", **params})


@pytest.mark.parametrize("pattern", ["(?:,[0-9]{3})+", "(a|b)+", "a?b+c*", "(?>a+)b", "answer: (.*)"])
def test_harmless_patterns_are_taken(pattern: str) -> None:
    assert Extract(kind="regex", pattern=pattern).pattern == pattern


def test_json() -> None:
    assert found('x {"b": 1, "a": [2]} y', kind="json") == ('{"b": 1, "a": [2]}', '{"a": [2], "b": 1}')
    assert found('{"a": 1} [2]', kind="json") == ("[2]", "[2]")
    assert found('{"a": 1} [2]', kind="json", which="first") == ('{"a": 1}', '{"a": 1}')
    assert found('{broken {"a": 1}', kind="json") == ('{"a": 1}', '{"a": 1}')
    assert found('{"a": NaN}', kind="json") is None
    assert found('{"a": 1e999}', kind="json") is None
    assert found("[" * 30_000, kind="json") is None
    assert found(f'{{"a": {"9" * 5_000}}}', kind="json") is None


@pytest.mark.parametrize(
    ("equivalence", "key"), [("auto", "18"), ("exact", "18.0"), ("casefold", "18.0"), ("numeric", "18")]
)
def test_equivalences_of_a_number(equivalence: str, key: str) -> None:
    assert found("#### 18.0", kind="number", equivalence=equivalence) == ("18.0", key)


def test_other_equivalences() -> None:
    assert found("\\boxed{Yes  No}", kind="boxed", equivalence="casefold") == ("Yes  No", "yes no")
    assert found("\\boxed{Yes}", kind="boxed", equivalence="numeric") is None
    assert found("\\boxed{\\frac{1}{2}}", kind="boxed", equivalence="numeric") == ("\\frac{1}{2}", "1/2")


def test_only_so_much_is_read() -> None:
    assert found("5 " + "x " * 20_000, kind="number") is None
    assert found("5 " + "x " * 20_000, kind="number", which="first") == ("5", "5")


@pytest.mark.parametrize("kind", ["number", "letter", "boxed", "code", "json"])
@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "1,",
        "1/",
        "answer is ",
        "answer is (",
        "\\boxed{",
        "\\boxed",
        "\\frac{1}{",
        "```x\n",
        "[",
        '{"a":',
        "#",
        " ",
    ],
)
def test_no_text_takes_long(kind: str, piece: str) -> None:
    start = time.process_time()
    found(piece * (40_000 // len(piece)), kind=kind)
    assert time.process_time() - start < 2


@given(st.text(alphabet="1234567890.,/-+eE$% \\boxedfrac{}[]()`\n\"':answer is#AB*^=", max_size=60))
def test_nothing_raises(text: str) -> None:
    for kind in ("number", "letter", "boxed", "code", "json"):
        for equivalence in ("auto", "exact", "casefold", "numeric"):
            found(text, kind=kind, equivalence=equivalence)


@given(st.text(alphabet="0123456789.,/-+e$%\\frac{} ", max_size=30))
def test_a_key_is_its_own_normal_form(text: str) -> None:
    answer = found(f"\\boxed{{{text}}}", kind="number")
    if answer:
        again = found(f"#### {answer[1]}", kind="number")
        assert again is not None
        assert again[1] == answer[1]


def test_run_keeps_all_and_asks_nobody() -> None:
    ctx = ScriptedContext("?", never)
    after = run(Extract(kind="number"), ctx, candidates("#### 1", "none", "#### 2"))
    assert [c.text for c in after.candidates] == ["#### 1", "none", "#### 2"]
    assert [c.answer and c.answer.key for c in after.candidates] == ["1", None, "2"]
    assert ctx.notes == [("extracted", {"found": 2, "of": 3})]


def test_half_a_number_is_no_answer() -> None:
    cut = replace(candidates("It is 7 or so. The answer is 72").candidates[0], truncated=True)
    ended = replace(cut, truncated=False)
    after = run(Extract(kind="number"), ScriptedContext("q", never), CandidateSet((cut, ended)))

    assert [c.answer and c.answer.text for c in after.candidates] == ["7", "72"]
