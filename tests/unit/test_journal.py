"""The journal: what is in it is whole, what cannot be written stops the buying, and a broken file is said to be one."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from zlib import crc32

import apsw
import pytest

from archc.calls import NOTHING, Completion, Failed, FailureKind, Finish, Spend, Usage
from archc.diagnostics import RunError
from archc.runtime.journal import Journal, opened
from archc.runtime.locks import FIXED, file_system, refuse
from archc.runtime.records import Attempt, Outcome
from tests.fakes import Scripted, answer, plan_of, session

KEY = "ab" * 32
TEXT = Completion("text", Finish.LENGTH, Usage(10, 5, 3), -0.25)
PLAN = "- generate: {model: m, n: 3}\n- fuse: {model: m}"


def key(number: int) -> str:
    return f"{number:064x}"


def attempt(*keys: str, run: str = "", query: str = "q", blocks: tuple[str, ...] = ()) -> Attempt:
    return Attempt(run, query, "generate", "m", blocks, Spend(1, 100, 50, 0.5), keys)


def paid(*keys: str) -> Outcome:
    return Outcome("ok", Spend(len(keys), 10, 5, 0.1), dict.fromkeys(keys, TEXT), "model")


async def buy(journal: Journal, *keys: str) -> None:
    await journal.settle(await journal.reserve(attempt(*keys)), paid(*keys))


def put(path: Path, *keys: str) -> None:
    async def main() -> None:
        journal = Journal(path)
        try:
            async with asyncio.TaskGroup() as tasks:
                for one in keys:
                    tasks.create_task(buy(journal, one))
        finally:
            journal.close()

    asyncio.run(main())


def get(path: Path, one: str) -> Completion | None:
    journal = Journal(path)
    try:
        return journal.find([one]).get(one)
    finally:
        journal.close()


def test_what_was_put_is_found_again_as_it_was(tmp_path: Path) -> None:
    put(tmp_path / "j", *map(key, range(500)))
    assert all(get(tmp_path / "j", key(i)) == TEXT for i in (0, 250, 499))
    assert get(tmp_path / "j", key(500)) is None


def test_a_sample_is_there_for_other_readers_before_settle_returns(tmp_path: Path) -> None:
    async def main() -> None:
        journal, other = Journal(tmp_path / "j"), Journal(tmp_path / "j")
        for i in range(20):
            await buy(journal, key(i))
            assert other.find([key(i)]) == {key(i): TEXT}
        journal.close()
        other.close()

    asyncio.run(main())


def test_two_sessions_write_one_file_at_the_same_time(tmp_path: Path) -> None:
    async def main() -> None:
        journals = [Journal(tmp_path / "j") for _ in range(3)]
        async with asyncio.TaskGroup() as tasks:
            for i in range(300):
                tasks.create_task(buy(journals[i % 3], key(i)))
        assert journals[0].find([key(i) for i in range(300)]) == {key(i): TEXT for i in range(300)}
        for journal in journals:
            journal.close()

    asyncio.run(main())


def test_a_cancelled_settle_waits_for_the_disk(tmp_path: Path) -> None:
    """Else another question would buy the call again between the two."""

    async def main() -> None:
        journal = Journal(tmp_path / "j")
        claim = await journal.reserve(attempt(KEY))

        async def put() -> None:
            await journal.settle(claim, paid(KEY))

        putting = asyncio.create_task(put())
        await asyncio.sleep(0)
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
        assert journal.find([KEY]) == {KEY: TEXT}
        journal.close()
        journal.close()

    asyncio.run(main())


def test_a_cancelled_reservation_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        journal, other = Journal(tmp_path / "j"), Journal(tmp_path / "j")
        reserving = asyncio.create_task(journal.reserve(attempt(KEY)))
        await asyncio.sleep(0)
        reserving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reserving
        assert (await other.reserve(attempt(KEY))).keys == (KEY,)
        journal.close()
        other.close()

    asyncio.run(main())


def test_only_one_of_several_buys_a_sample(tmp_path: Path) -> None:
    async def main() -> None:
        one, two = Journal(tmp_path / "j"), Journal(tmp_path / "j")
        keys = tuple(map(key, range(4)))
        first = await one.reserve(attempt(*keys[1:3]))
        second = await two.reserve(attempt(*keys))
        assert (first.keys, second.keys) == (keys[1:3], keys[:1])  # a server counts seeds on, so no gaps
        assert two.is_being_bought(keys[1])
        await one.settle(first, Outcome("free", NOTHING, {}))
        assert not two.is_being_bought(keys[1])
        assert (await two.reserve(attempt(*keys[1:]))).keys == keys[1:]
        one.close()
        two.close()

    asyncio.run(main())


def test_what_somebody_had_under_way_at_its_end_is_in_doubt_and_charged(tmp_path: Path) -> None:
    async def main() -> None:
        dead, heir = Journal(tmp_path / "j"), Journal(tmp_path / "j")
        begun = await dead.begin("batch", {}, 0)
        await dead.reserve(attempt(KEY, run=begun.run, query="q7", blocks=("budget",)))
        assert heir.is_being_bought(KEY)
        dead._owner._file.close()  # as its end does it
        assert not heir.is_being_bought(KEY)
        claim = await heir.reserve(attempt(KEY, run=begun.run))
        assert claim.keys == (KEY,)
        await heir.settle(claim, paid(KEY))
        past = await heir.begin("batch", {}, 0)
        assert (past.run, past.doubts) == (begun.run, 1)
        assert set(past.spent) == {("q7", ("budget",), Spend(1, 100, 50, 0.5)), ("q", (), Spend(1, 10, 5, 0.1))}
        dead.close()
        heir.close()

    asyncio.run(main())


def test_a_run_goes_on_under_its_name_until_it_has_ended_and_while_nobody_is_at_it(tmp_path: Path) -> None:
    async def main() -> None:
        one, two = Journal(tmp_path / "j"), Journal(tmp_path / "j")
        first = (await one.begin("batch", {}, 0)).run
        assert (await two.begin("batch", {}, 0)).run != first  # somebody is at it
        one.close()
        three = Journal(tmp_path / "j")
        assert (await three.begin("batch", {}, 0)).run == first
        assert (await three.begin("", {}, 0)).run != (await three.begin("", {}, 0)).run
        await three.end(first)
        three.close()
        two.close()
        four = Journal(tmp_path / "j")
        assert (await four.begin("batch", {}, 0)).run != first
        four.close()

    asyncio.run(main())


def test_a_run_is_told_as_it_was_noted(tmp_path: Path) -> None:
    async def main() -> None:
        journal = Journal(tmp_path / "j")
        run = (await journal.begin("x", {"plan": {"a": "\ud800"}, "fingerprints": {"m": "f"}}, 7)).run
        journal.ask(run, "q1", '[["user", "hi"]]')
        journal.fail(run, "q1", {KEY: Failed(FailureKind.AUTH, "no")}, whole=False)
        journal.ask(run, "q1", '[["user", "hi"]]')  # again: what had failed is forgotten
        journal.fail(run, "q1", {key(1): Failed(FailureKind.BUDGET, "few")}, whole=True)
        journal.answer(run, "q1", "digest")
        journal.close()
        with opened(tmp_path / "j") as store:
            told = store.recorded(run)
        assert told
        assert (told.recipe, told.fingerprints, told.seed) == ({"a": "\ud800"}, {"m": "f"}, 7)
        assert told.queries["q1"].failures == {key(1): Failed(FailureKind.BUDGET, "few")}
        assert told.queries["q1"].whole == {key(1)}
        assert told.queries["q1"].result == "digest"

    asyncio.run(main())


def test_a_journal_of_schema_1_is_taken_over(tmp_path: Path) -> None:
    put(tmp_path / "j", KEY)
    connection = apsw.Connection(str(tmp_path / "j"))
    [[body]] = connection.execute("SELECT body FROM samples").fetchall()
    connection.execute("DROP TABLE samples; DROP TABLE attempts; DROP TABLE runs; DROP TABLE queries")
    connection.execute("DROP TABLE failures; UPDATE meta SET value = '1'")
    connection.execute("CREATE TABLE completions (key BLOB PRIMARY KEY, model TEXT, body BLOB, crc INTEGER)")
    connection.execute("INSERT INTO completions VALUES (?, 'model', ?, ?)", (bytes.fromhex(KEY), body, crc32(body)))
    connection.close()

    assert get(tmp_path / "j", KEY) == TEXT
    put(tmp_path / "j", key(1))
    assert get(tmp_path / "j", key(1)) == TEXT


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "4.0.0", "3.50.7", "3.44.9"])
def test_a_sound_sqlite_is_used(version: str, tmp_path: Path) -> None:
    refuse(tmp_path / "j", version)


@pytest.mark.parametrize("version", ["3.51.2", "3.50.6", "3.40.1", "3.44.5", "3.45.9"])
def test_a_sqlite_that_may_lose_what_is_written_is_refused(version: str, tmp_path: Path) -> None:
    assert FIXED[0] > tuple(map(int, version.split(".")))
    with pytest.raises(ValueError, match="apsw"):
        refuse(tmp_path / "j", version)


def test_the_file_system_is_that_of_the_nearest_mount() -> None:
    def line(place: str, kind: str) -> str:
        return f"36 35 98:0 / {place} rw,noatime master:1 - {kind} server:/x rw\n"

    mounts = line("/", "ext4") + line("/net", "nfs4") + line("/net/my\\040disk", "xfs")
    assert file_system(Path("/home/me/j"), lambda: mounts) == "ext4"
    assert file_system(Path("/net/me/j"), lambda: mounts) == "nfs4"
    assert file_system(Path("/net/my disk/j"), lambda: mounts) == "xfs"
    assert file_system(Path("/net"), lambda: "") == ""


def test_the_file_is_private(tmp_path: Path) -> None:
    put(tmp_path / "deep" / "down" / "j", KEY)
    assert stat.S_IMODE((tmp_path / "deep" / "down" / "j").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "deep" / "down").stat().st_mode) == 0o700


def test_a_damaged_row_counts_as_not_there_and_is_bought_again(tmp_path: Path) -> None:
    put(tmp_path / "j", KEY)
    connection = apsw.Connection(str(tmp_path / "j"))
    connection.execute("UPDATE samples SET body = substr(body, 1, 10)")
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
    connection.execute("CREATE TABLE samples (id INTEGER)")
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
    """Each question fails for the same stated reason, and at most the first pays for finding out."""
    backend = Scripted(lambda r, i: "".join(chr(0x4E00 + (r.seeds[i] * j * j) % 20_000) for j in range(30_000)))

    async def main() -> None:
        async with session(plan_of(PLAN), backend, journal=tmp_path / "j") as open_session:
            journal = open_session._engine.governor._journal
            assert journal is not None
            [[pages]] = journal._store.rows("PRAGMA page_count")
            journal._store.connection.execute(f"PRAGMA max_page_count = {pages + 2}")
            runs = [await open_session.answer(f"q{i}", str(i)) for i in range(4)]
            assert [r.status for r in runs] == ["failed"] * 4
            assert {r.error.name for r in runs if r.error} == {"bad-journal"}
            assert len(backend.sent) <= 1

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


def test_the_locks_of_the_dead_are_removed_and_no_others(tmp_path: Path) -> None:
    def left() -> set[str]:
        return {path.name.rpartition("-")[2] for path in tmp_path.glob("j-owner-*")}

    async def main() -> None:
        dead, alive = Journal(tmp_path / "j"), Journal(tmp_path / "j")
        dead._owner._file.close()  # as its end does it
        third = Journal(tmp_path / "j")
        third.close()
        assert left() == {alive._owner.name}
        dead.close()
        alive.close()
        assert left() == set()

    asyncio.run(main())
