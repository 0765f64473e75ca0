"""write_tests and evaluate."""

from __future__ import annotations

import json

import pytest

from archc.calls import Conversation, Failed, FailureKind, Message
from archc.ir.shape import Shape
from archc.ops.evaluate import Evaluate, Results
from archc.ops.write_tests import GENERIC, Assertions, WriteTests
from archc.prompts.fence import fenced
from archc.values import CandidateSet, Facet, Interval
from tests.scripted import ScriptedContext, candidates, never, run


def written(reply: str | Failed, question: str = "Why is the sky blue?", **params: object) -> tuple[str, ...]:
    ctx = ScriptedContext(question, lambda *_: reply)
    before = candidates("a", "b", tests=("old",))
    after = run(WriteTests.model_validate({"model": "m", **params}), ctx, before)
    assert after.candidates == before.candidates
    assert ("degraded" in ctx.events) == (after.tests == (GENERIC,))
    return after.tests


def test_apostrophes_and_commas_are_part_of_a_test() -> None:
    tests = ("The answer states Bell's theorem, and why.", 'The answer says "yes", not "no".', "It's Ohm's, isn't it?")
    assert written(json.dumps({"tests": tests})) == tests
    assert written(json.dumps(tests)) == tests
    assert written("\n".join(f"- {t}" for t in tests)) == tests
    assert written("Here are the tests:\n\n" + "\n".join(f"{i}. {t}" for i, t in enumerate(tests, 1))) == tests
    assert written("\n".join(f"[{i}] {t}" for i, t in enumerate(tests, 1))) == tests
    assert written("\n".join(f'* "{t}"' for t in tests[:1])) == tests[:1]


def test_empty_equal_and_surplus_tests_are_dropped() -> None:
    reply = json.dumps({"tests": ["a", " ", "b\n  c", "a", "d", "e"]})
    assert written(reply, n=3) == ("a", "b c", "d")


@pytest.mark.parametrize(
    "reply", [Failed(FailureKind.TIMEOUT, "late"), '{"tests": []}', '{"tests": [" "]}', "I cannot.", "[1, 2]", "3", ""]
)
def test_one_generic_test_stands_in(reply: str | Failed) -> None:
    assert written(reply) == (GENERIC,)


@pytest.mark.parametrize("text", ["- a\nand b", "Sure\n- a", "a:", "[]", '["a", 1]', "{}"])
def test_what_is_not_a_list_is_not_read(text: str) -> None:
    assert Assertions.from_text(text) is None


def test_a_short_question_is_a_question() -> None:
    assert written('{"tests": ["x"]}', question="2+2?") == ("x",)
    judge = ScriptedContext("2+2?", lambda *_: '{"results": [{"test": 1, "passed": true}]}')
    assert run(Evaluate(model="m"), judge, candidates("4", tests=("x",))).candidates[0].score == 1.0


def test_the_question_is_never_changed() -> None:
    question = (
        Message("system", "Be kind."),
        Message("user", "Hi"),
        Message("assistant", "Hi"),
        Message("user", "2+2?"),
    )
    ctx = ScriptedContext(question, lambda *_: '{"tests": ["The answer is 4."]}')
    sets = CandidateSet()
    for _ in range(4):
        sets = run(WriteTests(model="m"), ctx, sets)
    assert ctx.question == question
    assert len({a.messages for a in ctx.asked}) == 1
    assert sets.tests == ("The answer is 4.",)
    assert ctx.asked[0].messages[1:3] == question[1:3]


def test_what_write_tests_makes() -> None:
    op = WriteTests(model="m", n=3)
    shape = op.shape(Shape(size=Interval.exactly(2), facets=frozenset({Facet.SCORE}), tests=10**6))
    assert (shape.facets, shape.size) == ({Facet.SCORE, Facet.TESTS}, Interval.exactly(2))
    assert 1024 < shape.tests < 1100
    assert (op.annotates, op.reads_candidates, op.needs) == (True, False, frozenset())


TESTS = ("t1", "t2", "t3")


def results(*passed: bool) -> str:
    return json.dumps({"results": [{"test": i, "passed": p} for i, p in enumerate(passed, 1)]})


def judge(by_text: dict[str, str | Failed]) -> ScriptedContext:
    """A judge whose reply depends on the candidate alone."""

    def replies(model: str, messages: Conversation, prompt: str, index: int) -> str | Failed:
        shown = next(m for m in messages if fenced(m.content))
        return by_text[fenced(shown.content)[0]]

    return ScriptedContext("2+2?", replies)


def kept(ctx: ScriptedContext, texts: str, **params: object) -> list[tuple[str, float | None]]:
    op = Evaluate.model_validate({"model": "m", **params})
    after = run(op, ctx, candidates(*texts.split(), tests=TESTS))
    return [(c.text, c.score) for c in after.candidates]


def test_an_unreadable_judgement_does_not_shift_the_scores() -> None:
    """Archon §6.1.9: [fails, unreadable, good] lost the good one."""
    ctx = judge({"ZZZ": results(False, False, False), "BAD": "well ...", "GOOD": results(True, True, True)})
    assert kept(ctx, "ZZZ BAD GOOD", k=3) == [("GOOD", 1.0), ("ZZZ", 0.0), ("BAD", 0.0)]
    assert kept(ctx, "ZZZ BAD GOOD") == [("GOOD", 1.0)]
    assert kept(ctx, "BAD ZZZ GOOD", k=2) == [("GOOD", 1.0), ("BAD", 0.0)]


def test_a_failed_judgement_scores_0_and_is_noted() -> None:
    ctx = judge({"a": Failed(FailureKind.TIMEOUT, "late"), "b": results(True, False, False)})
    after = run(Evaluate(model="m", k=2), ctx, candidates("a", "b", tests=TESTS))
    assert [(c.text, c.score, c.verdict and c.verdict.passed) for c in after.candidates] == [
        ("b", 1 / 3, False),
        ("a", 0.0, False),
    ]
    assert ctx.notes == [("failed", {"what": "evaluation", "reason": "late"})]


def test_the_verdict_names_the_failed_tests() -> None:
    ctx = judge({"a": results(True, False, False), "b": results(True, True, True)})
    verdicts = [c.verdict for c in run(Evaluate(model="m", k=2), ctx, candidates("a", "b", tests=TESTS)).candidates]
    assert [(v.passed, v.reason, v.approvals, v.votes) for v in verdicts if v] == [
        (True, "", 1, 1),
        (False, "- t2\n- t3", 0, 1),
    ]


def test_ties_go_to_the_first() -> None:
    same = {text: results(True, False, True) for text in "abc"}
    assert [text for text, _ in kept(judge(same), "c a b", k=2)] == ["c", "a"]


def test_all_pass() -> None:
    replies = {"a": results(False, True, True), "b": results(True, True, True), "c": results(True, True, True)}
    assert [t for t, _ in kept(judge(replies), "a c b", policy="all_pass")] == ["c", "b"]
    none = judge({"a": results(False, False, True), "b": results(False, True, True), "c": results(False, True, True)})
    assert kept(none, "a b c", policy="all_pass") == [("b", 2 / 3)]
    assert none.events == ["degraded"]


def test_first_k_judges_in_rounds_and_stops() -> None:
    yes, no = results(True, True, True), results(True, False, True)
    ctx = judge({"a": no, "b": yes, "c": yes, "d": yes, "e": yes})
    assert [t for t, _ in kept(ctx, "a b c d e", policy="first_k", k=2)] == ["b", "c"]
    assert len(ctx.asked) == 4
    few = judge({"a": no, "b": yes, "c": no})
    assert [t for t, _ in kept(few, "a b c", policy="first_k", k=2)] == ["b"]
    assert few.events == []
    none = judge({"a": results(False, False, False), "b": no})
    assert [t for t, _ in kept(none, "a b", policy="first_k", k=2)] == ["b"]
    assert none.events == ["degraded"]


def test_without_tests_all_go_on() -> None:
    ctx = ScriptedContext("?", never)
    assert run(Evaluate(model="m"), ctx, candidates("a", "b")) == candidates("a", "b")
    assert ctx.events == ["degraded"]


def test_the_judge_sees_the_tests_and_one_candidate() -> None:
    ctx = judge({"a": results(True, True, True)})
    assert kept(ctx, "a") == [("a", 1.0)]
    [asked] = ctx.asked
    assert "1. t1\n2. t2\n3. t3" in asked.text
    assert asked.sampling.temperature == 0.0


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("Unit Test #1: [Passed]\nUnit Test #2: [Failed]\nUnit Test #3: [Passed]", [True, False, True]),
        ("Test 1: passed\n\nTest 2: PASSED.\n- **Test 3**: failed", [True, True, False]),
        ("Unit Test #1: The compass is missing. [Failed]\nTest 2: [Passed]", [False, True, False]),
        ("Unit Test #1: a passing remark [Passed]", [True, False, False]),
        ("Test 1: passed\nTest 1: failed\nTest 2: passed", [False, True, False]),
        ("Test 1: it says [Passed] here [Failed]\nTest 3: it says [Failed] here [Passed]", [False, False, False]),
        ("Test 9: passed", [False, False, False]),
    ],
)
def test_lines_of_results(text: str, passed: list[bool]) -> None:
    read = Results.from_text(text)
    assert read is not None
    assert read.of(3) == passed


@pytest.mark.parametrize(
    "text",
    [
        "Test 1: compass",
        "Test 1: not passed",
        "Test 1: pas",
        "All passed",
        "So:\nTest 1: passed",
        "Test 1: passed\nFine!",
        "",
    ],
)
def test_other_lines_are_not_read(text: str) -> None:
    assert Results.from_text(text) is None


def test_contradictions_in_json_are_not_passed() -> None:
    both = [{"test": 1, "passed": True}, {"test": 1, "passed": False}, {"test": 2, "passed": True}]
    assert kept(judge({"a": json.dumps({"results": both})}), "a") == [("a", 1 / 3)]


def test_what_evaluate_needs_and_makes() -> None:
    before = Shape(size=Interval(3, 5), facets=frozenset({Facet.TESTS}), tests=100)
    sizes = {p: Evaluate(model="m", policy=p, k=2).shape(before).size for p in ("top_k", "all_pass", "first_k")}
    assert sizes == {"top_k": Interval(2, 2), "all_pass": Interval(1, 5), "first_k": Interval(1, 2)}
    op = Evaluate(model="m", policy="first_k", k=2)
    assert op.shape(before).facets == {Facet.TESTS, Facet.SCORE, Facet.VERDICT}
    assert [c.count for c in op.calls(before)] == [Interval(2, 5), Interval(0, 5)]
    assert op.depth(before) == Interval(1, 6)
    assert op.needs == {Facet.TESTS}
