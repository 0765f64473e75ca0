"""Help while a spec is written: diagnostics, hover and completion, on whole and half-written texts of both forms."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc import api, ops
from archc.editor.help import completions_at, hover_at
from archc.editor.look import diagnostics_of, look, severity_of
from archc.ir.statistics import UNITS
from archc.source import Source
from archc.spec.arch.grammar import KEYWORDS, STATEMENTS

ROOT = Path(__file__).parents[2]

ARCH = """# a comment about generate
architecture demo
param k = 4
param open
model small = simulated("s", skill=0.5)
model big = openai("Qwen", base_url="http://localhost:8000/v1")
budget calls=640
require k > 1

let drafts = generate(small, n=$k)

drafts
  -> extract(number)
  -> repeat(times=3, until=agreement >= 0.8) { critique(big) -> refine(small) -> extract(number) }
  -> when count > 2 { vote } else { nothing }
  -> {rank(big) | fuse(big)}
"""

YAML = """# a comment about generate
params: {k: 4}
models:
  small: {backend: simulated, model: s, skill: 0.5}
  big:
    backend: openai
    model: Qwen
    base_url: http://localhost:8000/v1
budget: {calls: 640}
require: ["k > 1"]
pipeline:
  - let: {drafts: [generate: {model: small, n: $k}]}
  - drafts
  - extract: number
  - repeat:
      times: 3
      until: "agreement >= 0.8"
      do: [critique: big, refine: {model: small}, extract: {kind: number}]
  - when: {condition: count > 2, then: [vote], else: [nothing]}
  - !choice [rank: {model: big}, fuse: {model: big}]
"""


def arch(text: str) -> Source:
    return Source("spec.arch", text)


def yaml(text: str) -> Source:
    return Source("spec.yaml", text)


BOTH = [pytest.param(arch(ARCH.replace("param open\n", "")), id="arch"), pytest.param(yaml(YAML), id="yaml")]


def told(source: Source) -> list[tuple[str, str]]:
    return [(severity_of(d), d.name) for d in diagnostics_of(source)]


def hover(source: Source, word: str, after: str = "") -> str:
    """What is said of the first such word after a piece of the text."""
    at = source.text.index(word, source.text.index(after))
    found = hover_at(source, at + 1)
    if found is None:
        return ""
    assert found.start <= at + 1 <= found.end
    return found.text


def words(source: Source) -> set[str]:
    """The completions at the `|` of a text, which is taken out."""
    at = source.text.index("|")
    found = completions_at(Source(source.name, source.text[:at] + source.text[at + 1 :]), at)
    assert all(one.start <= at <= one.end for one in found)
    assert [one.word for one in found] == sorted({one.word for one in found})
    return {one.word for one in found}


# ---- diagnostics


@pytest.mark.parametrize("whole", BOTH)
def test_a_spec_with_open_choices_has_nothing_wrong(whole: Source) -> None:
    assert told(whole) == []
    assert look(whole).plans


@pytest.mark.parametrize("path", sorted([*(ROOT / "specs").glob("*.*"), *(ROOT / "search").rglob("*.arch")]))
def test_shipped_specs_have_nothing_wrong(path: Path) -> None:
    assert {severity for severity, _ in told(api.read(path))} <= {"information"}


def test_every_mistake_is_told_with_its_other_places() -> None:
    text = 'model small = simulated("s")\ngenerate(small, n=2) -> vote -> rank(smal)'
    facet, model = diagnostics_of(arch(text))

    assert (facet.name, model.name) == ("missing-facet", "unknown-model")
    assert model.span
    assert model.span.text == "smal"


def test_mistakes_in_any_option_are_told() -> None:
    text = 'model small = simulated("s")\ngenerate(small) -> {rank(small) | fuse(smal) | generat(small)}'

    assert told(arch(text)) == [("error", "unknown-model"), ("error", "unknown-op")]


def test_what_only_holds_in_some_options_is_no_warning() -> None:
    text = 'model small = simulated("s")\nmodel big = simulated("b")\ngenerate({small | big}, n=2) -> rank(small)'

    assert told(arch(text)) == []


def test_params_that_must_be_given_are_no_mistakes() -> None:
    text = 'param writer\nparam n\nmodel small = simulated("s")\ngenerate($writer) -> when $n > 1 { generat(small) }'

    assert told(arch(text)) == [
        ("information", "missing-param"),
        ("information", "missing-param"),
        ("error", "unknown-op"),
    ]
    assert told(yaml("params: {w: null}\npipeline: [generate: {model: $w}]")) == [("information", "missing-param")]


def test_variables_of_the_environment_are_given_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHC_NOT_SET", raising=False)
    text = 'models: {m: {backend: simulated, model: "${ARCHC_NOT_SET}"}}\npipeline: [generate: m]'

    assert told(yaml(text)) == [("information", "unset-variable")]


def test_unmet_requirements_are_told() -> None:
    text = 'param k = 1\nrequire k > 1\nmodel small = simulated("s")\ngenerate(small, n=$k)'

    assert told(arch(text)) == [("error", "broken-requirement")]


@pytest.mark.parametrize(
    "text", ["", "\n", "model", "pipeline:", "a -> ", "{", "\ud800", "\x00", "- " * 5000, "(" * 999]
)
def test_broken_texts_are_told_of(text: str) -> None:
    for whole in (arch(text), yaml(text)):
        assert {severity for severity, _ in told(whole)} == {"error"}


# ---- hover


@pytest.mark.parametrize("whole", BOTH)
def test_hover_shows_what_words_mean(whole: Source) -> None:
    assert hover(whole, "generate", "let").startswith("**generate**\n\n`generate`: 4 calls of small, depth 1, at most ")
    assert "leaves `[4]` candidates" in hover(whole, "generate", "let")
    assert "- `n` = 1: How many." in hover(whole, "generate", "let")
    assert hover(whole, "repeat").startswith("**repeat**\n\n`repeat`: 1..18 calls, depth 1..9")
    assert "+critique" in hover(whole, "critique", "repeat")
    assert hover(whole, "n", " n") == "`n` = 1: How many."
    assert hover(whole, "$k") == "`$k`: a param, `4`"
    assert hover(whole, "agreement") == "`agreement` (share): the share of the most frequent answer"
    assert hover(whole, "count").startswith("`count` (candidates): ")
    assert hover(whole, "times").startswith("`times`: How many rounds")
    assert hover(whole, "number") == "`kind`: What an answer looks like."
    assert hover(whole, "simulated").startswith("A model that answers right")
    assert hover(whole, "skill").startswith("`skill` = 0.6: ")
    assert hover(whole, "calls").startswith("`calls` = null: ")
    assert hover(whole, "require").startswith("`require`")
    assert hover(whole, "small", "let") == "`small`: a model, backend `simulated`, model `s`"
    assert "base_url `http://localhost:8000/v1`" in hover(whole, "big", "critique")
    assert hover(whole, "nothing").startswith("**nothing**")
    assert hover(whole, "drafts", "$k").startswith("`drafts`: what a pipeline")
    assert hover(whole, "rank").startswith("**rank**\n\n`rank`: ")
    assert hover(whole, "fuse").startswith("**fuse**\n\n`fuse`: 1 calls"), "it is in the second option"


@pytest.mark.parametrize("whole", BOTH)
def test_comments_and_texts_say_nothing(whole: Source) -> None:
    assert hover(whole, "generate") == ""
    assert hover(whole, "Qwen").partition(":")[0] in ("", '`model` = "embedded"')
    assert completions_at(whole, 5) == []


def test_hover_works_on_half_written_texts() -> None:
    text = 'model small = simulated("s")\ngenerate(small, n=3) -> rank(small, top_k='

    assert hover(arch(text), "rank").startswith("**rank**\n\nOrder the answers")
    assert hover(arch(text), "top_k") == "`top_k` = null: How many to keep; all by default."
    assert hover(arch(text), "small", "rank") == "`small`: a model"
    assert hover(yaml("pipeline:\n  - rank: {model: m, top_k: "), "top_k").startswith("`top_k`")


def test_hover_tells_what_the_optimiser_removes() -> None:
    text = 'model a = simulated("a")\ngenerate(a) -> critique(a) -> generate(a)'

    assert "removed by the optimiser" in hover(arch(text), "critique")


def test_hover_shows_every_copy_of_a_step() -> None:
    text = (
        'model a = simulated("a")\nmodel b = simulated("b")\ncascade([a, b], until=count > 1) { generate($model, n=3) }'
    )
    shown = hover(arch(text), "generate")

    assert "`generate`: 3 calls of a" in shown
    assert "`generate2`: 0..3 calls of b" in shown


@pytest.mark.parametrize("name", ops.names())
def test_every_op_has_a_hover(name: str) -> None:
    assert hover(arch(f"{name}"), name).startswith(f"**{name}**\n\n")
    assert hover(yaml(f"pipeline: [{name}: {{}}]"), name).startswith(f"**{name}**\n\n")


# ---- completion

STEPS = {*ops.names(), "keep", "nothing", "use"}


@pytest.mark.parametrize(
    "text",
    [
        "|",
        "model a = simulated\n|",
        "model a = simulated\nge|",
        "generate(a) -> |",
        "generate(a) -> ra|nk(b)",
        "let d = |",
        "(generate(a) & |",
        "repeat(times=2) { |",
        "repeat(times=2) { critique(a) -> |\n}",
        "when count > 2 { |",
        'model a = openai("x", \nrequire k > 1\nkeep -> |',
    ],
)
def test_steps_are_offered_in_arch(text: str) -> None:
    assert words(arch(text)) >= STEPS


@pytest.mark.parametrize(
    "text",
    [
        "pipeline:\n  - |",
        "pipeline:\n  - gen|: {model: a}",
        "pipeline: [|",
        "pipeline: [generate: a, |",
        "pipeline:\n  - generate: {model: a}\n  - |\n",
        "pipeline:\n  - repeat:\n      do:\n        - |",
        "pipeline:\n  - each: [|",
        "pipeline:\n  - race: {branches: [[|",
        "pipeline:\n  - - |",
        "pipeline:\n  - let: {a: [|",
        "pipeline:\n  - !choice [|",
    ],
)
def test_steps_are_offered_in_yaml(text: str) -> None:
    assert words(yaml(text)) >= STEPS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("generate(|", {"model", "n", "temperature"}),
        ("generate(a, |", {"model", "n", "temperature"}),
        ("generate(a, te|", {"temperature"}),
        ("generate(a, stop=[1, 2], |", {"temperature"}),
        ("budget |", {"calls", "tokens", "usd", "seconds", "on_exhausted"}),
        ("budget calls=3 |", {"tokens"}),
        ("budget on_exhausted=|", {"stop", "error"}),
        ("budget(|", {"calls", "do"}),
        ("rules |", {"open", "archon"}),
        ("model a = |", {"openai", "simulated", "llamacpp"}),
        ("model a = openai(|", {"model", "base_url", "price"}),
        ("model a = simulated\nmodel b = simulated\ngenerate(|", {"a", "b"}),
        ("model a = simulated\ngenerate(model=|", {"a"}),
        ("model a = simulated\nparam m = 1\ncascade([x, |", {"a", "$m"}),
        ("param k = 1\nlet d = keep\n|", {"d"}),
        ("param k = 1\ngenerate(a, n=|", {"$k"}),
        ("param k = 1\ngenerate(a, n=$|", {"$k"}),
        ("param k = 1\nrequire |", {"k", "and", "not"}),
        ("when |", {"agreement", "count", "spent.calls", "left.tokens"}),
        ("when count > 2 and spent.|", {"spent.calls"}),
        ("until(|", {"confidence", "max", "batch"}),
        ("repeat(times=2, until=|", {"round", "true"}),
        ("extract(|", {"number", "regex", "kind"}),
        ("extract(kind=|", {"number", "regex"}),
        ("generate(a, logprobs=|", {"true", "false"}),
        ("|", set(STATEMENTS)),
    ],
)
def test_words_are_offered_in_arch(text: str, expected: set[str]) -> None:
    assert words(arch(text)) >= expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|", {"pipeline", "models", "params", "budget", "require", "rules", "name"}),
        ("name: x\nmo|", {"models"}),
        ("budget: {|", {"calls", "tokens"}),
        ("budget:\n  |", {"calls", "tokens"}),
        ("budget: {on_exhausted: |", {"stop", "error"}),
        ("rules: |", {"open", "archon"}),
        ("models: {a: {|", {"backend", "model", "slots"}),
        ("models:\n  a:\n    backend: openai\n    |", {"base_url"}),
        ("models: {a: {backend: |", {"openai", "simulated"}),
        ("models: {a: {}, b: {}}\npipeline: [generate: |", {"a", "b"}),
        ("models: {a: {}}\npipeline: [generate: {model: |", {"a"}),
        ("models: {a: {}}\npipeline: [cascade: {models: [x, |", {"a"}),
        ("params: {k: 1}\npipeline: [generate: {n: |", {"$k"}),
        ('params: {k: 1}\nrequire: ["|', {"k", "and"}),
        ("pipeline: [generate: {|", {"model", "n"}),
        ("pipeline:\n  - generate:\n      |", {"model", "n"}),
        ("pipeline:\n  - let: {d: [keep]}\n  - |", {"d", "let"}),
        ("pipeline: [when: {condition: |", {"agreement", "spent.calls"}),
        ('pipeline: [when: {condition: "count > 2 and |', {"agreement"}),
        ("pipeline: [when: {condition: 'count > 2 and |", {"agreement"}),
        ("pipeline: [extract: |", {"number", "regex"}),
        ("pipeline: [extract: {kind: |", {"number", "regex"}),
        ("pipeline: [generate: {logprobs: |", {"true", "false"}),
    ],
)
def test_words_are_offered_in_yaml(text: str, expected: set[str]) -> None:
    assert words(yaml(text)) >= expected


def test_only_what_fits_is_offered() -> None:
    assert words(arch("param k = 1\nmodel a = simulated\ngenerate(a, n=|")) == {"$k"}
    assert not words(arch("generate(a, |")) & STEPS
    assert not words(yaml("pipeline: [generate: {|")) & STEPS
    assert words(arch("when |")) >= set(UNITS)
    assert words(arch("# |")) == words(arch('generate("|"')) == words(yaml("# |")) == set()
    assert words(arch("|")) >= KEYWORDS & STEPS


# ---- no text makes it fail

MARKS = (
    '2 0.5 80% small $k agreement spent.calls n= " """ # ( ) { } [ ] -> & | , .. >= : ? !choice models: generate: do:'
)
ODD = [
    "'",
    "\n",
    "\n  ",
    " ",
    "- ",
    "pipeline:\n",
    "{model: small}",
    "é",
    "𝔸",
    "\ud800",
    "\x00",
    "\ue000",
    "\r",
    "\u2028",
]
PIECES = st.sampled_from([*sorted(KEYWORDS), *ops.names(), *MARKS.split(), *ODD])


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=40), st.integers(-3, 60))
def test_no_text_makes_it_fail(text: str, offset: int) -> None:
    for whole in (arch(text), yaml(text)):
        diagnostics_of(whole)
        hover_at(whole, offset)
        completions_at(whole, offset)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([ARCH, YAML]), st.integers(0, 1000), st.integers(0, 1000), PIECES)
def test_no_mistake_in_a_spec_makes_it_fail(text: str, first: int, last: int, piece: str) -> None:
    changed = text[:first] + piece + text[last:]
    whole = arch(changed) if text is ARCH else yaml(changed)

    diagnostics_of(whole)
    hover_at(whole, first)
    completions_at(whole, first + len(piece))
