"""Graders that run programs: what they take for the program, and the verdicts of the official tests."""

from __future__ import annotations

import ast
import asyncio
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from archc.bench.closeness import allclose, is_same
from archc.bench.data import Item, Selection, load
from archc.bench.graders import Grade
from archc.bench.grading import Grading
from archc.bench.programs import block, completed, is_printed
from archc.bench.task import Task, built_in
from tests.sandbox.test_sandbox import Mutant

PROMPT = 'import math\n\ndef half(n):\n    return n / 2\n\ndef f(n):\n    """Twice, then half of it."""\n'
DATA = Path(os.environ.get("ARCHC_DATA") or Path(__file__).parents[3] / "shared" / "data")


def items(name: str) -> tuple[Task, Sequence[Item]]:
    task = built_in(name)
    if not (DATA / "code").is_dir():
        pytest.skip(f"no programs at {DATA}; ARCHC_DATA names the folder of data")
    return task, load(task, Selection(), DATA).items


def graded(task: Task, answers: Sequence[tuple[str, Item]]) -> list[Grade]:
    async def play() -> list[Grade]:
        async with Grading(task) as grading:
            return await asyncio.gather(*(grading.grade(answer, item) for answer, item in answers))

    return asyncio.run(play())


# ---- which text is the program


@pytest.mark.parametrize(
    "answer",
    [
        "    return half(2 * n)\n",
        "return half(2 * n)",
        "m = 2 * n\n    return half(m)",
        "m = 2 * n\nreturn half(m)",
        "for _ in range(2):\n    m = 2 * n\nreturn half(m)",
        "for _ in range(2):\n        m = 2 * n\n    return half(m)",
        "    return half(2 * n)\n\ndef g(n):\n    return (\n",
        "    return half(2 * n)\n# Test it\nprint(f(2)\n",
        "Here it is:\n```python\ndef f(n):\n    return half(2 * n)\n```\nUse it so:\n```python\nprint(f(2))\n```\n",
        "```\n    return half(2 * n)\n```",
        "```python\ndef f(n):\n    return half(2 * n)",
        "def f(n):\n    return half(2 * n)",
        "from __future__ import annotations\ndef half(n):\n    return n / 2\ndef f(n: N):\n    return half(2 * n)",
    ],
)
def test_an_answer_is_a_whole_function_or_goes_on_with_the_prompt(answer: str) -> None:
    item = Item("0", PROMPT, (), record={"question": PROMPT, "tests": TESTS, "meta": {"entry_point": "f"}})

    assert graded(built_in("humaneval"), [(answer, item)]) == [Grade(True, 1.0)]


TESTS = "def check(candidate):\n    assert [candidate(n) for n in range(5)] == [half(2 * n) for n in range(5)]\n"


def test_the_block_that_counts_defines_what_is_asked_for() -> None:
    text = "```\ndef f(): pass\n```\n\n~~~ py\nf()\n~~~\n"

    assert block(text, ["f"]) == "def f(): pass\n"
    assert block(text) == block(text, ["g"]) == "f()\n"
    assert block("no block") is None


def test_what_is_before_the_function_in_the_prompt_is_there() -> None:
    assert completed("def f(n):\n    pass", PROMPT, "f").startswith("import math\n\ndef half(n):")


def test_why_it_is_wrong_is_told() -> None:
    item = Item("0", PROMPT, (), record={"question": PROMPT, "tests": TESTS, "meta": {"entry_point": "f"}})
    wrong, broken, endless = graded(
        built_in("humaneval").model_copy(update={"seconds": 0.5}),
        [(answer, item) for answer in ("    return n + 1", "    return (", "    while True: pass")],
    )

    assert not any(grade.correct for grade in (wrong, broken, endless))
    assert "f(4) gave 5" in wrong.why
    assert "does not load" in broken.why
    assert endless.why.startswith("timeout")


# ---- the tasks


@pytest.mark.parametrize(
    ("name", "count"),
    [("humaneval", 164), ("humaneval-plus", 164), ("mbpp", 223), ("mbpp-plus", 199), ("cruxeval", 397)],
)
def test_all_that_is_right_by_the_data_is_right(name: str, count: int) -> None:
    task, known = items(name)
    patient = task.model_copy(update={"seconds": 300.0})  # the machine may have other work
    grades = graded(patient, [(item.golds[0], item) for item in known])

    assert len(known) == count
    assert {item.id: grade.why for item, grade in zip(known, grades, strict=True) if not grade.correct} == {}


def mutated(program: str) -> str:
    with warnings.catch_warnings(action="ignore"):  # of escapes in the data
        tree = ast.parse(program)
    tree.body[-1] = Mutant(2).visit(tree.body[-1])
    return ast.unparse(ast.fix_missing_locations(tree))


def _after_its_prompt(item: Item) -> str:
    return mutated(f"{item.record['question']}{item.golds[0]}")


@pytest.mark.parametrize(
    ("name", "mutant", "most"),
    [
        ("humaneval-plus", _after_its_prompt, 0.45),
        ("mbpp", lambda item: mutated(item.golds[0]), 0.6),
        ("mbpp-plus", lambda item: mutated(item.golds[0]), 0.6),
    ],
)
def test_programs_with_a_mistake_are_wrong(name: str, mutant: Callable[[Item], str], most: float) -> None:
    """Not all: some programs have no such place, and some changes change nothing."""
    task, known = items(name)
    changed = [(mutant(item), item) for item in known]
    grades = graded(task.model_copy(update={"seconds": 2.0}), changed)

    assert 0 < sum(grade.correct for grade in grades) < most * len(known)


def test_more_tests_find_more() -> None:
    task, known = items("humaneval")
    more, with_more = items("humaneval-plus")
    answers = [_after_its_prompt(item) for item in known]
    plain = graded(task, list(zip(answers, known, strict=True)))
    strict = graded(more, list(zip(answers, with_more, strict=True)))

    in_time = [(a, b) for a, b in zip(plain, strict, strict=True) if "timeout" not in (a.why[:7], b.why[:7])]

    assert any(a.correct and not b.correct for a, b in in_time)
    assert not any(b.correct and not a.correct for a, b in in_time)


# ---- close numbers


def test_close_is_what_numpy_calls_close() -> None:
    assert allclose([1.0, [2.0]], (1.0 + 1e-9, [2]))
    assert allclose(1.0, [1.0, 1.0])
    assert allclose(float("inf"), float("inf"))
    assert not allclose(float("nan"), float("nan"))
    assert not allclose([1.0], [1.1])
    with pytest.raises(ValueError, match="broadcast"):
        allclose([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(TypeError):
        allclose("1", 1.0)


def test_only_floats_need_be_no_more_than_near() -> None:
    assert is_same([0.1 + 0.2], [0.3], 0)
    assert not is_same(3, 4, 0)
    assert not is_same((0.1 + 0.2,), [0.3], 1e-6)
    assert not is_same([0.3], [0.3, 0.3], 1e-6)


# ---- what programs print


@pytest.mark.parametrize(
    ("stdout", "expected", "right"),
    [
        ("3\n", "3", True),
        ("3 \n\n", "3\n", True),
        ("3.0", "3", True),
        ("1  2\n3", "1 2\n3\n", True),
        ("1\n2", "1 2", False),
        ("", "3", False),
        ("NaN", "3", False),
        ("yes", "Yes", False),
    ],
)
def test_what_is_printed_is_compared_by_words(stdout: str, expected: str, right: bool) -> None:
    assert is_printed(stdout, expected) is right


def test_programs_for_contests_must_pass_every_test() -> None:
    task = Task(name="sums", slices={"test": "x"}, grader="stdio")
    item = Item("0", "", (), record={"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]})
    right = "```python\nprint(sum(map(int, input().split())))\n```"
    wrong, broken = "```python\nprint(3)\n```", "print(int('x'))"
    grades = graded(task, [(text, item) for text in (right, wrong, broken)])

    assert [grade.correct for grade in grades] == [True, False, False]
    assert grades[1].why == "test 2: it printed '3\\n', not '7\\n'"
    assert "ValueError" in grades[2].why
    assert not graded(task, [(right, Item("0", "", ()))])[0].correct
