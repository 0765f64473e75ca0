"""Recorded traces: every session in a file, whatever a kill left of its lines, and no other file by mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.diagnostics import SpecError
from archc.exporters.recorded import read_trace, sent_at
from archc.runtime.trace import JsonlFile
from tests.fakes import Scripted, answer, plan_of

PLAN = "- generate: {model: m, n: 3}\n- extract: {kind: number}\n- vote"


def recorded(path: Path, sessions: int = 1) -> list[bytes]:
    """The lines that some runs leave."""
    for _ in range(sessions):
        file = JsonlFile(path)
        answer(plan_of(PLAN), Scripted(takes=1.0), listeners=[file])
        file.close()
    return path.read_bytes().splitlines(keepends=True)


def test_sessions_in_one_file_are_told_apart(tmp_path: Path) -> None:
    lines = recorded(tmp_path / "t", sessions=3)
    read = read_trace(tmp_path / "t")

    assert [len(session.events) * 3 for session in read.sessions] == [len(lines)] * 3
    assert [session.seconds for session in read.sessions] == [1.0] * 3
    assert {session.began for session in read.sessions} == {0.0}
    assert read.torn == 0


def test_sessions_of_older_traces_are_told_apart_by_their_clock(tmp_path: Path) -> None:
    lines = recorded(tmp_path / "t")[1:]
    (tmp_path / "t").write_bytes(b"".join(lines * 2))
    read = read_trace(tmp_path / "t")

    assert [len(session.events) for session in read.sessions] == [len(lines)] * 2
    assert [session.began for session in read.sessions] == [None, None]


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_torn_line_costs_no_other(cut: int, tmp_path: Path) -> None:
    lines = recorded(tmp_path / "t")
    (tmp_path / "t").write_bytes(b"".join(lines)[:-cut])
    alone = read_trace(tmp_path / "t")
    recorded(tmp_path / "t")  # which goes on right behind the torn line
    both = read_trace(tmp_path / "t")
    lost = cut > 1

    assert alone.torn == lost
    assert [len(session.events) for session in both.sessions] == [len(lines) - lost, len(lines)]


EVENTS: list[dict[str, Any]] = [
    {"event": "call", "at": 1.0},
    {"event": "call", "at": -1.0},
    {"event": "question", "at": 1.0, "query": 3},
    {"event": "session", "at": 0.0, "time": "now"},
    {"event": "session", "at": 0.0, "time": 1.0, "models": {"m": "s"}},
    {"event": "node", "at": float("nan"), "query": "q", "node": "n", "state": "done"},
    {"event": "note", "at": 1e300},
    {"event": 3, "at": 1.0},
    {"at": 1.0},
]


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_what_is_no_event_is_left_out(event: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "t").write_text(
        '{"event": "note", "at": 1, "query": "q", "node": "n", "note": "x"}\n' + json.dumps(event)
    )
    read = read_trace(tmp_path / "t")

    assert [len(session.events) for session in read.sessions] == [1]
    assert read.torn == 1


@given(st.lists(st.binary(max_size=40) | st.sampled_from([json.dumps(event).encode() for event in EVENTS])))
def test_no_file_is_too_strange(lines: list[bytes]) -> None:
    class File:
        """Stands for a path."""

        def open(self, mode: str) -> Any:
            return self

        def __enter__(self) -> Any:
            return lines

        def __exit__(self, *error: object) -> None:
            pass

    with pytest.raises(SpecError) as wrong:
        read_trace(File())  # type: ignore[arg-type]
    assert [d.name for d in wrong.value.diagnostics] == ["no-trace"]


@pytest.mark.parametrize(("path", "name"), [("none", "no-such-file"), (".", "no-such-file"), ("empty", "no-trace")])
def test_other_files_are_errors_of_the_user(path: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"\n\n")
    with pytest.raises(SpecError) as wrong:
        read_trace(tmp_path / path)
    assert [d.name for d in wrong.value.diagnostics] == [name]


def test_a_call_began_when_its_request_left() -> None:
    call = {"event": "call", "at": 5.0, "seconds": 3.0}

    assert sent_at(call) == 2.0
    assert sent_at({**call, "sent": None}) == 2.0
    assert sent_at({**call, "sent": 4.5}) == 4.5
    assert sent_at({**call, "sent": 6.0}) == 5.0


def test_a_note_that_names_models_in_its_own_way_is_an_event(tmp_path: Path) -> None:
    spec = "- cascade: {models: [m, other], until: count >= 2, do: [generate: {model: $model}]}"
    file = JsonlFile(tmp_path / "t")
    answer(plan_of(spec), Scripted(), listeners=[file])
    file.close()
    read = read_trace(tmp_path / "t")

    assert read.torn == 0
    assert [e["models"] for e in read.sessions[0].events if e.get("note") == "asked"] == [["m", "other"]]
