"""The journal: what is in it is whole, what cannot be written stops the buying, and a broken file is said to be one."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import apsw
import pytest

from archc.calls import Completion, Finish, Usage
from archc.diagnostics import RunError
from archc.runtime.journal import Journal
from tests.fakes import Scripted, answer, plan_of, session

KEY = "ab" * 32
TEXT = Completion("text", Finish.LENGTH, Usage(10, 5, 3), -0.25)
PLAN = "- generate: {model: m, n: 3}\n- fuse: {model: m}"


def key(number: int) -> str:
    return f"{number:064x}"


def put(path: Path, *keys: str) -> None:
    async def main() -> None:
        journal = Journal(path)
        try:
            async with asyncio.TaskGroup() as tasks:
                for one in keys:
                    tasks.create_task(journal.put([(one, "model", TEXT)]))
        finally:
            journal.close()

    asyncio.run(main())


def get(path: Path, one: str) -> Completion | None:
    journal = Journal(path)
    try:
        return journal.get(one)
    finally:
        journal.close()


def test_what_was_put_is_found_again_as_it_was(tmp_path: Path) -> None:
    put(tmp_path / "j", *map(key, range(500)))
    assert all(get(tmp_path / "j", key(i)) == TEXT for i in (0, 250, 499))
    assert get(tmp_path / "j", key(500)) is None


def test_a_row_is_there_for_other_readers_before_put_returns(tmp_path: Path) -> None:
    async def main() -> None:
        journal, other = Journal(tmp_path / "j"), Journal(tmp_path / "j")
        for i in range(20):
            await journal.put([(key(i), "model", TEXT)])
            assert other.get(key(i)) == TEXT
        journal.close()
        other.close()

    asyncio.run(main())


def test_two_sessions_write_one_file_at_the_same_time(tmp_path: Path) -> None:
    async def main() -> None:
        journals = [Journal(tmp_path / "j") for _ in range(3)]
        async with asyncio.TaskGroup() as tasks:
            for i in range(300):
                tasks.create_task(journals[i % 3].put([(key(i), "model", TEXT)]))
        assert all(journals[0].get(key(i)) == TEXT for i in range(300))
        for journal in journals:
            journal.close()

    asyncio.run(main())


def test_a_cancelled_put_waits_for_the_disk(tmp_path: Path) -> None:
    """Else another question would buy the call again between the two."""

    async def main() -> None:
        journal = Journal(tmp_path / "j")
        putting = asyncio.create_task(journal.put([(KEY, "model", TEXT)]))
        await asyncio.sleep(0)
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
        assert journal.get(KEY) == TEXT
        journal.close()
        journal.close()

    asyncio.run(main())


def test_the_file_is_private(tmp_path: Path) -> None:
    put(tmp_path / "deep" / "down" / "j", KEY)
    assert stat.S_IMODE((tmp_path / "deep" / "down" / "j").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "deep" / "down").stat().st_mode) == 0o700


def test_a_damaged_row_counts_as_not_there_and_is_bought_again(tmp_path: Path) -> None:
    put(tmp_path / "j", KEY)
    connection = apsw.Connection(str(tmp_path / "j"))
    connection.execute("UPDATE completions SET body = substr(body, 1, 10)")
    connection.close()
    assert get(tmp_path / "j", KEY) is None
    put(tmp_path / "j", KEY)
    assert get(tmp_path / "j", KEY) == TEXT


def broken(path: Path) -> str:
    with pytest.raises(RunError) as caught:
        get(path, KEY)
    assert caught.value.diagnostic.name == "bad-journal"
    assert str(path) in caught.value.diagnostic.headline
    return caught.value.diagnostic.headline


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("my notes, " * 1000)
    assert "not a database" in broken(other)
    assert other.read_text() == "my notes, " * 1000


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "j", KEY)
    connection = apsw.Connection(str(tmp_path / "j"))
    connection.execute("UPDATE meta SET value = '99'")
    connection.close()
    assert "it has schema 99" in broken(tmp_path / "j")


def test_other_tables_of_the_same_name_are_refused(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "j"))
    connection.execute("CREATE TABLE completions (id INTEGER)")
    connection.close()
    broken(tmp_path / "j")


def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    broken(tmp_path)
    (tmp_path / "file").write_text("")
    broken(tmp_path / "file" / "journal")
    broken(Path("/proc/journal"))


def test_a_run_on_a_broken_journal_sends_nothing(tmp_path: Path) -> None:
    backend = Scripted()
    with pytest.raises(RunError):
        answer(plan_of(PLAN), backend, journal=tmp_path)
    assert backend.sent == []


def test_when_the_disk_is_full_the_buying_stops(tmp_path: Path) -> None:
    """Each question fails for the same stated reason, and only the first pays for finding out."""
    backend = Scripted(lambda r, i: "".join(chr(0x4E00 + (r.seeds[i] * j * j) % 20_000) for j in range(30_000)))

    async def main() -> None:
        async with session(plan_of(PLAN), backend, journal=tmp_path / "j") as open_session:
            journal = open_session._governor._journal
            assert journal is not None
            journal._connection.execute("PRAGMA max_page_count = 8")
            runs = [await open_session.answer(f"q{i}", str(i)) for i in range(4)]
            assert [r.status for r in runs] == ["failed"] * 4
            assert {r.error.name for r in runs if r.error} == {"bad-journal"}
            assert len(backend.sent) == 1
            await asyncio.sleep(0)

    asyncio.run(main())
    connection = apsw.Connection(str(tmp_path / "j"))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_a_run_from_the_journal_is_the_same_run(tmp_path: Path) -> None:
    plan = plan_of(
        "- generate: {model: m, n: 4}\n- critique: {model: m}\n- rank: {model: m, top_k: 2}\n- fuse: {model: m}"
    )
    first = answer(plan, Scripted(takes=0.0), journal=tmp_path / "j")
    backend = Scripted()
    again = answer(plan, backend, journal=tmp_path / "j")
    assert backend.sent == []
    assert (again.answer, again.candidates, again.status) == (first.answer, first.candidates, first.status)
    assert (again.spent.calls, again.cached) == (0, first.spent.calls)


def test_nothing_is_kept_without_a_journal(tmp_path: Path) -> None:
    backend = Scripted()

    async def main() -> None:
        async with session(plan_of("- generate: {model: m}"), backend) as open_session:
            await open_session.answer("q", "1")
            await open_session.answer("q", "2")

    asyncio.run(main())
    assert len(backend.sent) == 2
