"""Batches: every question answered once, whatever the output file has been through."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archc.calls import CallError, FailureKind, Message
from archc.diagnostics import RunError, SpecError
from archc.runtime.batch import Item, Output, Summary, read_items, run_batch
from tests.fakes import Scripted, echo, plan_of, run, session

PLAN = "- generate: {model: m, n: 2}"


def items(count: int) -> Iterator[Item]:
    return (Item(str(i), (Message("user", f"question {i}"),)) for i in range(count))


def batch(path: Path, backend: Scripted, count: int = 10, parallel: int = 4, key: str = "k") -> Summary:
    async def main() -> Summary:
        output = Output(path, key)
        try:
            async with session(plan_of(PLAN), backend) as open_session:
                return await run_batch(open_session, items(count), output, parallel, lambda run: None)
        finally:
            output.close()

    return run(main())


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_all_are_answered_once_and_never_more_than_asked_for_at_a_time(tmp_path: Path) -> None:
    backend = Scripted(takes=lambda r: 1.0 + r.seeds[0] % 3)
    assert batch(tmp_path / "deep" / "a", backend) == Summary(10, 0, 0, 0)
    assert sorted(int(r["id"]) for r in records(tmp_path / "deep" / "a")) == list(range(10))
    assert backend.most_in_flight == 4


def test_the_same_command_again_does_nothing(tmp_path: Path) -> None:
    batch(tmp_path / "a", Scripted())
    before = (tmp_path / "a").read_bytes()
    backend = Scripted()
    assert batch(tmp_path / "a", backend) == Summary(0, 10, 0, 0)
    assert backend.sent == []
    assert (tmp_path / "a").read_bytes() == before


def test_a_file_cut_anywhere_goes_on_from_there(tmp_path: Path) -> None:
    batch(tmp_path / "whole", Scripted(), count=3)
    whole = (tmp_path / "whole").read_bytes()
    for cut in [*range(12), *range(12, len(whole), 37), len(whole) - 1]:
        (tmp_path / "a").write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        assert batch(tmp_path / "a", Scripted(), count=3) == Summary(3 - kept, kept, 0, 0), cut
        assert sorted(r["id"] for r in records(tmp_path / "a")) == ["0", "1", "2"]


@pytest.mark.parametrize(
    "content",
    [
        b"my notes",
        b"my notes\n",
        b'{"id": 1}\n',
        b"[1]\n",
        b'"run"\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"a": 1}',
    ],
)
def test_a_foreign_file_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SpecError) as caught:
        Output(tmp_path / "a", "k")
    assert caught.value.diagnostics[0].name == "foreign-output"
    assert (tmp_path / "a").read_bytes() == content


def test_the_answers_of_another_spec_are_left_alone(tmp_path: Path) -> None:
    batch(tmp_path / "a", Scripted())
    with pytest.raises(SpecError):
        batch(tmp_path / "a", Scripted(), key="other")
    assert len(records(tmp_path / "a")) == 10


def test_a_place_where_no_file_can_be_is_an_error_of_the_user(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/proc/none"), Path("/dev/full")):
        with pytest.raises(SpecError):
            Output(path, "k")


def test_a_full_disk_ends_the_batch_with_a_reason(tmp_path: Path) -> None:
    async def main() -> None:
        async with session(plan_of(PLAN), Scripted(takes=1.0)) as open_session:
            output = Output(tmp_path / "a", "k")
            os.dup2(os.open("/dev/full", os.O_WRONLY), output._file.fileno())
            try:
                await run_batch(open_session, items(100), output, 4, lambda run: None)
            finally:
                output.close()

    with pytest.raises(RunError) as caught:
        run(main())
    assert "No space left" in str(caught.value)


def test_failed_questions_are_asked_again(tmp_path: Path) -> None:
    no = CallError(FailureKind.AUTH, "no")
    flaky = Scripted(lambda r, i: no if r.messages[-1].content in ("question 2", "question 5") else echo(r, i))
    assert batch(tmp_path / "a", flaky) == Summary(8, 0, 2, 0)
    assert batch(tmp_path / "a", Scripted()) == Summary(2, 8, 0, 0)
    assert sorted(int(r["id"]) for r in records(tmp_path / "a") if r["status"] == "ok") == list(range(10))


def test_any_text_survives_the_file(tmp_path: Path) -> None:
    batch(tmp_path / "a", Scripted(lambda r, i: "half \ud800 pair \u2028 é \0 \n"), count=1)
    assert records(tmp_path / "a")[0]["text"] == "half \ud800 pair \u2028 é \0 \n"


def test_cancelling_a_batch_keeps_what_was_written(tmp_path: Path) -> None:
    backend = Scripted(takes=lambda r: float("inf") if len(backend.sent) > 6 else 0.0)

    async def main() -> None:
        output = Output(tmp_path / "a", "k")
        async with session(plan_of(PLAN), backend) as open_session:
            work = asyncio.create_task(run_batch(open_session, items(20), output, 3, lambda run: None))
            await backend.until(lambda: backend.in_flight == 3 and len(backend.sent) == 9)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
        output.close()

    run(main())
    done = len(records(tmp_path / "a"))
    assert done == 6
    assert batch(tmp_path / "a", Scripted(), count=20) == Summary(14, 6, 0, 0)


def test_a_bad_item_ends_the_batch_as_itself(tmp_path: Path) -> None:
    (tmp_path / "q").write_text('{"question": "a"}\nnonsense\n')

    async def main() -> None:
        async with session(plan_of(PLAN), Scripted()) as open_session:
            output = Output(tmp_path / "a", "k")
            try:
                await run_batch(open_session, read_items(tmp_path / "q"), output, 4, lambda run: None)
            finally:
                output.close()

    with pytest.raises(SpecError):
        run(main())


# ---- input


def read(tmp_path: Path, content: bytes) -> list[Item]:
    (tmp_path / "q").write_bytes(content)
    return list(read_items(tmp_path / "q"))


def test_questions_have_the_number_of_their_line_or_their_own_id(tmp_path: Path) -> None:
    content = (
        b'\xef\xbb\xbf{"question": "a"}\n\n{"question": "b", "id": 7}\n{"question": "c", "id": "x"}\r\n{"question": ""}'
    )
    assert [item.id for item in read(tmp_path, content)] == ["1", "7", "x", "5"]


def test_messages_are_a_question_too(tmp_path: Path) -> None:
    content = b'{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u", "name": "n"}]}'
    [item] = read(tmp_path, content)
    assert item.question == (Message("system", "s"), Message("user", "u"))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"nonsense", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"9" * 10_000, "it is not JSON"),
        (b"[1]", "it is not a JSON object"),
        (b'{"question": 7}', "it has neither"),
        (b'{"messages": []}', "it has neither"),
        (b'{"messages": [{"role": "tool", "content": "x"}]}', "it has neither"),
        (b'{"messages": [{"role": "assistant", "content": "x"}]}', "the last message is not the user's"),
        (b'{"question": "b", "id": "1"}', "id 1 again"),
    ],
)
def test_a_bad_line_is_named(line: bytes, problem: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, b'{"question": "a"}\n' + line + b"\n")
    headline = caught.value.diagnostics[0].headline
    assert headline.startswith("line 2 of")
    assert problem in headline


def test_a_file_that_is_not_text_or_not_there_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        read(tmp_path, b"\xff\xfe\x00")
    with pytest.raises(SpecError):
        list(read_items(tmp_path / "nowhere"))
    with pytest.raises(SpecError):
        list(read_items(tmp_path))


def test_two_runs_never_write_one_output(tmp_path: Path) -> None:
    first = Output(tmp_path / "a", "key")
    with pytest.raises(SpecError, match="another run is writing it"):
        Output(tmp_path / "a", "key")
    first.close()
    Output(tmp_path / "a", "key").close()
