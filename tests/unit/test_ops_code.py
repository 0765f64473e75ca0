"""write_tests, evaluate, verify and refine where code is written and run."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import pytest

from archc import api
from archc.calls import USUAL_LIMITS, Failed, FailureKind, Limits, Outcome
from archc.diagnostics import SpecError
from archc.ir.op import Op
from archc.ir.shape import Shape
from archc.ops._asserts import given_asserts, most_called, written_asserts
from archc.ops._checks import checking
from archc.ops._matrix import REASON_BYTES, agreement
from archc.ops._programs import asked_for, program
from archc.ops.evaluate import Evaluate
from archc.ops.refine import Refine
from archc.ops.verify import Verify
from archc.ops.write_tests import UNNAMED, WriteTests
from archc.sandbox.pool import Sandbox
from archc.source import Source
from archc.values import CandidateSet, Facet, Interval
from tests.fakes import Scripted, answer, plan_of
from tests.scripted import ScriptedContext, candidates, never, run

walled = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is for Linux")

HEAD = "from typing import List\n\n\ndef total(xs: List[int]) -> int:\n"
STUB = HEAD + '    """Adds up.\n    >>> total([1, 2])\n    3\n    >>> total([])\n    0\n    """\n'
CHAT = f"Complete this function:\n```python\n{STUB}```\nReply with the whole function."


# ---- programs


def runs(text: str, question: str = STUB, entry: str = "total", call: str = "total([1, 2])") -> object:
    """What a call of the answer's program gives, here in this process: all of these texts are ours."""
    code = program(text, question, entry)
    assert code is not None
    scope: dict[str, object] = {}
    exec(code, scope)
    return eval(call, scope)


@pytest.mark.parametrize(
    "text",
    [
        "    return sum(xs)\n",
        "\n    # adds\n    return sum(xs)\n\n\ndef other():\n    retur",
        "    return sum(xs)\n\n\nassert total([1, 2]) == 4\nprint(total('x'))\n",
        "```python\ndef total(xs):\n    return sum(xs)\n```",
        "```python\ndef total(xs: List[int]) -> int:\n    return sum(xs)\n```",
        "One:\n```py\ndef total(xs):\n    return 0\n```\nBetter:\n```py\ndef total(xs):\n    return sum(xs)\n```\n"
        "Use it:\n```py\nprint(total([1]))\n```",
        "```python\nimport math\ntotal = math.fsum\n```",
        "```python\ndef add_up(xs):\n    return sum(xs)\n```",
        "def help(xs):\n    return sum(xs)\n\ndef total(xs):\n    return help(xs)",
        "Sure! Here it is:\n\ndef total(xs):\n    return sum(xs)\n\nThis adds all numbers.",
        "```python\nresult = 0\nfor x in xs:\n    result += x\nreturn result\n```",
        "```python\ndef total(xs):\n    return sum(xs)\n\nif __name__ == '__main__':\n    raise SystemExit(1)\n```",
        "~~~\ndef total(xs):\n    return sum(xs)",
    ],
)
@pytest.mark.parametrize("question", [STUB, CHAT])
def test_the_program_of_an_answer(text: str, question: str) -> None:
    assert runs(text, question) == 3


def test_the_questions_helpers_are_there_unless_the_answer_brings_its_own() -> None:
    question = "def twice(x):\n    return 2 * x\n\n\ndef total(xs):\n    '''Twice the sum.'''\n"
    assert asked_for(question) == "total"
    assert runs("    return twice(sum(xs))", question) == 6
    assert runs("def total(xs):\n    return twice(sum(xs))", question) == 6
    assert runs("def twice(x):\n    return 5\n\ndef total(xs):\n    return twice(0)", question) == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I do not know.",
        "The answer is 42.",
        "```python\n\n```",
        "```python\nprint(1)\n```",
        "def total(",
        "x = 1",
        "    # nothing\n",
    ],
)
def test_what_gives_no_program(text: str) -> None:
    assert program(text, STUB, "total") is None


HOSTILE = [
    "\0",
    "1+" * 2_000 + "1",
    "\ud800",
    "(" * 10_000,
    "9" * 10_000,
    "-" * 10_000 + "1",
    "```" * 5_000,
    "def f(:\n" * 2_000,
    "x\n" * 9_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:5].encode("unicode_escape").decode() for text in HOSTILE])
def test_no_text_is_too_odd_to_be_read(text: str) -> None:
    for wrapped in (text, f"```python\n{text}\n```", f"def total(xs):\n    return {text}"):
        program(wrapped, STUB, "total")
        program("    return 1", wrapped, "total")
        written_asserts(f"assert total({wrapped}) == 1", "total")
        given_asserts(wrapped)
        checking(f"assert {wrapped}", wrapped)


# ---- tests


@pytest.mark.parametrize(
    ("reply", "asserts"),
    [
        ("assert total([1]) == 1", ["assert total([1]) == 1"]),
        ("```python\nassert total([1])==1, 'one'\nassert total( [1] ) == 1\n```", ["assert total([1]) == 1"]),
        ("```\nassert total([1]) == 1\nassert other(1) == 1\nassert 1 == 1\nprint(2)\n```", ["assert total([1]) == 1"]),
        ("def test_one():\n    assert total([]) == 0\n    x = 1\n    assert x == 1", ["assert total([]) == 0"]),
        ("def check(candidate):\n    assert candidate([2]) == 2", ["assert total([2]) == 2"]),
        (
            "import math, os\nassert math.isclose(total([1]), 1)\nassert total([2]) == 2",
            ["import math, os\nassert math.isclose(total([1]), 1)", "assert total([2]) == 2"],
        ),
        (
            "1. assert total([1]) == 1\n2. `assert total([2]) == 2`\n- assert total([",
            ["assert total([1]) == 1", "assert total([2]) == 2"],
        ),
        (
            "```python\nassert total([1]) == 1\n```\nand\n```python\nassert total([3]) == 3\n",
            ["assert total([1]) == 1", "assert total([3]) == 3"],
        ),
        ("assert total([1]) == " + "1 + " * 1000 + "1", []),
        ("I can't.", []),
        ("", []),
    ],
)
def test_each_assert_that_calls_the_function_is_a_test(reply: str, asserts: list[str]) -> None:
    assert written_asserts(reply, "total") == asserts


def test_without_a_name_tests_call_any_function_but_those_of_python() -> None:
    assert written_asserts("assert solve(1) == 2\nassert len([]) == 0", "") == ["assert solve(1) == 2"]
    assert most_called(["assert sorted(solve(1)) == []", "assert f(solve(2)) == 3", "assert solve(3) == 1"]) == "solve"
    assert most_called([]) == ""


def test_tests_that_a_question_gives() -> None:
    assert given_asserts(STUB) == ["assert total([1, 2]) == 3", "assert total([]) == 0"]
    mbpp = "Write a function.\nYour code should pass these tests:\nassert add(1, 2) == 3\nassert add(2, 2) == 4"
    assert given_asserts(mbpp) == ["assert add(1, 2) == 3", "assert add(2, 2) == 4"]
    assert given_asserts("def f(x):\n    >>> f(1)\n    <object>\n    >>> print(f(2))\n    2\n") == []


def wrote(reply: str | Failed, question: str = STUB, **params: object) -> tuple[ScriptedContext, CandidateSet]:
    ctx = ScriptedContext(question, lambda *_: reply)
    op = WriteTests.model_validate({"model": "m", "kind": "code", **params})
    return ctx, run(op, ctx, candidates("a", tests=("old",), asserts=("old",)))


def test_executable_tests_are_written_beside_those_for_a_judge() -> None:
    ctx, after = wrote("assert total([1]) == 1\nassert total([2]) == 2\nassert total([3]) == 3", n=2)
    assert after.asserts == ("assert total([1]) == 1", "assert total([2]) == 2")
    assert after.tests == ("old",)
    assert "`total`" in ctx.asked[0].text
    assert ctx.asked[0].schema is None
    assert UNNAMED in wrote("assert f(1) == 1", "Write a function.")[0].asked[0].text


@pytest.mark.parametrize("reply", [Failed(FailureKind.TIMEOUT, "late"), "I can't.", "assert other(1) == 1", ""])
def test_where_there_are_no_tests_the_trace_says_so(reply: str | Failed) -> None:
    ctx, after = wrote(reply)
    assert after.asserts == ()
    assert ctx.events == ["degraded"]


# ---- evaluate


def fails(*wrong: tuple[str, str]) -> ScriptedContext:
    """A sandbox in which these programs (by a piece of their text) fail these tests."""

    def outcome(code: str, test: str) -> Outcome | Failed:
        found = [piece for piece, failed in wrong if piece in code and failed == test]
        return Outcome("failed", f"{test}; it gave {found[0]}") if found else Outcome("passed")

    return ScriptedContext(STUB, never, outcome=outcome)


ASSERTS = ("t1()", "t2()", "t3()")


def kept(ctx: ScriptedContext, bodies: str, **params: object) -> list[tuple[str, float | None]]:
    op = Evaluate.model_validate({"by": "execution", **params})
    after = run(op, ctx, candidates(*(f"    return {body}" for body in bodies.split()), asserts=ASSERTS))
    return [(c.text[-1], c.score) for c in after.candidates]


def test_the_score_is_the_share_of_tests_that_pass() -> None:
    ctx = fails(("return a", "t1()"), ("return a", "t2()"), ("return b", "t3()"))
    assert kept(ctx, "a b c", k=3) == [("c", 1.0), ("b", 2 / 3), ("a", 1 / 3)]
    assert kept(ctx, "a b c", policy="all_pass") == [("c", 1.0)]
    assert kept(ctx, "a b", policy="all_pass") == [("b", 2 / 3)]
    assert kept(fails(), "c a b", k=2) == [("c", 1.0), ("a", 1.0)]


def test_rounds_end_when_enough_pass() -> None:
    ctx = fails(("return a", "t1()"))
    assert kept(ctx, "a b c d", policy="first_k", k=1) == [("b", 1.0)]
    assert not any("return c" in code for code, _ in ctx.executed)


def test_a_program_that_does_not_load_is_not_tested() -> None:
    ctx = fails(("return a", ""))
    assert kept(ctx, "a b", k=2) == [("b", 1.0), ("a", 0.0)]
    assert [test for code, test in ctx.executed if "return a" in code] == [""]


def test_the_verdict_says_what_failed_and_refine_hears_it() -> None:
    ctx = fails(("return a", "t2()"), ("return a", "t3()"))
    before = candidates("    return a", "no code", asserts=ASSERTS)
    after = run(Evaluate(by="execution", k=2), ctx, before)
    reasons = [c.verdict.reason for c in after.candidates if c.verdict]
    assert reasons[0].splitlines() == [
        "This test failed when it was run on the answer's program:",
        "t2(); it gave return a",
    ]
    assert reasons[1].splitlines()[1] == "there is no Python function in the answer"
    writer = ScriptedContext(STUB, lambda *_: "    return b")
    assert [c.text for c in run(Refine(model="m", by="verdict"), writer, after).candidates] == ["    return b"] * 2
    assert "t2(); it gave return a" in writer.asked[0].text


def test_a_long_message_is_cut() -> None:
    ctx = ScriptedContext(STUB, never, outcome=lambda code, test: Outcome("failed" if test else "passed", "ü" * 5000))
    op = Evaluate(by="execution")
    [one] = run(op, ctx, candidates("    return 1", asserts=ASSERTS)).candidates
    assert one.verdict
    assert REASON_BYTES < len(one.verdict.reason.encode()) <= op.shape(Shape(Interval.exactly(1))).reason


def test_what_was_not_run_is_no_verdict() -> None:
    late = Failed(FailureKind.BUDGET, "the time is over")
    ctx = ScriptedContext(STUB, never, outcome=lambda code, test: late if test == "t2()" else Outcome("passed"))
    [one] = run(Evaluate(by="execution"), ctx, candidates("    return 1", asserts=ASSERTS)).candidates
    assert (one.score, one.verdict and (one.verdict.passed, one.verdict.votes)) == (0.0, (False, 0))
    assert ctx.notes == [("failed", {"what": "test", "reason": "the time is over"})]


@pytest.mark.parametrize("policy", ["top_k", "all_pass", "first_k", "agreement"])
def test_without_tests_nothing_passes_and_the_order_stays(policy: str) -> None:
    ctx = ScriptedContext("Write a function.", never)
    op = Evaluate.model_validate({"by": "execution", "policy": policy})
    after = run(op, ctx, candidates("a", "b"))
    assert [(c.text, c.score) for c in after.candidates] == [("a", 0.0)]
    assert "degraded" in ctx.events
    assert ctx.executed == []


def test_given_tests_come_first_and_are_enough() -> None:
    ctx = fails()
    run(Evaluate(by="execution", given=True), ctx, candidates("    return a"))
    assert [test for _, test in ctx.executed] == ["", "assert total([1, 2]) == 3", "assert total([]) == 0"]
    assert Evaluate(by="execution", given=True).needs == frozenset()
    assert Evaluate(by="execution").needs == {Facet.ASSERTS}


def test_programs_that_pass_the_same_tests_speak_for_each_other() -> None:
    """CodeT: four programs that pass one test are worth sqrt(4) * 1, one that passes three sqrt(1) * 3."""
    wrong = [("return w", "t1()"), ("return w", "t2()")]
    assert kept(fails(*wrong), "w w w w x", policy="agreement")[0][0] == "x"
    assert kept(fails(*wrong), "w w w w w w w w w w x", policy="agreement")[0][0] == "w"
    assert agreement([[True, False]] * 4 + [[True, True]]) == [2 / (5**0.5 * 2)] * 4 + [2 / (5**0.5 * 2)]
    assert agreement([[False, False]] * 9 + [[True, False]])[::9] == [0.0, 1 / (10**0.5 * 2)]
    assert agreement([[True]] * 3) == [1.0] * 3
    assert agreement([]) == []
    assert agreement([[]]) == [0.0]


def test_agreement_is_told() -> None:
    ctx = fails(("return w", "t1()"))
    kept(ctx, "w x x", policy="agreement")
    assert ctx.notes == [("agreement", {"programs": 2, "of": 3, "tests": 3, "groups": 2})]


def test_execution_costs_no_call() -> None:
    op = Evaluate(by="execution", policy="agreement", k=2)
    before = Shape(Interval(3, 5), frozenset({Facet.ASSERTS}))
    assert (op.calls(before), op.depth(before), op.models, op.executes) == ((), Interval(0, 0), {}, True)
    assert op.shape(before).size == Interval(2, 2)
    assert WriteTests(model="m", kind="code").shape(before).facets == {Facet.ASSERTS}


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("evaluate: {by: execution, model: m}", "`by: execution` asks no `model`"),
        ("evaluate: {k: 1}", "`by: judge` needs a `model`"),
        ("evaluate: {model: m, policy: agreement}", "`policy: agreement` is for `by: execution`"),
        ("evaluate: {model: m, given: true}", "`given` is for `by: execution`"),
    ],
)
def test_parameters_that_do_not_go_together(step: str, said: str) -> None:
    text = f"models: {{m: {{backend: simulated}}}}\npipeline:\n  - generate: {{model: m}}\n  - {step}\n"
    with pytest.raises(SpecError) as caught:
        api.compile(Source("spec.yaml", text))
    assert said in caught.value.diagnostics[0].headline


# ---- verify by code


class Walled(ScriptedContext):
    """A context with a sandbox that runs."""

    sandbox: Sandbox

    async def execute(
        self, program: str, tests: Sequence[str], limits: Limits = USUAL_LIMITS
    ) -> tuple[Outcome | Failed, ...]:
        return tuple([await self.sandbox.test(program, test, limits=limits) for test in tests])


def walled_run(op: Op, ctx: Walled, before: CandidateSet) -> CandidateSet:
    async def main() -> CandidateSet:
        async with Sandbox(1) as ctx.sandbox:
            return await op.run(ctx, before)

    return asyncio.run(main())


CHECKS = [
    ("assert '42' in answer", (True, 1)),
    ("import re\nassert int(re.findall(r'\\d+', answer)[-1]) == 6 * 7", (True, 1)),
    ("def main():\n    assert answer.endswith('42')\n\nif __name__ == '__main__':\n    main()", (True, 1)),
    ("assert '43' in answer, 'it is 43'", (False, 1)),
    ("try:\n    assert '43' in answer\nexcept AssertionError:\n    print('incorrect')", (False, 1)),
    ("def never():\n    assert False", (False, 0)),
    ("print('correct')", (False, 0)),
    ("assert 1 / 0", (False, 0)),
    ("import sys\nsys.exit(0)\nassert True", (False, 0)),
    ("import os\nos._exit(0)\nassert True", (False, 0)),
    ("while True:\n    pass\nassert True", (False, 0)),
    ("assert '42' in", (False, 0)),
    ("open('/etc/passwd')\nassert True", (False, 0)),
]


@walled
@pytest.mark.parametrize(("check", "verdict"), CHECKS, ids=[check[:30] for check, _ in CHECKS])
def test_a_program_decides_by_the_asserts_that_it_reaches(check: str, verdict: tuple[bool, int]) -> None:
    ctx = Walled("What is 6 * 7?", lambda *_: f"```python\n{check}\n```")
    [one] = walled_run(Verify(model="m", by="code", seconds=1.0), ctx, candidates("It is 42")).candidates
    assert one.verdict
    assert (one.verdict.passed, one.verdict.votes) == verdict
    assert ("failed" in ctx.events) == (verdict[1] == 0)


@walled
@pytest.mark.parametrize(
    "text", ["'''\nassert False\n'''", "\\' + exit() + \\'", '"\n_seen = [True]\n"', "${code}", "\0\ud800"]
)
def test_no_answer_gets_into_the_program_that_checks_it(text: str) -> None:
    ctx = Walled("?", lambda *_: "assert answer == 'right'")
    [one] = walled_run(Verify(model="m", by="code"), ctx, candidates(text)).candidates
    assert one.verdict
    assert (one.verdict.passed, one.verdict.votes) == (False, 1)


@walled
def test_several_programs_vote_and_say_why() -> None:
    replies = ["assert 'x' in answer, 'no x'", "assert answer", "assert not answer, 'there is one'"]
    ctx = Walled("?", lambda model, messages, prompt, index: replies[index])
    [one] = walled_run(Verify(model="m", by="code", votes=3, filter=False), ctx, candidates("y")).candidates
    assert one.verdict
    assert (one.verdict.passed, one.verdict.approvals, one.verdict.votes) == (False, 1, 3)
    assert one.score == 1 / 3
    assert "no x" in one.verdict.reason
    assert "there is one" in one.verdict.reason


def test_what_verify_by_code_costs() -> None:
    op, before = Verify(model="m", by="code", votes=2), Shape(Interval(3, 4), tokens=100)
    assert [(c.count, c.completion) for c in op.calls(before)] == [(Interval(6, 8), 1024)]
    assert op.depth(before) == Interval(1, 1)


# ---- whole pipelines


@walled
def test_a_model_tests_and_mends_its_programs() -> None:
    spec = api.compile(
        "specs/code-repair.arch", overrides=["models.small={backend: simulated, skill: 0.5, judgement: 1}"]
    )
    runs = [api.run_sync(spec, STUB.replace(">>>", "..."), seed=seed) for seed in range(3)]
    assert [r.status for r in runs] == ["ok"] * 3
    assert all(r.candidates[0].verdict and r.candidates[0].verdict.passed for r in runs)
    assert all(5 <= r.spent.calls <= 8 for r in runs)


@pytest.mark.parametrize("garbage", ["", "{", "null", "\x00\ud800", "x" * 5000, "assert", "```python", "[1] > [2]"])
def test_garbage_is_a_failure_with_a_fallback(garbage: str) -> None:
    pipeline = """
- generate: {model: m, n: 2, min_valid: 1}
- write_tests: {model: m, kind: code}
- evaluate: {by: execution, policy: agreement, k: 2}
- verify: {model: m, by: code}
- refine: {model: m, by: verdict}
"""
    result = answer(plan_of(pipeline), Scripted(lambda request, i: garbage), STUB)
    assert result.status == "ok"
    assert result.candidates
