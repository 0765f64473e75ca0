"""Recorded programs, tests and judgements of models, through archc's own ops: the published numbers come out.

CodeGen-16B on HumanEval: 164 tasks, 100 programs and the model's own asserts, with which passes which. MATH: 300
problems, 16 answers, and what six verifiers said of each.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from archc.calls import USUAL_LIMITS, Conversation, Failed, Limits, Outcome
from archc.ir.op import Op
from archc.ops._matrix import matrix, passes
from archc.ops.evaluate import Evaluate
from archc.ops.extract import Extract
from archc.ops.select import Select
from archc.ops.verify import Verify
from archc.ops.vote import Vote
from archc.prompts.fence import fenced
from archc.sandbox.pool import Sandbox
from archc.values import Candidate
from tests.scripted import ScriptedContext, candidates, never, run

DATA = Path(os.environ.get("ARCHC_DATA") or Path(__file__).parents[3] / "shared" / "data") / "oracle"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded samples at {DATA}; ARCHC_DATA names the folder")

Record = Mapping[str, Any]
WRONGLY_GRADED = "HumanEval/50"
"""Its recorded grades are all negative; a program is right there if it passes the asserts that the right one passes."""


@cache
def tasks() -> Sequence[Record]:
    with gzip.open(DATA / "humaneval_codegen16b_100x_tests.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def rows(task: Record) -> list[str]:
    """Which asserts each program passes; what is no Python passes none."""
    return [row.ljust(len(task["tests"]), "0") for row in task["passes"]]


def right(task: Record) -> list[bool]:
    """Of each of the 100 samples."""
    grades = [bit == "1" for bit in task["base"]]
    if task["id"] == WRONGLY_GRADED:
        valid = [i for i, bit in enumerate(task["tests_valid"]) if bit == "1"]
        grades = [all(row[i] == "1" for i in valid) for row in rows(task)]
    return [grades[solution] for solution in task["sample_to_solution"]]


PASSED, FAILED = Outcome("passed"), Outcome("failed", "no")


def best(task: Record, **params: object) -> float:
    """The share of right ones among those that the op puts first, as if one of equal ones were drawn."""
    recorded, number = rows(task), {test: i for i, test in enumerate(task["tests"])}

    @cache
    def row_of(program: str) -> str:
        return recorded[int(program.rpartition(" ")[2])]

    def outcome(program: str, test: str) -> Outcome:
        return PASSED if not test or row_of(program)[number[test]] == "1" else FAILED

    ctx = ScriptedContext("def solve():", never, outcome=outcome)
    texts = [f"def solve():\n    return {solution}" for solution in task["sample_to_solution"]]
    op = Evaluate.model_validate({"by": "execution", "k": len(texts), **params})
    grades = dict(zip(texts, right(task), strict=True))
    after = run(op, ctx, candidates(*texts, asserts=tuple(task["tests"]))).candidates
    top = [grades[c.text] for c in after if c.score == after[0].score]
    return sum(top) / len(top)


def share(of: Callable[[Record], float]) -> float:
    return sum(map(of, tasks())) / len(tasks())


def test_dual_execution_agreement_finds_what_own_tests_alone_do_not() -> None:
    assert len(tasks()) == 164
    assert share(lambda task: sum(right(task)) / 100) == pytest.approx(0.204, abs=5e-4)
    assert share(lambda task: any(right(task))) == pytest.approx(0.713, abs=5e-4)
    assert share(lambda task: best(task, policy="top_k")) == pytest.approx(0.193, abs=5e-4)
    assert share(lambda task: best(task, policy="agreement")) == pytest.approx(0.353, abs=5e-4)


class Walled(ScriptedContext):
    """A context with a sandbox that runs."""

    sandbox: Sandbox

    async def execute(
        self, program: str, tests: Sequence[str], limits: Limits = USUAL_LIMITS
    ) -> tuple[Outcome | Failed, ...]:
        return tuple(await asyncio.gather(*(self.sandbox.test(program, test, limits=limits) for test in tests)))


def sampled() -> Iterator[tuple[Record, list[int], list[int]]]:
    """Of every 20th task some programs and some tests."""
    for task in tasks()[::20]:
        yield task, list(range(0, len(task["solutions"]), 9))[:6], list(range(len(task["tests"])))[:6]


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is for Linux")
def test_programs_and_tests_that_really_run_come_to_what_was_recorded() -> None:
    async def main() -> Iterator[tuple[str, int, str, bool]]:
        found = []
        async with Sandbox() as sandbox:
            for task, programs, tests in sampled():
                ctx = Walled(task["prompt"], never)
                ctx.sandbox = sandbox
                asserts = [task["tests"][i] for i in tests]
                some = [Candidate.of(task["solutions"][i]) for i in programs]
                ran = await matrix(ctx, some, asserts, Limits(seconds=2.0))
                for number, row in zip(programs, ran, strict=True):
                    told = [rows(task)[number][i] == "1" for i in tests]
                    found += [
                        (task["id"], number, test, is_now == then)
                        for test, is_now, then in zip(asserts, passes(row), told, strict=True)
                    ]
        return iter(found)

    compared = list(asyncio.run(main()))

    assert len(compared) > 200
    assert [one for one in compared if not one[-1]] == []


# ---- judgements


@cache
def problems() -> Sequence[Record]:
    lines = (DATA / "mav_math_facts.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def chosen(*steps: Op) -> float:
    """How many percent of the problems are solved by the sample that these steps put first."""
    return 100 * sum(map(_is_solved, problems(), [steps] * len(problems()))) / len(problems())


def _is_solved(problem: Record, steps: Sequence[Op]) -> bool:
    def judge(model: str, messages: Conversation, prompt: str, vote: int) -> str:
        sample = int(fenced(messages[-1].content)[0].split()[1])
        verdict = "correct" if problem["approvals"][sample][vote] else "incorrect"
        return json.dumps({"explanation": "", "verdict": verdict})

    classes = enumerate(problem["answer_class"])
    flow = candidates(*(f"Sample {i} says: the answer is {answer}" for i, answer in classes))
    for step in steps:
        flow = run(step, ScriptedContext("?", judge), flow)
    return bool(problem["correct"][int(flow.candidates[0].text.split()[1])])


def test_six_verifiers_choose_better_than_a_vote() -> None:
    verifiers = Verify(model="m", votes=6, reason=False, filter=False)

    assert len(problems()) == 300
    assert chosen(Select()) == pytest.approx(52.67, abs=0.005)
    assert chosen(Extract(kind="number"), Vote()) == pytest.approx(59.0, abs=0.005)
    assert chosen(verifiers, Select(by="score")) == pytest.approx(66.0, abs=0.005)
    assert sum(any(p["correct"]) for p in problems()) / 3 == pytest.approx(76.0, abs=0.005)
