"""The trace: every call and every refusal is in it, in order, as JSON that any reader takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archc.calls import CallError, FailureKind
from archc.diagnostics import SpecError
from archc.runtime.trace import JsonlFile
from tests.fakes import Events, Scripted, answer, plan_of

PLAN = "- generate: {model: m, n: 3}\n- extract: {kind: number}\n- vote"


def test_events_tell_the_whole_story_in_order() -> None:
    events = Events()
    answer(plan_of(PLAN), Scripted(takes=1.0), listeners=[events])
    names = [e["event"] for e in events.all]
    assert names[:2] == ["session", "question"]
    assert names[-1] == "answer"
    times = [e["at"] for e in events.all]
    assert times == sorted(times)
    [call] = events.named("call")
    assert (call["samples"], call["attempt"], call["outcome"], call["seconds"]) == ([0, 1, 2], 0, "ok", 1.0)
    assert call["span"].startswith("test.yaml:")
    done = [e for e in events.named("node") if e["state"] == "done"]
    assert [e["node"] for e in done] == ["generate", "extract", "vote"]


def test_the_table_adds_up_to_the_trace() -> None:
    events = Events()
    busy = CallError(FailureKind.TIMEOUT, "slow", billed=True)
    backend = Scripted(
        lambda r, i: (
            busy if r in (backend.requests[1], backend.requests[4]) and len(backend.sent) < 7 else "the answer is 4"
        )
    )
    run = answer(plan_of("- generate: {model: m, n: 6}", n=False), backend, listeners=[events])
    calls = events.named("call")
    assert run.spent.calls == sum(e["calls"] for e in calls) == 8
    assert run.spent.tokens == sum(e["prompt_tokens"] + e["completion_tokens"] for e in calls)


def test_a_file_takes_any_text_and_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "trace.jsonl"
    file = JsonlFile(path)
    answer(plan_of(PLAN), Scripted(lambda r, i: "half \ud800 pair, é, 4"), "half \udfff", listeners=[file])
    file.close()
    events = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert events[-1]["event"] == "answer"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_opened_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        JsonlFile(tmp_path)
