"""Executions: each test of a program runs once, is kept, is told again without a sandbox, and ends with its branch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from archc import api, errors
from archc.calls import Outcome, Request
from archc.diagnostics import RunError
from archc.runtime import upkeep
from archc.runtime.journal import opened
from archc.runtime.replay import recorded_run, replayed
from archc.runtime.run import Run
from archc.runtime.session import Session
from archc.sandbox.pool import Sandbox
from archc.source import Source
from tests.fakes import Events, Scripted, ScriptedSandbox, answer, plan_of, run, session

QUESTION = "def add(a, b):"
WRITTEN = "assert add(1, 2) == 3\nassert add(0, 0) == 0\nassert add(2, 2) == 4\n"
PIPELINE = """
- generate: {model: m, n: 4}
- write_tests: {model: other, kind: code}
- evaluate: {by: execution, k: 4}
"""
PAIRS = {(f"def add(a, b):\n    return {body}", test) for body in "ab" for test in ["", *WRITTEN.splitlines()]}


def reply(request: Request, i: int) -> str:
    if request.purpose.op == "write_tests":
        return WRITTEN
    return f"def add(a, b):\n    return {'ab'[request.seeds[i] % 2]}"


def never(program: str, test: str) -> str:
    """No test fails."""
    return ""


def by_body(program: str, test: str) -> str:
    """The programs that return `a` fail the second test."""
    return "assert add(0, 0) == 0" if "return a" in program and "0" in test else ""


def evaluated(sandbox: Sandbox | None = None, pipeline: str = PIPELINE, **kw: object) -> tuple[Run, Events]:
    events = Events()

    async def main() -> Run:
        async with session(plan_of(pipeline), Scripted(reply), sandbox=sandbox, listeners=[events], **kw) as one:
            return await one.answer(QUESTION)

    return run(main()), events


def test_each_test_of_a_program_runs_once_and_as_many_at_once_as_there_are_workers() -> None:
    sandbox = ScriptedSandbox(by_body, takes=1.0)
    result, events = evaluated(sandbox)

    assert sorted(sandbox.tested) == sorted(PAIRS)
    assert sandbox.most_running == 2
    assert [c.score for c in result.candidates] == [1.0, 1.0, 2 / 3, 2 / 3]
    assert [c.verdict.reason.splitlines()[-1] for c in result.candidates[2:] if c.verdict] == [
        "assert add(0, 0) == 0",
        "assert add(0, 0) == 0",
    ]
    assert (result.spent.calls, result.nodes["evaluate"].calls, result.nodes["evaluate"].executed) == (5, 0, 16)
    counted = [(e["tests"], e["passed"]) for e in events.named("executed")]
    assert sorted(counted) == [(1, 1)] * 4 + [(3, 2)] * 2 + [(3, 3)] * 2


def test_what_was_executed_is_found_in_the_journal(tmp_path: Path) -> None:
    first, again = ScriptedSandbox(by_body), ScriptedSandbox(by_body)
    one, _ = evaluated(first, journal=tmp_path / "j")
    other, events = evaluated(again, journal=tmp_path / "j", seed=1)

    assert len(first.tested) == len(PAIRS)
    assert again.tested == []
    assert one.candidates == other.candidates
    assert {e["tests"] - e["cached"] for e in events.named("executed")} == {0}


def retold(pipeline: str, journal: Path) -> list[tuple[Run, bool | None]]:
    """The only run of a journal, from that alone."""
    with opened(journal) as store:
        [[key]] = store.rows("SELECT id FROM runs")

    async def main() -> list[tuple[Run, bool | None]]:
        recorded = recorded_run(journal, key)
        return [told async for told in replayed(plan_of(pipeline), recorded, journal, asyncio.sleep)]

    return asyncio.run(main())


def test_a_replay_needs_no_sandbox_and_gives_the_same_verdicts(tmp_path: Path) -> None:
    text = "models: {m: {backend: simulated, skill: 0.5}}\npipeline:\n  - generate: {model: m, n: 4}\n"
    text += "  - write_tests: {model: m, kind: code}\n  - evaluate: {by: execution, policy: agreement}\n"
    text += "  - verify: {model: m, by: code, filter: false}\n"

    async def main() -> tuple[Run, list[tuple[Run, bool | None]]]:
        async with api.session(api.compile(Source("spec.yaml", text)), journal=tmp_path / "j") as one:
            result = await one.answer(QUESTION)
        return result, [told async for told in api.replay(one.run, tmp_path / "j")]

    with pytest.MonkeyPatch.context() as patch:
        told: list[tuple[Run, bool | None]] = []
        starts: list[None] = []
        start = Sandbox.start

        async def counted(self: Sandbox) -> None:
            starts.append(None)
            await start(self)

        patch.setattr(Sandbox, "start", counted)
        result, told = asyncio.run(main())

    [(again, same)] = told
    assert same is True
    assert again.candidates == result.candidates
    assert starts == [None]


def test_a_replay_says_what_the_journal_has_lost(tmp_path: Path) -> None:
    evaluated(journal=tmp_path / "j")
    with opened(tmp_path / "j") as store:
        store.connection.execute("DELETE FROM executions")

    [(again, same)] = retold(PIPELINE, tmp_path / "j")
    assert same is False
    assert isinstance(again.error, errors.NotRecorded)
    assert again.error.span is not None


class NoWalls(ScriptedSandbox):
    """What a machine without walls has."""

    async def start(self) -> None:
        raise RunError(errors.NoSandbox(reason="there are no walls", hint=""))


def test_without_a_sandbox_nothing_is_paid_for() -> None:
    backend = Scripted(reply)

    async def main() -> None:
        async with session(plan_of(PIPELINE), backend, sandbox=NoWalls()) as one:
            await one.answer(QUESTION)

    with pytest.raises(RunError) as caught:
        run(main())
    assert isinstance(caught.value.diagnostic, errors.NoSandbox)
    assert backend.sent == []
    assert answer(plan_of("- generate: {model: m}"), Scripted(), sandbox=NoWalls()).status == "ok"


class Endless(ScriptedSandbox):
    """Loads programs, and then never comes to an end."""

    async def test(self, program: str, test: str, *more: Any, **kw: Any) -> Outcome:
        outcome = await super().test(program, test, *more, **kw)
        await (asyncio.Event().wait() if test else asyncio.sleep(0))
        return outcome


def test_the_end_of_the_time_ends_the_tests_and_is_told_again(tmp_path: Path) -> None:
    pipeline = PIPELINE.replace("- evaluate: {by: execution, k: 4}", "- deadline: {seconds: 0.5, do: [STEP]}")
    pipeline = pipeline.replace("STEP", "evaluate: {by: execution, k: 4}")

    async def main() -> Run:
        async with session(plan_of(pipeline), Scripted(reply), sandbox=Endless(never), journal=tmp_path / "j") as one:
            return await one.answer(QUESTION)

    result = asyncio.run(main())
    assert result.status == "ok"
    assert {(c.score, c.verdict and c.verdict.votes) for c in result.candidates} == {(0.0, 0)}
    assert {note["reason"] for note in result.notes if note["note"] == "failed"} == {"the time is over"}
    assert [same for _, same in retold(pipeline, tmp_path / "j")] == [True]


def test_the_time_of_the_question_is_over_while_tests_run() -> None:
    result = answer(
        plan_of(PIPELINE, budget="seconds: 4"), Scripted(reply), QUESTION, sandbox=ScriptedSandbox(takes=3.0)
    )
    assert (result.status, result.exhausted) == ("exhausted", "the time is over")
    assert len(result.candidates) == 4


@asynccontextmanager
async def begun(
    sandbox: ScriptedSandbox, pipeline: str, **kw: object
) -> AsyncIterator[tuple[Session, asyncio.Task[Run]]]:
    """A session that answers the question and is at its tests."""
    async with session(plan_of(pipeline), Scripted(reply), sandbox=sandbox, **kw) as one:
        work = asyncio.create_task(one.answer(QUESTION))
        await sandbox.begun.wait()
        yield one, work


def test_a_stop_lets_running_tests_end_and_begins_no_other(tmp_path: Path) -> None:
    sandbox, later = ScriptedSandbox(by_body, takes=1.0), ScriptedSandbox(by_body)

    async def main() -> Run:
        async with begun(sandbox, PIPELINE, journal=tmp_path / "j", name="n") as (one, work):
            one.stop()
            return await work

    stopped = run(main())
    assert (stopped.status, len(sandbox.tested), sandbox.cancelled) == ("stopped", 2, 0)
    result, _ = evaluated(later, journal=tmp_path / "j", name="n")
    assert result.status == "ok"
    assert len(later.tested) == len(PAIRS) - 2


def test_tests_are_cancelled_with_their_question() -> None:
    sandbox = ScriptedSandbox(takes=1.0)

    async def main() -> None:
        async with begun(sandbox, PIPELINE) as (_, work):
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
            assert sandbox.running == 0

    run(main())
    assert sandbox.cancelled == 2


def test_who_waits_for_a_test_of_a_branch_that_is_cancelled_runs_it() -> None:
    pipeline = """
- generate: {model: m}
- - deadline: {seconds: 1, do: [verify: {model: m, by: code}]}
  - verify: {model: other, by: code}
"""
    sandbox = ScriptedSandbox(never, takes=3.0)
    result = answer(
        plan_of(pipeline),
        {"m": Scripted(lambda r, i: "assert answer"), "other": Scripted(lambda r, i: "assert answer", takes=0.5)},
        sandbox=sandbox,
    )

    assert (len(sandbox.tested), sandbox.cancelled) == (2, 1)
    assert [c.verdict.passed for c in result.candidates if c.verdict] == [False, True]


# ---- the journal


def of_schema_2(path: Path) -> None:
    """Makes a journal what it was before there were executions."""
    connection = apsw.Connection(str(path))
    connection.execute("DROP TABLE executions; UPDATE meta SET value = '2' WHERE key = 'schema'")
    connection.close()


def test_a_journal_without_executions_is_taken_over_with_all_its_samples(tmp_path: Path) -> None:
    evaluated(journal=tmp_path / "j")
    of_schema_2(tmp_path / "j")
    sandbox = ScriptedSandbox(by_body)
    result, _ = evaluated(sandbox, journal=tmp_path / "j")

    assert (result.spent.calls, result.cached) == (0, 5)
    assert len(sandbox.tested) == len(PAIRS)


def damaged(path: Path) -> int:
    with opened(path) as store:
        return len(upkeep.verify(store).damaged)


def test_a_damaged_execution_is_found_removed_and_run_again(tmp_path: Path) -> None:
    evaluated(ScriptedSandbox(by_body), journal=tmp_path / "j")
    with opened(tmp_path / "j") as store:
        store.connection.execute("UPDATE executions SET crc = crc + 1 WHERE crc = (SELECT min(crc) FROM executions)")
    assert damaged(tmp_path / "j") == 1
    sandbox = ScriptedSandbox(by_body)
    evaluated(sandbox, journal=tmp_path / "j")

    assert len(sandbox.tested) == 1
    assert damaged(tmp_path / "j") == 0
    with opened(tmp_path / "j") as store:
        store.connection.execute("UPDATE executions SET crc = crc + 1")
        assert upkeep.collect(store, 1)["executions"] == len(PAIRS)


def test_executions_go_to_another_machine(tmp_path: Path) -> None:
    evaluated(ScriptedSandbox(by_body), journal=tmp_path / "here")
    with opened(tmp_path / "here") as here, opened(tmp_path / "there") as there:
        lines = list(upkeep.exported(here))
        assert upkeep.imported(there, lines)["executions"] == len(PAIRS)
        assert upkeep.stats(there)["executions"] == len(PAIRS)
    sandbox = ScriptedSandbox(by_body)
    evaluated(sandbox, journal=tmp_path / "there")
    assert sandbox.tested == []


@pytest.mark.parametrize(
    "outcome", [["well", "", 0.0, ""], ["passed"], ["passed", "", "long", ""], {"status": "passed"}, None, "passed"]
)
def test_what_is_no_execution_is_not_taken_in(tmp_path: Path, outcome: object) -> None:
    with opened(tmp_path / "j") as store:
        head = next(iter(upkeep.exported(store)))
        line = json.dumps({"execution": "00" * 32, "outcome": outcome, "at": 1})
        with pytest.raises(ValueError, match="line 2"):
            upkeep.imported(store, [head, line])
        assert upkeep.stats(store)["executions"] == 0
