"""Journal: every completion that was paid for, durable before it is used, found again by its call's identity.

One SQLite file in WAL mode with `synchronous=FULL`, written by one thread that commits whatever has gathered while the
last commit was under way. It is the cache, the resume log and the replay tape.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc import errors
from archc.calls import Completion, Finish, Usage
from archc.diagnostics import Diagnostic, RunError

if TYPE_CHECKING:
    import apsw

SCHEMA_VERSION = 1

SMALL = 1024
"""Bodies below so many bytes are kept as they are: setting up a compressor costs more than it saves."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS completions (
    key BLOB PRIMARY KEY,       -- the call's identity, SHA-256
    model TEXT NOT NULL,        -- the model's fingerprint
    body BLOB NOT NULL,         -- JSON (text, finish, usage, logprob), as zlib where that is worth it
    crc INTEGER NOT NULL        -- CRC-32 of body
) STRICT, WITHOUT ROWID;
"""

_Write = tuple[list[tuple[str, str, bytes]], "asyncio.Future[None]"]


class Journal:
    """Opened once per session. Not for use from several event loops."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._failure: Diagnostic | None = None
        self._reader = _open(path)
        self._connection = _open(path)
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._writer.start()

    def get(self, key: str) -> Completion | None:
        """The completion with that identity, if it was ever paid for. A damaged one counts as not there.

        Raises RunError if the file cannot be read, or no longer be written: then nothing more should be bought.
        """
        import apsw

        if self._failure:
            raise RunError(self._failure)
        try:
            rows = self._reader.execute("SELECT body, crc FROM completions WHERE key = ?", (bytes.fromhex(key),))
            row = rows.fetchone()
        except apsw.Error as error:
            raise RunError(_bad(self.path, error)) from None
        return _unpack(row[0], row[1]) if row else None

    async def put(self, entries: Sequence[tuple[str, str, Completion]]) -> None:
        """Stores `(key, model fingerprint, completion)` rows; returns once they are on disk.

        Raises RunError if they cannot be written. Waits for the disk when cancelled, too: until the rows are there,
        others would buy them again.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(([(key, model, _pack(completion)) for key, model, completion in entries], done))
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise

    def close(self) -> None:
        """Commits what is left and closes the file. May be called twice."""
        if self._writer.is_alive():
            self._queue.put(None)
            self._writer.join()
        self._reader.close()
        self._connection.close()

    def _write_all(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first, *self._drain()]
            writes = [w for w in batch if w is not None]
            self._failure = _commit(self._connection, self.path, [row for rows, _ in writes for row in rows])
            done = [waiting for _, waiting in writes]
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                done[0].get_loop().call_soon_threadsafe(_resolve, done, self._failure)
            if None in batch:
                return

    def _drain(self) -> list[_Write | None]:
        gathered = []
        while True:
            try:
                gathered.append(self._queue.get_nowait())
            except queue.Empty:
                return gathered


def _open(path: Path) -> apsw.Connection:
    import apsw

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        connection = apsw.Connection(str(path))
    except (apsw.Error, OSError) as error:
        raise RunError(_bad(path, error)) from None
    try:
        connection.set_busy_timeout(30_000)
        connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        with connection:
            connection.execute(_SCHEMA)
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?)", (str(SCHEMA_VERSION),))
        [[version]] = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchall()
        if version != str(SCHEMA_VERSION):
            raise ValueError(f"it has schema {version}, this archc reads schema {SCHEMA_VERSION}")
    except (apsw.Error, ValueError) as error:
        connection.close()
        raise RunError(_bad(path, error)) from None
    return connection


def _commit(connection: apsw.Connection, path: Path, rows: list[tuple[str, str, bytes]]) -> Diagnostic | None:
    import apsw

    try:
        with connection:
            connection.executemany(
                "INSERT OR REPLACE INTO completions VALUES (?, ?, ?, ?)",
                [(bytes.fromhex(key), model, body, zlib.crc32(body)) for key, model, body in rows],
            )
    except (apsw.Error, ValueError) as error:
        return _bad(path, error)
    return None


def _bad(path: Path, error: Exception) -> Diagnostic:
    return errors.BadJournal(path=str(path), problem=str(error))


def _resolve(waiting: Sequence[asyncio.Future[None]], failure: Diagnostic | None) -> None:
    for done in waiting:
        if done.cancelled():
            continue
        if failure:
            done.set_exception(RunError(failure))
        else:
            done.set_result(None)


def _pack(completion: Completion) -> bytes:
    usage = completion.usage
    content: dict[str, Any] = {
        "text": completion.text,
        "finish": completion.finish,
        "usage": [usage.prompt, usage.completion, usage.cached],
        "logprob": completion.logprob,
    }
    body = json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return body if len(body) < SMALL else zlib.compress(body, 1)


def _unpack(body: bytes, crc: int) -> Completion | None:
    if zlib.crc32(body) != crc:
        return None
    plain = body if body.startswith(b"{") else zlib.decompress(body)
    content = json.loads(plain.decode("utf-8", "surrogatepass"))
    return Completion(content["text"], Finish(content["finish"]), Usage(*content["usage"]), content["logprob"])
