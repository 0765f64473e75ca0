"""Graders: the rules of the field on cases whose verdicts are known."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from archc.bench.graders import f1, grade, letter, makes_24, value, words
from archc.bench.task import built_in, names


@pytest.mark.parametrize(
    ("answer", "gold", "same"),
    [
        ("18", "18", True),
        ("$18", "18", True),
        ("18.", "18", True),
        ("1,000", "1000", True),
        ("$1,250.", "1250", True),
        ("#### 72", "72", True),
        ("Some work\n#### 72", "72", True),
        ("-5", "5", False),
        ("180", "18", False),
        ("", "18", False),
        ("[invalid]", "18", False),
        ("N/A", "n/a", True),
    ],
)
def test_numbers_are_equal_as_lm_evaluation_harness_has_it(answer: str, gold: str, same: bool) -> None:
    assert grade("numeric", answer, [gold]).correct is same


@pytest.mark.parametrize("text", ["18.0", "18.00", "$18.00", "1.8e1", "36/2", "18%"])
def test_numbers_are_equal_by_value_too(text: str) -> None:
    assert value(text) == value("18")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("B", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("B) because it is so", "B"),
        ("**B**", "B"),
        ("b", "B"),
        ("the red one", "C"),
        ("A red one is what it is", "C"),
        ("I think red one or blue one", ""),
        ("", ""),
        ("banana", ""),
    ],
)
def test_choices_are_named_by_letter_or_words(text: str, named: str) -> None:
    assert letter(text, ["green", "blue one", "red one"]) == named


@pytest.mark.parametrize(
    ("answer", "gold", "exact", "shared"),
    [
        ("The Eiffel Tower", "eiffel tower", True, 1.0),
        ("Eiffel tower, Paris", "Eiffel Tower", False, 0.8),
        ("yes", "Yes.", True, 1.0),
        ("yes it is", "yes", False, 0.0),
        ("no", "noanswer", False, 0.0),
        ("a cat", "the dog", False, 0.0),
    ],
)
def test_words_are_compared_as_squad_and_hotpotqa_do(answer: str, gold: str, exact: bool, shared: float) -> None:
    assert (words(answer) == words(gold)) is exact
    assert f1(answer, gold) == pytest.approx(shared)


def test_the_best_of_several_right_answers_counts() -> None:
    assert grade("f1", "Stanley Hall", ["G. Stanley Hall", "Stanley Hall"]).correct
    assert grade("contains", "it was Marie Van Brittan Brown, in 1966", ["x", "Marie Van Brittan Brown"]).correct
    assert not grade("exact", "True", ["False"]).correct
    assert grade("exact", " (a). ", ["(A)"]).correct


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("(1 + 2 + 3) * 4 = 24", True),
        ("Answer: (1+3)*(2+4)", True),
        ("4 * 3 * 2 * 1", True),
        ("4 * 6", False),
        ("1 + 2 + 3 + 4", False),
        ("1 / (2 - 2) * 3 * 4", False),
        ("12 * 2 * (4 - 3)", False),
        ("__import__('os')", False),
        ("(" * 199, False),
        ("2 ** 3 ** 4 ** 1", False),
    ],
)
def test_24_is_worked_out(text: str, right: bool) -> None:
    assert makes_24(text, "1 2 3 4") is right


@pytest.mark.parametrize("name", names())
def test_a_built_in_task_says_all_of_itself(name: str) -> None:
    task = built_in(name)

    assert task.about
    assert task.licence
    assert task.source
    assert task.name == name
    assert task.found("So we get it.\nThe answer is 7.") if task.extract.get("kind") == "number" else True


def test_a_question_cannot_pass_for_a_part_of_the_prompt() -> None:
    task = built_in("mmlu")
    asked = task.asked("What is {choices}?", ("{question}", "x"), ())

    assert asked.startswith("What is {choices}?\n(A) {question}\n(B) x\n")


RECORDED = Path(os.environ.get("ARCHC_DATA") or Path(__file__).parents[3] / "shared" / "data") / "oracle"


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the data is not here")
def test_numbers_get_the_verdicts_that_were_published_for_43_models_on_gsm8k() -> None:
    lines = (RECORDED / "zeroeval_gsm.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    differing = [
        (record["id"], said)
        for record in map(json.loads, lines)
        for said, right, _ in record["models"]
        if said is not None and grade("numeric", str(said), [record["answer"]]).correct != bool(right)
    ]

    assert len(lines) > 100
    assert differing == []
