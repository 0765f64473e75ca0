"""optillm's approach strings: what each means here, where it differs, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc import lowering
from archc.diagnostics import SpecError
from archc.planning.plan import Plan, plan
from archc.source import Source
from archc.spec.foreign.optillm import KNOWN, read_optillm
from archc.spec.located import plain
from archc.spec.reading import read_spec
from archc.values import Interval
from tests.fakes import Scripted, answer

SUPPORTED = ["none", "bon", "moa", "self_consistency", "majority_voting", "genselect", "cot_reflection", "re2", "mars"]


def steps(text: str) -> Any:
    return plain(read_optillm(Source("approach", text))[0])["pipeline"]


def told(text: str) -> list[str]:
    return [repr(d) for d in read_optillm(Source("approach", text))[1]]


def refusal(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read_optillm(Source("approach", text))
    return [repr(d) for d in caught.value.diagnostics]


def compiled(text: str) -> Plan:
    source = Source("approach", text)
    return plan(lowering.lower(read_spec(source, read_optillm(source)[0]), {}))


def ops(text: str) -> list[str]:
    return [node.op.name for node in compiled(text).graph.nodes]


# ---- what it means


def test_best_of_three_with_optillms_numbers() -> None:
    assert steps("bon-gpt-4o-mini") == [
        {"generate": {"model": "gpt_4o_mini", "n": 3, "temperature": 1.0, "max_tokens": 4096}},
        {"score": {"model": "gpt_4o_mini", "temperature": 0.1, "max_tokens": 256}},
        {"select": {"by": "score"}},
    ]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("none-m", 1),
        ("bon-m", 6),
        ("moa-m", 5),
        ("self_consistency-m", 5),
        ("majority_voting-m", 6),
        ("genselect-m", 5),
        ("cot_reflection-m", 1),
        ("re2-m", 1),
        ("mars-m", 15),
        ("moa&bon-m", 11),
        ("bon|moa-m", 12),
        ("re2&mars&bon-m", 22),
        ("mars|cot_reflection-m", 17),
    ],
)
def test_calls_at_least_and_one_answer_at_the_end(text: str, calls: int) -> None:
    made = compiled(text)

    assert made.cost.calls.lo == calls
    assert made.graph.output_shape().size == Interval(1, 1)
    assert made.warnings == ()


def test_the_rest_is_the_models_name() -> None:
    models = plain(read_optillm(Source("approach", "moa-meta-llama/Llama-3.1-8B"))[0])["models"]

    assert [model["model"] for model in models.values()] == ["meta-llama/Llama-3.1-8B"]


@pytest.mark.parametrize("name", ["gpt-4o", "deepseek-chat", "claude-3-5-sonnet", "mistral-large", "qwen2.5-7b"])
def test_a_bare_model_is_asked_as_it_is(name: str) -> None:
    assert ops(name) == ["generate"]
    assert compiled(name).graph.models[0].shared.model == name


def test_a_pipeline_goes_on_from_the_answer_before() -> None:
    assert ops("moa&bon-m") == ["generate", "critique", "fuse", "fuse", "score", "select"]
    assert ops("cot_reflection&re2-m") == ["generate", "fuse"]
    assert "{candidates}" in steps("bon&re2-m")[3]["fuse"]["prompt"]
    assert told("moa&bon-m") == [
        "approach:1:5: warning[near-equivalent]: `bon` writes new answers to the question from the one before, "
        "where optillm asks that answer as a question"
    ]


def test_both_are_asked_side_by_side_and_a_judge_picks() -> None:
    [both, judge] = steps("bon|moa-m")

    assert [len(branch) for branch in both] == [3, 3]
    assert judge == {"rank": {"model": "m", "top_k": 1}}
    assert told("bon|moa-m") == [
        "approach:1:1: warning[near-equivalent]: a judge picks one of the answers, where optillm gives all of them"
    ]


def test_the_output_is_the_answer() -> None:
    def reply(request: Any, i: int) -> str:
        return "<thinking>6 or 7? <reflection>7</reflection></thinking>\n<output>\nIt is 7.\n</output>"

    run = answer(compiled("cot_reflection-m"), Scripted(reply))

    assert run.answer == "It is 7."


# ---- what is refused


def test_unknown_approaches() -> None:
    assert refusal("bom-gpt-4o") == ["approach:1:1: error[unknown-approach]: optillm has no approach `bom`"]
    assert refusal("moa&marz-gpt-4o") == ["approach:1:5: error[unknown-approach]: optillm has no approach `marz`"]


@pytest.mark.parametrize("word", sorted(KNOWN - set(SUPPORTED)))
def test_approaches_without_equivalent_are_refused_by_name(word: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_optillm(Source("approach", f"{word}-gpt-4o"))

    [mistake] = caught.value.diagnostics
    assert mistake.headline.startswith(f"`{word}` of optillm has no equivalent here: it ")
    assert mistake.advice.startswith("nearest: `")
    assert all(f"`{name}`" in mistake.advice for name in SUPPORTED)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bon", "approach:1:1: error[unclear-approach]: no model is named"),
        ("bon-", "approach:1:1: error[unclear-approach]: no model is named"),
        ("", "approach:1:1: error[unclear-approach]: no model is named"),
        (
            "bon-moa-gpt-4o",
            "approach:1:5: error[unclear-approach]: `moa` would not be run: `-` does not combine approaches",
        ),
        (
            "bon&moa|re2-m",
            "approach:1:1: error[unclear-approach]: approaches stand between `&`, or between `|`, "
            "and both cannot be mixed",
        ),
    ],
)
def test_what_is_unclear(text: str, told: str) -> None:
    assert refusal(text) == [told]


@given(st.text("&|-abmonr_ \n", max_size=12) | st.lists(st.sampled_from([*KNOWN, "&", "|", "-", "x"])).map("".join))
def test_any_text_is_a_spec_or_a_diagnostic(text: str) -> None:
    source = Source("approach", text)
    try:
        root, _ = read_optillm(source)
    except SpecError:
        return
    lowering.lower(read_spec(source, root), {})
