"""The simulated backend: pure draws, rates as told, replies that follow any schema."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from math import sqrt
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from archc import ops
from archc.backends import backend_class
from archc.backends._world import is_right, truth_of, wrong_answer
from archc.backends.simulated import Simulated
from archc.calls import CallError, Completion, FailureKind, Finish, Message, Purpose, Request, Sampling, Usage
from archc.ops.critique import Critiques
from archc.ops.evaluate import Results
from archc.ops.rank import Ranking
from archc.ops.score import Rating
from archc.ops.verify import Judgement
from archc.ops.write_tests import Assertions
from archc.prompts.fence import fence
from archc.prompts.reply import Reply, read_reply, schema_of

QUESTION = "What is six times seven?"
RIGHT = fence(["It follows.\nTherefore the answer is 42."])
WRONG = fence(["It follows.\nTherefore the answer is 43."])


async def never(_: float) -> None:
    raise AssertionError("slept")


def model(label: str = "small", **options: Any) -> Simulated:
    options.setdefault("answers", {QUESTION: "42"})
    return Simulated(label, Simulated.Options(**options), lambda *_: None, sleep=never)


def asked(
    text: str = QUESTION,
    seeds: tuple[int, ...] = (0,),
    schema: str | None = None,
    logprobs: bool = False,
    prompt: str = "prompt",
    **sampling: Any,
) -> Request:
    purpose = Purpose("generate", prompt, QUESTION)
    return Request((Message("user", text),), Sampling(**sampling), seeds, purpose, schema, logprobs)


def draw(backend: Simulated, request: Request) -> tuple[Completion, ...]:
    return asyncio.run(backend.complete(request))


def texts(backend: Simulated, request: Request) -> list[str]:
    return [c.text for c in draw(backend, request)]


def replies(kind: type[Reply], text: str, count: int = 1, **options: Any) -> list[Any]:
    request = asked(text, tuple(range(count)), schema_of(kind))
    found = [read_reply(kind, reply) for reply in texts(model(**options), request)]
    assert None not in found
    return found


def assert_rate(hits: int, count: int, rate: float) -> None:
    assert abs(hits - count * rate) <= 4 * sqrt(count * rate * (1 - rate))


# ---- purity


def test_it_is_found_by_name() -> None:
    assert backend_class("simulated") is Simulated


def test_a_completion_depends_on_its_own_seed_alone() -> None:
    backend = model()
    together = texts(backend, asked(seeds=(5, 6, 7)))
    assert texts(backend, asked(seeds=(7, 5))) == [together[2], together[0]]
    assert texts(model(), asked(seeds=(6,))) == [together[1]]
    assert len(set(texts(backend, asked(seeds=tuple(range(20)))))) > 10


def test_it_is_the_same_in_another_process() -> None:
    code = (
        "from tests.contract.test_simulated import *; from archc.ops.verify import Judgement as J\n"
        "print(json.dumps([texts(model(), asked(seeds=(1, 2))), texts(model(), asked(RIGHT, schema=schema_of(J)))]))"
    )
    command, root = [sys.executable, "-c", code], Path(__file__).parents[2]
    told = subprocess.run(command, capture_output=True, check=True, cwd=root, env={"PYTHONHASHSEED": "7"})
    here = [texts(model(), asked(seeds=(1, 2))), texts(model(), asked(RIGHT, schema=schema_of(Judgement)))]
    assert json.loads(told.stdout) == here


@pytest.mark.parametrize(
    ("other", "request_"),
    [
        (model(seed=1), asked(seeds=tuple(range(9)))),
        (model("big"), asked(seeds=tuple(range(9)))),
        (model(), asked(QUESTION + " ", tuple(range(9)))),
        (model(), asked(seeds=tuple(range(9)), temperature=0.1)),
    ],
)
def test_world_label_messages_and_sampling_change_the_draws(other: Simulated, request_: Request) -> None:
    assert texts(other, request_) != texts(model(), asked(seeds=tuple(range(9))))


def test_more_skill_is_right_wherever_less_is() -> None:
    request = asked(seeds=tuple(range(200)))
    low, high = ([is_right(t, "42") for t in texts(model(skill=s), request)] for s in (0.3, 0.7))
    assert all(h or not a for a, h in zip(low, high, strict=True))
    assert sum(low) < sum(high)


def test_the_fingerprint_tells_what_changes_answers() -> None:
    assert model().fingerprint.startswith("simulated:small ")
    assert model(skill=0.9).fingerprint != model().fingerprint
    assert model(latency=3, failure_rate=0.5).fingerprint == model().fingerprint


# ---- right and wrong


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The answer is 41.\nNo: the answer is 42.", True),
        ("The answer is 42.\nNo: the answer is 41.", False),
        ("so \\boxed{42}", True),
        ("first 42, then 41", False),
        ("", False),
        ("**Answer is: 42.**", True),
    ],
)
def test_the_last_claim_or_number_counts(text: str, right: bool) -> None:
    assert is_right(text, "42") is right


@pytest.mark.parametrize("truth", ["7", "-3.5", "C", "Paris", "two\nlines"])
def test_wrong_answers_differ_from_the_truth_and_each_other(truth: str) -> None:
    wrong = [f"the answer is {wrong_answer(truth, i)}." for i in range(8)]
    assert len(set(wrong)) == 8
    assert not any(is_right(text, truth) for text in wrong)
    assert is_right(f"the answer is {truth_of('q', {'q': truth})}.", truth)


def test_models_and_worlds_agree_on_what_is_right() -> None:
    truth = truth_of("Why?", {})
    for backend in (model(skill=1, answers={}), model("big", skill=1, answers={}, seed=9)):
        request = Request((Message("user", "Why?"),), Sampling(), (0,), Purpose("generate", "prompt", "Why?"))
        assert texts(backend, request)[0].endswith(f"\nTherefore the answer is {truth}.")


@pytest.mark.parametrize("skill", [0.0, 0.35, 0.6, 1.0])
def test_skill_is_the_share_of_right_answers(skill: float) -> None:
    drawn = texts(model(skill=skill, wrong_answers=3), asked(seeds=tuple(range(2000))))
    assert_rate(sum(is_right(t, "42") for t in drawn), 2000, skill)
    assert {t.rsplit(" ", 1)[1] for t in drawn} <= {"42.", "43.", "44.", "45."}


@pytest.mark.parametrize(("right", "rate"), [(0, 0.3), (2, 0.5), (4, 0.8)])
def test_answers_from_answers_follow_the_share_of_right_ones(right: int, rate: float) -> None:
    shown = fence(["answer is 42"] * right + ["answer is 1"] * (4 - right))
    drawn = texts(model(skill=0.3), asked(shown, tuple(range(2000))))
    assert_rate(sum(is_right(t, "42") for t in drawn), 2000, rate)


@pytest.mark.parametrize("prompt", ["reason", "each"])
def test_reasons_and_critiques_claim_no_answer(prompt: str) -> None:
    assert "answer is" not in texts(model(), asked(RIGHT, prompt=prompt))[0]


def test_logprobs_are_negative_and_higher_for_right_answers() -> None:
    drawn = draw(model(), asked(seeds=tuple(range(500)), logprobs=True))
    by_right: dict[bool, list[float]] = {True: [], False: []}
    for c in drawn:
        assert c.logprob is not None
        by_right[is_right(c.text, "42")].append(c.logprob)
    right, wrong = (sum(v) / len(v) for v in (by_right[True], by_right[False]))
    assert wrong < right < 0
    assert min(by_right[True]) < max(by_right[False]) < 0
    assert draw(model(), asked())[0].logprob is None


@pytest.mark.parametrize(("shown", "right"), [(RIGHT, True), (WRONG, False)])
def test_labels_are_right_at_the_rate_of_judgement_and_more_likely_than_not(shown: str, right: bool) -> None:
    said = []
    for seed in range(800):
        (one,) = draw(model(judgement=0.8, seed=seed), replace(asked(shown), labels=("yes", "no")))
        said.append((one.text == "yes") == right)
        assert one.logprob is not None
        assert math.log(0.5) <= one.logprob <= 0
    assert_rate(sum(said), 800, 0.8)


# ---- judges


@pytest.mark.parametrize(("shown", "right"), [(RIGHT, True), (WRONG, False)])
def test_verdicts_are_right_at_the_rate_of_judgement(shown: str, right: bool) -> None:
    said = [r.verdict == "correct" for r in replies(Judgement, shown, 2000, judgement=0.7)]
    assert_rate(said.count(right), 2000, 0.7)


def test_ranking_puts_right_ones_first() -> None:
    shown = fence(["answer is 1", "answer is 42", "answer is 2", "answer is 42"])
    schema = schema_of(Ranking, ranking={"minItems": 4, "maxItems": 4})
    for reply in texts(model(judgement=1), asked(shown, tuple(range(50)), schema)):
        ranking = json.loads(reply)["ranking"]
        assert set(ranking[:2]) == {2, 4}
        assert sorted(ranking) == [1, 2, 3, 4]


def test_ranking_errs_at_the_rate_of_judgement() -> None:
    shown = fence(["answer is 1", "answer is 42"])
    wrong_first = sum(r.ranking == [1, 2] for r in replies(Ranking, shown, 2000, judgement=0.8))
    assert_rate(wrong_first, 2000, 0.2 * 0.2 + 0.5 * 2 * 0.2 * 0.8)


def test_scores_are_high_for_right_and_low_for_wrong() -> None:
    right, wrong = ({r.score for r in replies(Rating, shown, 200, judgement=1)} for shown in (RIGHT, WRONG))
    assert right == {6, 7, 8, 9, 10}
    assert wrong == {1, 2, 3, 4, 5}


def test_right_ones_pass_all_tests_and_wrong_ones_fail_one() -> None:
    tests = "\n\n1. It is even.\n2. It is below 50.\n3. It is a number."
    assert all(r.of(3) == [True] * 3 for r in replies(Results, RIGHT + tests, 50, judgement=1))
    assert all(len(r.results) == 3 and not all(r.of(3)) for r in replies(Results, WRONG + tests, 50, judgement=1))
    fenced = fence(["even", "odd"], "test")
    assert replies(Results, f"{RIGHT}\n\n{fenced}", judgement=1)[0].of(2) == [True, True]


def test_critiques_speak_of_each_candidate() -> None:
    [reply] = replies(Critiques, fence(["answer is 1", "answer is 42", "answer is 3"]), judgement=1)
    assert [(c.id, "mistake" in c.weaknesses) for c in reply.critiques] == [(1, True), (2, False), (3, True)]


def test_tests_are_different_statements() -> None:
    [reply] = replies(Assertions, QUESTION)
    assert len(set(reply.tests)) == len(reply.tests) == 3


def all_replies() -> list[type[Reply]]:
    for name in ops.names():
        import_module(f"archc.ops.{name}")
    return [kind for kind in Reply.__subclasses__() if kind.__module__.startswith("archc.")]


@pytest.mark.parametrize("kind", all_replies(), ids=lambda kind: kind.__name__)
def test_replies_of_all_ops_can_be_read(kind: type[Reply]) -> None:
    for shown in (QUESTION, RIGHT, fence(["answer is 1", "42", "answer is 3"])):
        replies(kind, shown, 20)


class Tree(BaseModel):
    label: Literal["a", "b"]
    children: list[Tree]
    parent: Tree | None


def between(kind: Any, low: float) -> Any:
    return Annotated[kind, Field(gt=low, lt=low + 2)]


def sized(kind: Any, least: int) -> Any:
    return Annotated[kind, Field(min_length=least, max_length=least + 1)]


LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([bool, int, str, Tree, Literal["yes", "no", 3], tuple[int, str]]),
    st.builds(between, st.just(int), st.integers(-50, 50)),
    st.builds(between, st.just(float), st.floats(-5, 5)),
    st.builds(sized, st.just(str), st.integers(0, 30)),
)
KINDS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(sized, inner.map(lambda kind: GenericAlias(list, (kind,))), st.integers(0, 4)),
        inner.map(lambda kind: kind | None),
    ),
    max_leaves=3,
)
NAMES = st.sampled_from(["ranking", "verdict", "score", "results", "critiques", "tests", "candidate", "other"])


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(NAMES, KINDS, min_size=1), st.integers(0, 3), st.integers(0, 99))
def test_replies_are_valid_under_any_schema(fields: dict[str, Any], count: int, seed: int) -> None:
    kind: Any = type("Any_", (Reply,), {"__annotations__": fields})
    shown = fence([f"answer is {40 + i}" for i in range(count)])
    [reply] = texts(model(), asked(shown, (seed,), schema_of(kind), max_tokens=1_000_000))
    TypeAdapter(kind).validate_json(reply)


@pytest.mark.parametrize(
    "schema",
    [
        "{",
        "3",
        '{"$ref": "#/$defs/none"}',
        '{"$ref": "#"}',
        '{"type": "array", "minItems": "x"}',
        '{"properties": {"a": {"$ref": "#"}}, "required": ["a"]}',
        '{"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}',
    ],
)
def test_broken_schemas_are_bad_requests(schema: str) -> None:
    with pytest.raises(CallError) as caught:
        draw(model(), asked(schema=schema))
    assert caught.value.failed.kind is FailureKind.BAD_REQUEST


# ---- the server's side


def test_scripts_are_picked_by_seed() -> None:
    backend = model(script=["a", "b", "c"])
    assert texts(backend, asked(seeds=(4, 0, 5), schema="{}")) == ["b", "a", "c"]


def test_max_tokens_cuts_at_four_bytes_a_token() -> None:
    [whole] = draw(model(), asked(max_tokens=1000))
    [short] = draw(model(), asked(max_tokens=5))
    assert (short.text, short.finish) == (whole.text[:20], Finish.LENGTH)
    assert (short.usage.completion, whole.finish) == (5, Finish.STOP)
    assert draw(model(script=["ééé"]), asked(max_tokens=1))[0].text == "éé"
    assert draw(model(script=["12345678"]), asked(max_tokens=2))[0].finish is Finish.STOP


def test_stop_strings_end_the_text_where_they_come_before_the_limit() -> None:
    backend = model(script=["one two three four"])
    [done] = draw(backend, asked(stop=(" four", " three", "")))
    assert (done.text, done.finish, done.usage.completion) == ("one two", Finish.STOP, 2)
    assert draw(backend, asked(stop=(" four",), max_tokens=2))[0].finish is Finish.LENGTH


def test_usages_add_up_and_count_the_prompt_once() -> None:
    done = draw(model(script=["12345", "1"]), asked("123456789", seeds=(0, 1, 2)))
    assert [c.usage for c in done] == [Usage(3 + 4, 2), Usage(0, 1), Usage(0, 2)]


def test_half_a_surrogate_pair_is_no_trouble() -> None:
    [done] = draw(model(script=["\ud800"]), asked("\ud800"))
    assert done.finish is Finish.STOP
    assert draw(model(answers={}), asked("\ud800", schema="{}"))


def test_requests_fail_at_the_failure_rate_each_time_the_same() -> None:
    backend = model(failure_rate=0.25)

    async def failed() -> list[bool]:
        done = await asyncio.gather(*(backend.complete(asked(seeds=(i,))) for i in range(600)), return_exceptions=True)
        kinds = [one.failed.kind if isinstance(one, CallError) else None for one in done]
        assert set(kinds) == {FailureKind.OVERLOAD, None}
        return [kind is not None for kind in kinds]

    first = asyncio.run(failed())
    assert_rate(sum(first), 600, 0.25)
    assert asyncio.run(failed()) == first


def test_latency_is_slept_once_per_request() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    options = Simulated.Options(latency=2, latency_per_token=0.5, script=["1234", "12345678"])
    backend = Simulated("small", options, lambda *_: None, sleep=sleep)
    draw(backend, asked(seeds=(0, 1)))
    assert slept == [3.0]


@pytest.mark.parametrize("wrong", [{"skill": 1.1}, {"latency": -1}, {"latency": "inf"}, {"script": []}, {"other": 1}])
def test_options_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Simulated.Options(**wrong)
