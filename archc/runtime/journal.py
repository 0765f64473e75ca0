"""Journal: every attempt before it is sent, and every completion before it is used; found again by its call's identity.

One SQLite file in WAL mode with `synchronous=FULL`, written by one thread that commits whatever has gathered while the
last commit was under way. It is the cache, the ledger, the resume log and the replay tape, and processes share it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from archc import calls, errors
from archc.calls import NOTHING, Completion, Failed, Spend
from archc.diagnostics import Diagnostic, RunError
from archc.runtime.locks import Owner
from archc.runtime.records import Attempt, Claim, Outcome, Past
from archc.runtime.store import Store

T = TypeVar("T")

_Job = Callable[[Store], Any]
_Write = tuple[_Job, "asyncio.Future[Any] | None"]


class _Written(asyncio.Future[T]):
    """What a job gave, once it is on disk. Who waits for it and is cancelled goes on waiting, and is cancelled then."""

    def cancel(self, msg: object = None) -> bool:
        return False


class Journal:
    """Opened once per session. Not for use from several event loops."""

    def __init__(self, path: Path) -> None:
        """Raises RunError if the file can't be used."""
        self.path = path
        self._failure: Diagnostic | None = None
        self._reader = opened(path)
        try:
            self._store = opened(path)
            try:
                [[name]] = self._store.rows("SELECT lower(hex(randomblob(8)))")
                self._owner = Owner(path, name)
            except OSError as error:
                self._store.close()
                raise RunError(_bad(path, error)) from None
        except BaseException:
            self._reader.close()
            raise
        self._store.owner = name
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._queue.put((Store.bury_the_dead, None))
        self._writer = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._writer.start()

    def find(self, keys: Sequence[str]) -> dict[str, Completion]:
        """Those of the completions with these identities that were ever paid for. A damaged one counts as not there.

        Raises RunError if the file cannot be read, or no longer be written: then nothing more should be bought.
        """
        return self._read(lambda store: store.find(keys))

    def is_being_bought(self, key: str) -> bool:
        """Whether another living process has claimed that sample and has not paid for it yet. Raises RunError."""
        return self._read(lambda store: store.is_being_bought(key))

    def outcome(self, key: str) -> calls.Outcome | None:
        """What came of the execution with that identity, if it was ever run. Raises RunError."""
        return self._read(lambda store: store.outcome(key))

    async def keep(self, key: str, outcome: calls.Outcome) -> None:
        """Stores what came of an execution; returns once that is on disk. Raises RunError if it cannot be."""
        await self._durable(lambda store: store.keep(key, outcome))

    def _read(self, job: Callable[[Store], T]) -> T:
        import apsw

        if self._failure:
            raise RunError(self._failure)
        try:
            return job(self._reader)
        except apsw.Error as error:
            raise RunError(_bad(self.path, error)) from None

    async def reserve(self, attempt: Attempt) -> Claim:
        """Claims those of the attempt's samples that nobody has or buys; returns once that is on disk.

        Then they must be settled. When cancelled, it settles them itself: nothing was sent. Raises RunError.
        """
        done = self._put(lambda store: store.reserve(attempt))
        try:
            return await done
        except asyncio.CancelledError:
            if not done.exception() and done.result().keys:
                await self.settle(done.result(), Outcome("free", NOTHING, {}, reason="cancelled"))
            raise

    def settle(self, claim: Claim, outcome: Outcome) -> Awaitable[None]:
        """Books what an attempt cost and stores what it brought, before anything that is written later.

        To be awaited: it is on disk then. Raises RunError if it cannot be. Waits for the disk when cancelled, too:
        until the rows are there, others would buy them again.
        """
        return self._put(lambda store: store.settle(claim, outcome))

    async def begin(self, name: str, recipe: Mapping[str, Any], seed: int) -> Past:
        """Goes on with the run of that name that is not over, or begins one. Raises RunError."""
        return await self._durable(lambda store: store.begin(name, recipe, seed))

    async def spent(self, names: str) -> Spend:
        """What all runs whose names begin so have spent. Raises RunError."""
        return await self._durable(lambda store: store.spent(names))

    async def end(self, run: str) -> None:
        """Nothing is left to do in that run. Raises RunError."""
        await self._durable(lambda store: store.end(run))

    def ask(self, run: str, query: str, question: str) -> None:
        """Notes that a query begins, before anything that is written later."""
        self._queue.put((lambda store: store.ask(run, query, question), None))

    def fail(self, run: str, query: str, failed: Mapping[str, Failed], whole: bool) -> None:
        """Notes what stands in the place of samples, before anything that is written later."""
        self._queue.put((lambda store: store.fail(run, query, failed, whole), None))

    def answer(self, run: str, query: str, result: str) -> None:
        """Notes what a query came to, before anything that is written later."""
        self._queue.put((lambda store: store.answer(run, query, result), None))

    def close(self) -> None:
        """Commits what is left and closes the file. May be called twice."""
        if self._writer.is_alive():
            self._queue.put(None)
            self._writer.join()
        self._owner.close()
        self._reader.close()
        self._store.close()

    async def _durable(self, job: Callable[[Store], T]) -> T:
        return await self._put(job)

    def _put(self, job: Callable[[Store], T]) -> _Written[T]:
        done: _Written[T] = _Written(loop=asyncio.get_running_loop())
        self._queue.put((job, done))
        return done

    def _write_all(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first, *self._drain()]
            writes = [write for write in batch if write is not None]
            results = self._commit([job for job, _ in writes])
            waiting = [(done, result) for (_, done), result in zip(writes, results, strict=True) if done]
            if waiting:
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    waiting[0][0].get_loop().call_soon_threadsafe(_resolve, waiting, self._failure)
            if None in batch:
                return

    def _drain(self) -> list[_Write | None]:
        gathered = []
        while True:
            try:
                gathered.append(self._queue.get_nowait())
            except queue.Empty:
                return gathered

    def _commit(self, jobs: list[_Job]) -> list[Any]:
        """What the jobs give, in one transaction; after a failure nothing more is written."""
        import apsw

        if not self._failure:
            try:
                with self._store.transaction():
                    return [job(self._store) for job in jobs]
            except (apsw.Error, ValueError, OSError) as error:
                self._failure = _bad(self.path, error)
        return [None] * len(jobs)


def opened(path: Path) -> Store:
    """The file, to be closed. Raises RunError if it can't be used."""
    import apsw

    try:
        return Store(path)
    except (apsw.Error, OSError, ValueError) as error:
        raise RunError(_bad(path, error)) from None


def _bad(path: Path, error: Exception) -> Diagnostic:
    return errors.BadJournal(path=str(path), problem=str(error))


def _resolve(waiting: list[tuple[asyncio.Future[Any], Any]], failure: Diagnostic | None) -> None:
    for done, result in waiting:
        if failure:
            done.set_exception(RunError(failure))
        else:
            done.set_result(result)
