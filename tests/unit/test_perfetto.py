"""The timeline: valid by the format's rules, and everything that lasted is in it as long as it lasted."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from archc.cli import main
from archc.exporters.perfetto import perfetto
from archc.exporters.recorded import Recording
from archc.runtime.trace import Event, JsonlFile
from tests.fakes import Events, Reply, Scripted, ScriptedSandbox, answer, echo, plan_of, run, session

PLAN = "- generate: {model: m, n: 3}\n- critique: {model: other, by: each}\n- fuse: {model: m}"
LOOP = "- until: {condition: count >= 4, max: 4, batch: 2, do: [generate: {model: m}]}\n- fuse: {model: m}"


def timeline(*sessions: list[Event]) -> list[dict[str, Any]]:
    """The events of the whole file, which must be JSON."""
    whole = json.loads(json.dumps(perfetto([Recording(tuple(events)) for events in sessions]), allow_nan=False))
    assert set(whole) == {"traceEvents", "displayTimeUnit"}
    return list(whole["traceEvents"])


def heard(pipeline: str, questions: int = 1, takes: float = 1.0, reply: Reply = echo) -> list[Event]:
    events, sandbox = Events(), ScriptedSandbox(lambda program, test: "", takes=takes)

    async def ask() -> None:
        backend = Scripted(reply, takes=takes)
        async with session(plan_of(pipeline), backend, listeners=[events], sandbox=sandbox) as opened:
            for i in range(questions):
                await opened.answer(f"What is {i} + 2?", f"q{i}")

    run(ask())
    return list(events.all)


def slices(events: list[dict[str, Any]], category: str) -> list[dict[str, Any]]:
    return [e for e in events if e["ph"] == "X" and e["cat"] == category]


def names(events: list[dict[str, Any]], kind: str) -> list[str]:
    return [e["args"]["name"] for e in events if e["name"] == f"{kind}_name"]


def assert_is_valid(events: list[dict[str, Any]]) -> None:
    lanes = defaultdict(list)
    for event in events:
        assert event["ph"] in {"M", "X", "i", "C"}
        assert isinstance(event["pid"], int)
        if event["ph"] != "M":
            assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
            lanes[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for lane in lanes.values():
        assert all(one[1] <= other[0] for one, other in pairwise(sorted(lane)))
    assert {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"} == lanes.keys()
    assert len({tid for _, tid in lanes}) == len(lanes)
    assert {e["pid"] for e in events} == {e["pid"] for e in events if e["name"] == "process_name"}


def test_tests_of_programs_have_lanes_of_their_own() -> None:
    pipeline = "- generate: {model: m, n: 2}\n- verify: {model: other, by: code}"
    events = timeline(heard(pipeline, reply=lambda request, i: f"assert answer != {request.seeds[i]}"))
    assert_is_valid(events)
    assert [(s["name"], s["ts"], s["dur"]) for s in slices(events, "tests")] == [
        ("1 of 1 passed", 2_000_000, 1_000_000)
    ] * 2
    assert names(events, "thread").count("verify tests") == 1


def test_every_call_is_as_long_as_it_was() -> None:
    events = timeline(heard(PLAN, questions=2))
    assert_is_valid(events)
    calls = [(c["name"], c["ts"], c["dur"]) for c in slices(events, "calls") if c["pid"] == 2]

    assert sorted(calls) == [
        ("m", 0, 1_000_000),
        ("m", 2_000_000, 1_000_000),
        *[("other", 1_000_000, 1_000_000)] * 3,
    ]
    assert names(events, "process") == ["run", "question q0", "question q1"]
    assert names(events, "thread")[:7] == [
        "question",
        "generate",
        "generate calls",
        "critique",
        "critique calls",
        "critique calls 2",
        "critique calls 3",
    ]


def test_copies_of_a_block_are_side_by_side() -> None:
    events = timeline(heard(LOOP))
    assert_is_valid(events)

    assert {s["args"]["path"] for s in slices(events, "node") if s["name"] == "generate"} == {"0", "1", "2", "3"}
    assert "generate 2" in names(events, "thread")


CALL = {"event": "call", "query": "q", "node": "n", "model": "m", "samples": [0, 1], "outcome": "ok", "calls": 2}
CALL |= {"prompt_tokens": 5, "completion_tokens": 40, "usd": 0.5, "attempt": 0}


def counted(events: list[dict[str, Any]], name: str) -> list[tuple[int, dict[str, float]]]:
    return [(e["ts"], e["args"]) for e in events if e["ph"] == "C" and e["name"] == name]


def test_counters_are_of_calls_in_flight_and_of_tokens() -> None:
    late = {**CALL, "at": 4.0, "seconds": 3.5, "sent": 2.0, "server": "http://a:1", "cached_tokens": 3, "id": 7}
    events = timeline([{**CALL, "at": 3.0, "seconds": 2.0}, late])
    assert_is_valid(events)

    assert counted(events, "calls in flight") == [
        (1_000_000, {"m": 2}),
        (2_000_000, {"m": 4}),
        (3_000_000, {"m": 2}),
        (4_000_000, {"m": 0}),
    ]
    assert [tokens["m"] for _, tokens in counted(events, "completion tokens/s")] == [20, 40, 20, 0]
    about = slices(events, "calls")[1]["args"]
    assert (about["waited_seconds"], about["server"], about["cached_tokens"], about["id"]) == (1.5, "http://a:1", 3, 7)


def test_a_failed_call_makes_no_tokens() -> None:
    events = timeline([{**CALL, "at": 3.0, "seconds": 2.0, "outcome": "timeout", "reason": "slow"}])

    assert [tokens["m"] for _, tokens in counted(events, "completion tokens/s")] == [0, 0]
    assert slices(events, "calls")[0]["name"] == "m (timeout)"


def test_what_a_kill_cut_off_lasts_until_then() -> None:
    heard_of = heard(PLAN)
    cut = next(i for i, e in enumerate(heard_of) if e.get("node") == "critique" and e["event"] == "call")
    events = timeline(heard_of[: cut + 1])
    assert_is_valid(events)

    unfinished = {s["name"]: s["ts"] + s["dur"] for s in slices(events, "question") + slices(events, "node")}
    assert unfinished == {"q0": 2_000_000, "generate": 1_000_000, "critique": 2_000_000}


def test_sessions_follow_each_other() -> None:
    one = heard("- generate: {model: m, n: 3}")
    events = timeline(one, one)
    assert_is_valid(events)

    assert names(events, "process") == ["run", "session 1, question q0", "session 2, question q0"]
    assert [s["ts"] for s in slices(events, "calls")] == [0, 2_000_000]


def test_notes_are_there_and_answers_are_not() -> None:
    events = Events()
    backend = Scripted(lambda request, i: "secret 42")
    answer(plan_of("- generate: {model: m, n: 3}\n- extract: {kind: number}\n- vote"), backend, listeners=[events])
    shown = timeline(events.all)
    assert_is_valid(shown)

    assert [e["name"] for e in shown if e["ph"] == "i"] == ["extracted", "vote"]
    assert "42" not in json.dumps(shown)


def test_the_command_writes_a_file_or_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = JsonlFile(tmp_path / "t")
    answer(plan_of("- generate: {model: m, n: 3}"), Scripted(takes=1.0), listeners=[file])
    file.close()
    with (tmp_path / "t").open("a") as torn:
        torn.write('{"event": "ca')
    for words in ([], ["--output", str(tmp_path / "o")]):
        with pytest.raises(SystemExit) as ended:
            main(["trace", str(tmp_path / "t"), "--to", "perfetto", *words])
        assert ended.value.code == 0
    out, err = capsys.readouterr()

    assert json.loads(out) == json.loads((tmp_path / "o").read_text())
    assert err.splitlines() == ["left out: 1 lines that a kill has torn, or that are no events"] * 2


def test_wrong_usage_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--to", "svg"], [], ["--to", "otel", "--output", "o"]):
        with pytest.raises(SystemExit) as ended:
            main(["trace", str(tmp_path / "t"), *words])
        assert ended.value.code == 2
