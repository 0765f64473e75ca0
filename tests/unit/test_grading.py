"""Grading while others are asked: what can't be graded, and what a sandbox is needed for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from archc.bench.data import Item
from archc.bench.graders import Grade
from archc.bench.grading import Grading
from archc.bench.task import built_in
from archc.calls import Outcome
from archc.diagnostics import RunError
from archc.errors import NoSandbox
from archc.sandbox.pool import Sandbox
from tests.unit.test_bench import Bench, bench  # noqa: F401

TASK = "slices: {all: code.jsonl}\ngrader: asserts\nseconds: 20\n"


@pytest.fixture
def coding(bench: Bench) -> Bench:  # noqa: F811
    """Three programs to write, and a model that writes the same for all."""
    records = [{"id": str(i), "question": f"{i}?", "answer": "", "tests": [f"assert f() == {i}"]} for i in range(3)]
    bench.write("code.jsonl", "".join(f"{json.dumps(record)}\n" for record in records))
    bench.write("coding.yaml", TASK)
    model = {"backend": "simulated", "script": ["```python\ndef f():\n    return 1\n```"]}
    spec = {"name": "coder", "models": {"m": model}, "pipeline": [{"generate": {"model": "m"}}]}
    bench.write("coder.yaml", json.dumps(spec))
    return bench


def run(coding: Bench, *words: str) -> Any:
    return coding("bench", "coder.yaml", "--task", "coding.yaml", "--run", "r", *words)


def test_programs_are_graded_from_the_command_line(coding: Bench) -> None:
    ended = run(coding, "--json")
    records = {record["id"]: record for record in coding.lines("r")}

    assert ended.code == 0
    assert {id: record["correct"] for id, record in records.items()} == {"0": False, "1": True, "2": False}
    assert "f() gave 1" in records["0"]["why"]


def test_where_nothing_can_hold_programs_nothing_is_asked(coding: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archc.sandbox.pool.why_not", lambda: "it is another system")
    monkeypatch.setattr("archc.sandbox.pool.WALLS", ())
    ended = run(coding)

    assert ended.code == 1
    assert "no-sandbox" in ended.err
    assert coding.lines("r") == []


def test_what_could_not_be_graded_is_told_and_graded_by_the_same_command_without_paying(
    coding: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Sandbox.test

    async def broken(box: Sandbox, program: str, test: str, *rest: Any, **more: Any) -> Outcome:
        if "== 1" in test:
            raise RunError(NoSandbox(reason="its workers end", hint=""))
        return await whole(box, program, test, *rest, **more)

    monkeypatch.setattr(Sandbox, "test", broken)
    first = run(coding)
    monkeypatch.setattr(Sandbox, "test", whole)
    second = run(coding, "--json")

    assert first.code == 1
    assert "1 ungraded" in first.out
    assert "its workers end" in first.out
    assert (second.code, second.json["status"], second.json["total"]["calls"]) == (0, {"ok": 3}, 3)
    assert [r["correct"] for r in coding.lines("r") if r["id"] == "1"] == [False, True]
    assert coding.lines("r")[-1]["cached"] == 1


def test_an_answer_is_graded_while_others_are(coding: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    together = asyncio.Barrier(3)

    async def waits(*_: object) -> Grade:
        await together.wait()  # for ever, were they graded one after the other
        return Grade(True, 1.0)

    monkeypatch.setattr(Grading, "grade", waits)

    assert run(coding, "--json").json["accuracy"]["value"] == 1.0


@pytest.mark.parametrize("record", [{}, {"tests": []}, {"tests": ""}, {"tests": None}])
def test_programs_without_a_test_are_refused_since_all_would_pass(record: dict[str, Any], coding: Bench) -> None:
    coding.write("code.jsonl", json.dumps({"id": "0", "question": "?", "answer": "", **record}))
    ended = run(coding)

    assert (ended.code, "it has no `tests`" in ended.err) == (2, True)


def test_no_answer_is_wrong_without_being_looked_at(tmp_path: Path) -> None:
    async def play() -> Grade:
        async with Grading(built_in("humaneval")) as grading:
            return await grading.grade(None, Item("0", "?", ()))

    assert asyncio.run(play()) == Grade(False, 0.0)
