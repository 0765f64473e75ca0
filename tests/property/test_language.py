"""Any text at all is a spec or a list of diagnostics, quickly; never another exception."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from unittest import mock

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from archc import api
from archc.diagnostics import SpecError, render, render_all
from archc.source import Source, Span
from archc.spec.yaml import MAX_CHARACTERS, read_yaml
from tests.fuzz.campaign import watched
from tests.strategies import specs

SHIPPED = [p.read_text(encoding="utf-8") for p in sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))]
ENVIRON = {"ARCHC_CONFIG": "/nonexistent/archc.toml"}


def outcome(text: str, overrides: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The names of what is wrong, after rendering it in every form; none if the text compiles."""
    try:
        plan = api.compile(Source("any.yaml", text), overrides=overrides, environ=ENVIRON)
    except SpecError as error:
        found = error.diagnostics
        assert found
    else:
        api.explain(plan).encode()
        json.dumps(plan.as_json(), allow_nan=False).encode()
        found = plan.warnings
    for diagnostic in found:
        assert re.fullmatch(r"[a-z-]+", diagnostic.name)
        assert "\n" not in render(diagnostic, "concise")
        json.dumps(diagnostic.as_json(), ensure_ascii=False).encode()
    shown = render_all(found)
    shown.encode()
    assert all(c.isprintable() or c == "\n" for c in shown)
    return tuple(d.name for d in found)


# ---- spans


@st.composite
def spans(draw: st.DrawFn, count: int) -> list[Span]:
    source = Source("x", draw(st.text(alphabet="ab\n\r\té日", max_size=30)))
    ends = st.integers(0, len(source.text))
    pairs = [sorted((draw(ends), draw(ends))) for _ in range(count)]
    return [source.span(start, end) for start, end in pairs]


@settings(max_examples=150, deadline=None)
@given(spans(3))
def test_span_algebra(three: list[Span]) -> None:
    a, b, c = three

    assert a.contains(a)
    assert a.join(b) == b.join(a)
    assert a.join(b).join(c) == a.join(b.join(c))
    assert a.join(a) == a
    assert a.join(b).contains(a)
    assert a.join(b).contains(b)
    assert a.contains(b) == (a.join(b) == a)
    if a.contains(b) and b.contains(c):
        assert a.contains(c)
    if a.contains(b) and b.contains(a):
        assert a == b
    assert not a.contains(Source("y", a.source.text).span(a.start, a.end))


@settings(max_examples=150, deadline=None)
@given(spans(1))
def test_a_span_knows_its_line_and_column(one: list[Span]) -> None:
    [span] = one
    lines = span.source.text.split("\n")

    assert span.line == span.source.text[: span.start].count("\n") + 1
    assert span.line_text() == lines[span.line - 1].rstrip("\r")
    assert sum(len(line) + 1 for line in lines[: span.line - 1]) + span.column - 1 == span.start


# ---- any text

ANY = st.text(st.characters(), max_size=60)  # lone surrogates and control characters too
WORDS = (
    "models pipeline budget rules name generate vote rank m backend simulated : - [ ] { } , & * ! | > ' \" # % @ ` ? "
    "<<: *m &m !!str !choice 1..3 --- ... 4 -1 0x1F 1e999 .nan .inf ~ null true no \\ \\uD800 \\U00110000 ${A} "
    "${A:-b} 日本"
)
BLANKS = ("\n", "\n  ", "\n  - ", "\n\t", " ", " ", ": ", "\r\n", "\ufeff", "\x00", "\x85", "\u2028")
YAMLISH = st.lists(st.sampled_from([*WORDS.split(), *BLANKS]), max_size=30).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.one_of(ANY, YAMLISH, YAMLISH.map(lambda text: f"pipeline:\n  - generate: {{{text}}}")))
@example('pipeline: ["\\ud800"]')
@example('pipeline: ["\\U00110000"]')
@example("%YAML 1." + "9" * 5000 + "\n---\na: 1")
@example("\ud800")
@example("a\x00b")
@example("\ufeffpipeline: []")
@example("? a\n: b")
@example("pipeline:\r  - generate")
def test_any_text_is_a_spec_or_diagnostics(text: str) -> None:
    outcome(text)


@settings(max_examples=300, deadline=None)
@given(st.one_of(YAMLISH, YAMLISH.map(lambda text: f"pipeline:\n  - generate: {{{text}}}")))
@example("a: {k: }\nb: [é? x, 😀]\n? |\n  x\n: !choice [1..3]\r\n")
def test_both_yaml_parsers_see_the_same(text: str) -> None:
    read = []
    for is_there in (True, False):
        with mock.patch.object(yaml, "__with_libyaml__", is_there):
            try:
                read.append(repr(read_yaml(Source("any.yaml", text))))
            except SpecError as error:
                read.append(render_all(error.diagnostics))

    assert read[0] == read[1]


@st.composite
def mutants(draw: st.DrawFn) -> str:
    """A good spec with a piece cut, doubled or replaced."""
    text = draw(st.one_of(st.sampled_from(SHIPPED), specs(max_steps=3)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 12)))
        piece = draw(st.one_of(st.just(""), st.just(text[at:end] * 2), YAMLISH))
        text = text[:at] + piece + text[end:]
    return text


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutants())
def test_a_damaged_spec_is_a_spec_or_diagnostics(text: str) -> None:
    outcome(text)


PARTS = st.sampled_from(
    ["models", "pipeline", "generate", "extract", "vote", "n", "model", "m", "*", "0", "9" * 30, "", "x", "\x00", "²"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=5).map(".".join), st.one_of(ANY, YAMLISH), st.sampled_from(["=", "", "=="]))
@example("budget" + ".a" * 50_000, "1", "=")
@example("", "\ud800=", "")
@example("generate.n", "\ud800", "=")
@example("generate.*", "4", "=")
@example("name", "# nothing", "=")
def test_overrides_are_applied_or_refused(path: str, value: str, sign: str) -> None:
    text = "models: {m: {backend: simulated}}\npipeline:\n  - generate: {model: m, n: 2}\n  - [extract]\n  - vote\n"
    outcome(text, (path + sign + value,))


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_variables_may_hold_anything(value: str) -> None:
    text = 'models: {m: {backend: openai, model: "${A}", base_url: "http://${A}", concurrency: "${A}"}}\npipeline:\n'
    try:
        api.lower(api.parse(text + "  - generate: {model: m}\n"), ENVIRON | {"A": value})
    except SpecError as error:
        render_all(error.diagnostics).encode()


# ---- hostile inputs

M = "models: {m: {backend: simulated}}\n"
BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
DEEP_TEXTS = ["[" * 100_000, "{a: " * 50_000, "- " * 100_000, "? " * 50_000, "a: [" * 1000, "!!x " * 1000]

TWICE = "[extract: {kind: json}, extract: {kind: json}], "
NO_PRICE = 'models: {m: {backend: simulated, price: {prompt: "nan", completion: "inf"}}}'

HOSTILE = {
    "an alias bomb": (BOMB, "no-aliases"),
    **{f"depth {text[:4]!r}": (text, "") for text in DEEP_TEXTS},
    "two mebibytes": ("a" * (2 << 20), "too-large"),
    "just too long": ("#" * (MAX_CHARACTERS + 1), "too-large"),
    "20,000 keys": ("\n".join(f"k{i}: 1" for i in range(20_000)), "unknown-key"),
    "500,000 items": ("pipeline: [" + "1," * 500_000 + "]", "too-large"),
    "a choice of mappings": ("pipeline: [vote: !choice {a: 1}]", "wrong-kind"),
    "a choice of nothing": ("pipeline: [!choice []]", "empty-choice"),
    "a choice in a key": ("!choice pipeline: [vote]", "no-tags"),
    "a huge range": (f"pipeline: [vote: {{k: !choice 1..{'9' * 5000}}}]", "bad-range"),
    "an endless range": ("pipeline: [vote: {k: !choice 0..1e999}]", "bad-range"),
    "many unknown keys": (
        f"{M}pipeline: [generate: {{model: m, {', '.join(f'k{i}: 1' for i in range(4000))}}}]",
        "unknown-key",
    ),
    "many models": (
        f"models: {{{', '.join(f'm{i}: {{}}' for i in range(2000))}}}\npipeline: [generate: {{model: m0}}]",
        "unused-model",
    ),
    "many connections": (f"{M}pipeline: [[{'select, ' * 4000}], [{'select, ' * 4000}]]", "too-large"),
    "a long chain": (f"{M}pipeline: [generate: {{model: m}}, {'extract: {kind: json}, ' * 1500} vote]", "dead-op"),
    "a long wrong chain": (f"{M}pipeline: [generate: {{model: m}}, {'select, ' * 3000} vote]", "missing-facet"),
    "doubling": (f"{M}pipeline: [generate: {{model: m}}, {TWICE * 40} vote]", "too-large"),
    "diamonds": (f"{M}pipeline: [generate: {{model: m}}, {'[select, select], ' * 60} vote]", "missing-facet"),
    "a huge integer": (f"{M}pipeline: [generate: {{model: m, n: {'9' * 5000}}}]", "bad-value"),
    "a large integer": (f"{M}pipeline: [generate: {{model: m, n: {'9' * 40}}}]", "too-large"),
    "a huge float": (f"{M}pipeline: [generate: {{model: m, temperature: 1e999999}}]", "bad-value"),
    "infinity": (f"{M}budget: {{seconds: 1e999}}\npipeline: [generate: {{model: m}}]", "bad-value"),
    "not a price": (f"{NO_PRICE}\npipeline: [generate: {{model: m}}]", "bad-value"),
    "a NUL": ("name: a\x00b", "not-yaml"),
    "a lone surrogate": ("name: \ud800", "not-yaml"),
    "half a character": ('name: "\\ud83d"', "not-yaml"),
    "no character": ('name: "\\U00110000"', "not-yaml"),
    "an escape sequence": ('"\\e]0;x\\a": 1', "unknown-key"),
    "a byte order mark": (f"\ufeff{M}pipeline: [generate: {{model: m}}]", ""),
    "windows": (f"{M}pipeline:\n  - generate: {{model: m}}\n".replace("\n", "\r\n"), ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_refused(name: str) -> None:
    text, wanted = HOSTILE[name]
    names = outcome(text)

    assert wanted in names if wanted else len(names) <= 1


FULL = 1 << 16
FILLED = {
    "the same key": ("", "a:\n"),
    "unknown ops": ("pipeline:\n", "- a\n"),
    "steps": (f"{M}pipeline: [generate: {{model: m}}", ", select"),
    "samplers": (f"{M}pipeline: [[generate: {{model: m}}", ", generate: {model: m}"),
    "aliases": ("pipeline: [a", ", *a"),
    "tags": ("pipeline: [a", ", !x a"),
    "choices": ("pipeline: [a", ", !choice [a, b]"),
    "ranges": ("pipeline: [vote: {k: [1", ", !choice 1..9"),
    "bad ranges": ("pipeline: [a", ", !choice a"),
}


@pytest.mark.parametrize("name", FILLED)
def test_64_kibibytes_are_compiled_or_refused(name: str) -> None:
    head, piece = FILLED[name]
    text = head + piece * ((FULL - len(head) - 8) // len(piece)) + "]" * head.count("[")
    with watched(), contextlib.suppress(SpecError):
        api.compile(Source("any.yaml", text), environ=ENVIRON)


def test_a_byte_order_mark_does_not_move_the_caret() -> None:
    with pytest.raises(SpecError) as caught:
        api.lower(api.parse("\ufeffnmae: x\npipeline: [vote]"), {})

    assert caught.value.diagnostics[0].span is not None
    assert caught.value.diagnostics[0].span.text == "nmae"


def test_files_are_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "marked.yaml").write_bytes(b"\xef\xbb\xbfname: x\r\n")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")

    assert api.read(tmp_path / "marked.yaml").text == "name: x\r\n"
    for wrong in ("latin.yaml", "missing.yaml", "."):
        with pytest.raises(SpecError, match="cannot read"):
            api.read(tmp_path / wrong)
