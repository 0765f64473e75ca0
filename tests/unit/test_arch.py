"""The .arch form: what it is read into, where its pieces stand, and what is said of mistakes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from archc.diagnostics import SpecError, render_all
from archc.source import Source
from archc.spec.arch import grammar
from archc.spec.arch import reader as arch
from archc.spec.arch.reader import read_arch
from archc.spec.located import Choice, Leaf, Listing, Located, Range, Table, plain, span_at
from tests.vocabularies import Words

MISTAKES = Path(__file__).with_name("mistakes.txt")


def read(text: str, name: str = "x.arch") -> Located:
    return read_arch(Source(name, text), Words())[0]


def said(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        read(text)
    return re.sub(r" +$", "", render_all(caught.value.diagnostics), flags=re.MULTILINE)


def shown(value: Located) -> Any:
    """Like `plain`, with choices as sets of options and ranges as themselves."""
    match value:
        case Choice():
            return value.range or ("choice", *map(shown, value.options))
        case Table():
            return {entry.key: shown(entry.value) for entry in value}
        case Listing():
            return [shown(item) for item in value.items]
        case Leaf():
            return value.value


def steps(text: str) -> Any:
    return shown(read(text))["pipeline"]


def value(text: str) -> Any:
    """The value of one argument."""
    [step] = steps(f"op(x={text})")
    return step["op"]["x"]


# ---- statements


def test_statements_are_the_keys_of_a_spec_in_written_order() -> None:
    text = """
    rules open
    architecture demo
    param writer
    param k = 4
    model small = openai("Qwen", base_url="…", price={prompt: 0.1, completion: 0.4},)
    budget calls=64 tokens=200_000, seconds=120
    require k * 2 <= 24
    model local = llamacpp
    model other = {backend: "openai", concurrency: 2}
    require writer == "big" or k == 1
    generate(small)
    """
    root = read(text)

    assert isinstance(root, Table)
    assert [entry.key for entry in root] == ["rules", "name", "params", "models", "budget", "require", "pipeline"]
    assert plain(root) == {
        "rules": "open",
        "name": "demo",
        "params": {"writer": None, "k": 4},
        "models": {
            "small": {
                "backend": "openai",
                "model": "Qwen",
                "base_url": "…",
                "price": {"prompt": 0.1, "completion": 0.4},
            },
            "local": {"backend": "llamacpp"},
            "other": {"backend": "openai", "concurrency": 2},
        },
        "budget": {"calls": 64, "tokens": 200000, "seconds": 120},
        "require": ["k * 2 <= 24", 'writer == "big" or k == 1'],
        "pipeline": [{"generate": {"model": "small"}}],
    }


def test_named_pipelines_stand_before_the_steps() -> None:
    assert steps("let a = x -> y\nlet b = z\nmodel m = llamacpp\na -> b") == [
        {"let": {"a": ["x", "y"], "b": ["z"]}},
        "a",
        "b",
    ]
    assert steps("each { let old = keep (keep & old) -> rank }") == [
        {"each": {"do": [{"let": {"old": ["keep"]}}, ["keep", "old"], "rank"]}}
    ]


def test_a_spec_needs_no_pipeline_to_be_read() -> None:
    assert plain(read("architecture rank-fuse")) == {"name": "rank-fuse"}


# ---- pipelines

PIPELINES = {
    "keep": ["keep"],
    '"my drafts" -> b': ["my drafts", "b"],
    "a(small, n=8)": [{"a": {"model": "small", "n": 8}}],
    "a()": [{"a": {}}],
    "extract(number)": [{"extract": {"kind": "number"}}],
    "(a & b -> c)": [["a", ["b", "c"]]],
    "((a & b) & c)": [[[["a", "b"]], "c"]],
    "(a -> b)": [[["a", "b"]]],
    "{a | b -> c | }": [("choice", "a", ["b", "c"], [])],
    "{ | a}": [("choice", [], "a")],
    "{(a & b) | {c | d}}": [("choice", [["a", "b"]], ("choice", "c", "d"))],
    "{a | b}?": [("choice", "a", "b", [])],
    "a?": [("choice", "a", [])],
    "(a & b)? -> c": [("choice", [["a", "b"]], []), "c"],
    "repeat(3, until=agreement >= 80%) { a -> b }": [
        {"repeat": {"times": 3, "until": "agreement >= 80%", "do": ["a", "b"]}}
    ],
    "repeat(until=0.5) {}": [{"repeat": {"until": "0.5", "do": []}}],
    "repeat(until={verified | count > 2}) {a}": [
        {"repeat": {"until": ("choice", "verified", "count > 2"), "do": ["a"]}}
    ],
    'repeat(until="count > 2") {a}': [{"repeat": {"until": "count > 2", "do": ["a"]}}],
    "when a < 0.5 { b } else when c { d } else { e }": [
        {
            "when": {
                "condition": "a < 0.5",
                "then": ["b"],
                "else": [{"when": {"condition": "c", "then": ["d"], "else": ["e"]}}],
            }
        }
    ],
    "when (a) { b }": [{"when": {"condition": "(a)", "then": ["b"]}}],
    "when a # why\n  and b { c }": [{"when": {"condition": "a and b", "then": ["c"]}}],
    "race(verified >= 1, first=1) { a, b -> c, }": [
        {"race": {"condition": "verified >= 1", "first": 1, "branches": [["a"], ["b", "c"]]}}
    ],
    "cascade([small, big,], until=agreement == 1) { a($model) }": [
        {"cascade": {"models": ["small", "big"], "until": "agreement == 1", "do": [{"a": {"model": "$model"}}]}}
    ],
    "budget(calls=10) { a } -> deadline (10) { b }": [
        {"budget": {"calls": 10, "do": ["a"]}},
        {"deadline": {"seconds": 10, "do": ["b"]}},
    ],
    "tournament(3) do { a } then { b } else { c }": [
        {"tournament": {"model": 3, "do": ["a"], "then": ["b"], "else": ["c"]}}
    ],
    'use "r.yaml" (writer=small, k={1 | 2}) -> b': [
        {"use": {"spec": "r.yaml", "with": {"writer": "small", "k": ("choice", 1, 2)}}},
        "b",
    ],
    'let x = use "r.yaml"\n(a & b)': [{"let": {"x": [{"use": {"spec": "r.yaml"}}]}}, ["a", "b"]],
    'use("r.yaml", with={k: 1})': [{"use": {"spec": "r.yaml", "with": {"k": 1}}}],
}


@pytest.mark.parametrize("text", PIPELINES)
def test_pipelines(text: str) -> None:
    assert steps(text) == PIPELINES[text]


def test_a_group_is_a_branch_in_its_own_right() -> None:
    assert steps("(a & (b & c))") == [["a", [["b", "c"]]]]


# ---- values

VALUES = {
    "200_000": 200000,
    "1e-3": 0.001,
    "-3": -3,
    "80%": 0.8,
    "33.3%": 0.333,
    "true": True,
    "null": None,
    "word": "word",
    "spent.calls": "spent.calls",
    "$k": "$k",
    "[1, [a, b], ]": [1, ["a", "b"]],
    "{}": {},
    '{a: 1, "b c": {d: e},}': {"a": 1, "b c": {"d": "e"}},
    "{1 | 2}": ("choice", 1, 2),
    "{1}": ("choice", 1),
    "{{a: 1} | [2]}": ("choice", {"a": 1}, [2]),
    "{1..10}": Range(1, 10, 1),
    "{0.2..1.0}": Range(0.2, 1.0, None),
    "{-1..1 step 0.25}": Range(-1, 1, 0.25),
    "k * 2": "k * 2",
    r'"a\n\t\"\\\u00e9"': 'a\n\t"\\é',
    '"""\n    one\n      two\n\n    three\n    """': "one\n  two\n\nthree\n",
    '"""\n    one\n      \\n two"""': "one\n  \\n two",
    '"""\n  one\n"""': "  one\n",
    '"""\r\n  a\r\n  b"""': "a\nb",
    r'"""say \"""x\""" \d"""': r'say """x""" \d',
}


@pytest.mark.parametrize("text", VALUES)
def test_values(text: str) -> None:
    got = value(text)

    assert got == VALUES[text]
    assert type(got) is type(VALUES[text])


# ---- places and comments

PLACES = """# head
model small = openai("Qwen", n = 3)  # tail
param k
generate(small, n={1 | 2})
  -> (a & b -> c)?  # end
  -> when x > 1 { d } else { e }
"""


def test_words_of_control_may_be_values() -> None:
    assert steps("critique(a, by=each) -> each { keep }")[0] == {"critique": {"model": "a", "by": "each"}}


def test_every_piece_has_its_place() -> None:
    root = read(PLACES)

    def at(*path: str | int, of_key: bool = False) -> str:
        return span_at(root, path, of_key).text

    assert at("models", of_key=True) == "model"
    assert at("models") == 'model small = openai("Qwen", n = 3)'
    assert at("models", "small", of_key=True) == "small"
    assert at("models", "small") == 'openai("Qwen", n = 3)'
    assert at("models", "small", "backend") == "openai"
    assert at("models", "small", "model") == '"Qwen"'
    assert at("models", "small", "n", of_key=True) == "n"
    assert at("params", "k") == "k"
    assert at("pipeline", 0) == "generate(small, n={1 | 2})"
    assert at("pipeline", 0, "generate", of_key=True) == "generate"
    assert at("pipeline", 0, "generate") == "(small, n={1 | 2})"
    assert at("pipeline", 0, "generate", "n") == "{1 | 2}"
    assert at("pipeline", 1) == "(a & b -> c)?"
    assert at("pipeline", 2) == "when x > 1 { d } else { e }"
    assert at("pipeline", 2, "when", "condition") == "x > 1"
    assert at("pipeline", 2, "when", "else") == "e"
    assert at("pipeline", 2, "when", "else", of_key=True) == "else"
    optional = span_at(root, ["pipeline", 1])
    assert (optional.line, optional.column) == (5, 6)


def test_comments_are_kept_with_their_places() -> None:
    text = PLACES + '-> "# none"("""\n# none\n""")'
    _, comments = read_arch(Source("x.arch", text), Words())

    assert [comment.text for comment in comments] == ["# head", "# tail", "# end"]
    assert [comment.span.text for comment in comments] == ["# head", "# tail", "# end"]


# ---- mistakes


def cases() -> list[tuple[str, str]]:
    pieces = re.split(r"^=== ", MISTAKES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [(text, expected.strip("\n")) for text, _, expected in (piece.partition("\n---") for piece in pieces)]


@pytest.mark.parametrize(("text", "expected"), cases())
def test_mistakes(text: str, expected: str, pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--update-cases"):
        pytest.skip("the cases are rewritten")

    assert said(text) == expected


def test_mistakes_are_written_in_their_form(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--update-cases"):
        MISTAKES.write_text("\n".join(f"=== {text}\n---\n{said(text)}\n" for text, _ in cases()), encoding="utf-8")

    assert len({text for text, _ in cases()}) == len(cases())


def test_tabs_and_a_byte_order_mark_are_blanks() -> None:
    assert steps("\ufeffa\t->\n\t\tb") == ["a", "b"]


def test_nothing_is_no_spec() -> None:
    assert "the spec is empty" in said(" # only a comment\n")


# ---- limits

DEEP = ["(" * 33 + "a" + ")" * 33, "a(" + "[" * 40_000, "when a {b} " + "else when a {b} " * 2000, "{[" * 30_000]


@pytest.mark.parametrize("text", DEEP, ids=range(len(DEEP)))
def test_deep_texts_are_refused(text: str) -> None:
    assert "levels of nesting" in said(text)


def test_large_texts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arch, "MAX_VALUES", 100)

    assert "more than 1,048,576 characters" in said("a" * 1_048_577)
    assert "more than 100 values" in said("a -> " * 100 + "a")


def test_ten_thousand_steps_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arch, "MAX_VALUES", 400_000)
    text = "\n  -> ".join(["generate(a)", "critique(a)"] * 5000)

    assert len(plain(read(text))["pipeline"]) == 10_000


# ---- the grammar


def test_the_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    import lark

    with caplog.at_level("DEBUG", logger="lark"):
        lark.Lark(grammar.grammar(), parser="lalr", start=["start", "continuation", "condition"], debug=True)

    assert "onflict" not in caplog.text


def test_keywords_are_those_of_the_grammar() -> None:
    [listed] = re.findall(r"^_FREE: /\(\?!\(\?:([a-z|]+)\)", grammar.grammar(), re.MULTILINE)

    assert set(listed.split("|")) == grammar.KEYWORDS


# ---- anything at all

WORDS = [
    "a",
    "a(",
    ")",
    "(",
    "{",
    "}",
    "[",
    "]",
    "|",
    "&",
    "->",
    ",",
    "=",
    "==",
    ":",
    "<",
    "1",
    "..",
    "%",
    "$k",
    '"',
    '"""',
    "n=",
    "k:",
    "#",
    "\\",
    "!",
    "|>",
    "?",
    "é",
    "-",
    "'",
    "if",
    "not",
    "and",
    "step",
    "do",
    "model",
    "let",
    "when",
    "else",
    "repeat(",
    "race(",
    "each",
    "use",
    "budget",
    "require",
]
WORDS = [word + " " if word.isalpha() else word for word in WORDS] + ["\n", "\0", "\ud800", "\u2028"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=24).map("".join) | st.text(max_size=40))
@example('a("\\')
@example("a#")
def test_any_text_is_a_spec_or_a_list_of_mistakes(text: str) -> None:
    try:
        read(text)
    except SpecError as error:
        found = render_all(error.diagnostics)
        if not all(c.isprintable() or c == "\n" for c in found):
            pytest.fail(found)
