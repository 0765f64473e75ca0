"""The options of the MoA scripts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc import lowering
from archc.diagnostics import SpecError
from archc.planning.plan import plan
from archc.source import Source
from archc.spec.foreign.moa import read_moa
from archc.spec.located import plain
from archc.spec.reading import read_spec

AS_PUBLISHED = """python generate_for_alpaca_eval.py --model "Qwen/Qwen1.5-110B-Chat" \\
    --reference_models "microsoft/WizardLM-2-8x22B,Qwen/Qwen1.5-72B-Chat,databricks/dbrx-instruct" \\
    --rounds 2 --output_path outputs/moa.json --num_proc 4
"""


def steps(text: str) -> Any:
    return plain(read_moa(Source("options", text))[0])["pipeline"]


def refusal(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read_moa(Source("options", text))
    return [repr(d) for d in caught.value.diagnostics]


def test_the_command_as_published() -> None:
    source = Source("options", AS_PUBLISHED)
    root, told = read_moa(source)
    made = plan(lowering.lower(read_spec(source, root), {}))

    assert [[next(iter(s)) for s in layer] for layer in steps(AS_PUBLISHED)[:2]] == [["generate"] * 3, ["fuse"] * 3]
    assert steps(AS_PUBLISHED)[2] == {"fuse": {"model": "qwen1_5_110b", "temperature": 0.7, "max_tokens": 2048}}
    assert list(plain(root)["models"]) == ["wizardlm_2_8x22b", "qwen1_5_72b", "dbrx", "qwen1_5_110b"]
    assert (made.cost.calls.hi, made.depth.hi) == (7, 3)
    assert [d.headline for d in told] == [
        "`--output_path` is left out: it says nothing about the architecture",
        "`--num_proc` is left out: it says nothing about the architecture",
    ]


def test_without_references_the_model_answers_alone() -> None:
    assert steps("--model=a/b --temperature 0 --max_tokens=512 --rounds 3") == [
        {"generate": {"model": "b", "temperature": 0, "max_tokens": 512}}
    ]


def test_a_reference_may_come_twice_and_lists_may_be_written_otherwise() -> None:
    [first, last] = steps("--model a --reference-models '[x, x]'")

    assert [s["generate"]["model"] for s in first] == ["x", "x"]
    assert last["fuse"]["model"] == "a"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "options:1:1: error[bad-option]: `--model` is missing"),
        ("--model", "options:1:1: error[bad-option]: `--model` has no value"),
        ("--model --rounds 2", "options:1:1: error[bad-option]: `--model` has no value"),
        ("--modl x", "options:1:1: error[bad-option]: `--modl` is no option of the script"),
        ("--model x --rounds 0", "options:1:20: error[bad-option]: `--rounds` is a whole number from 1 to 100"),
        ("--model x --rounds 1.5", "options:1:20: error[bad-option]: `--rounds` is a whole number from 1 to 100"),
        ("--model x --max_tokens many", "options:1:24: error[bad-option]: `--max_tokens` is a number"),
        ("--model x y", "options:1:11: error[bad-option]: `y` is no option"),
        (
            "--model x --reference_paths a.json",
            "options:1:11: error[bad-option]: `--reference_paths` takes answers from files",
        ),
    ],
)
def test_mistakes(text: str, told: str) -> None:
    assert refusal(text) == [told]


WORDS = ["--model", "--rounds", "--reference_models", "=", "x", "2", ",", "'", '"', "--", "-", "--max_tokens", "9" * 12]


@given(st.lists(st.sampled_from([*WORDS, " ", "\n"]), max_size=12).map("".join))
def test_any_text_is_a_spec_or_diagnostics(text: str) -> None:
    source = Source("options", text)
    try:
        root, _ = read_moa(source)
    except SpecError:
        return
    read_spec(source, root)
