"""Store: the journal's SQLite file and what is written there.

An *attempt* is a request and what it reserves, written before it leaves and settled with what came back. A *sample* is
one completion; its row is claimed by the attempt that buys it, and has a body once it is paid for. An *execution* is
what came of a test of a program. A *run* has *queries*, and these have *failures*, which stand in the place of samples
and executions.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, cast

from archc import calls
from archc.calls import Completion, Failed, FailureKind, Message, Spend
from archc.runtime.locks import is_alive, owners, refuse
from archc.runtime.records import (
    Attempt,
    Claim,
    Outcome,
    Past,
    Recorded,
    State,
    Told,
    as_bytes,
    checksum,
    executed,
    execution,
    packed,
    unpacked,
)

SCHEMA_VERSION = 3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,         -- what the same command has in common
    owner TEXT NOT NULL,        -- who is at it, see `Owner`
    recipe BLOB NOT NULL,       -- JSON as zlib: all that the plan was made of
    seed INTEGER NOT NULL,
    began INTEGER NOT NULL,
    ended INTEGER               -- NULL while something is left to do
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_name ON runs (name);
CREATE TABLE IF NOT EXISTS queries (
    run TEXT NOT NULL,
    id TEXT NOT NULL,
    question TEXT NOT NULL,     -- JSON: [role, content] a message
    result TEXT,                -- SHA-256 of what it came to
    PRIMARY KEY (run, id)
) STRICT;
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    query TEXT NOT NULL,
    node TEXT NOT NULL,
    model TEXT NOT NULL,        -- as the spec calls it
    blocks TEXT NOT NULL,       -- JSON: the blocks with budgets of their own that it lies in
    owner TEXT NOT NULL,
    state TEXT NOT NULL,        -- see `State`
    calls INTEGER NOT NULL,     -- reserved while it is sent or in doubt, else spent
    prompt INTEGER NOT NULL,
    completion INTEGER NOT NULL,
    usd REAL NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    at INTEGER NOT NULL         -- when it was sent, in seconds since 1970
) STRICT;
CREATE INDEX IF NOT EXISTS attempts_by_run ON attempts (run);
CREATE INDEX IF NOT EXISTS attempts_sent ON attempts (owner) WHERE state = 'sent';
CREATE TABLE IF NOT EXISTS samples (
    key BLOB NOT NULL UNIQUE,   -- the call's identity, SHA-256
    attempt INTEGER NOT NULL,   -- who buys or bought it; 0 for what was imported
    model TEXT,                 -- the model's fingerprint
    body BLOB,                  -- JSON (text, finish, usage, logprob), as zlib where that is worth it; NULL until paid
    crc INTEGER,                -- CRC-32 of key and body
    at INTEGER                  -- when it was paid
) STRICT;
CREATE TABLE IF NOT EXISTS executions (
    key BLOB NOT NULL PRIMARY KEY,  -- SHA-256 of program, test and limits
    body BLOB NOT NULL,         -- JSON: status, message, seconds, stdout
    crc INTEGER NOT NULL,       -- CRC-32 of key and body
    at INTEGER NOT NULL         -- when it ran
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (
    run TEXT NOT NULL,
    query TEXT NOT NULL,
    key BLOB NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    whole INTEGER NOT NULL,     -- whether it was for want of budget for the whole question
    PRIMARY KEY (run, query, key)
) STRICT, WITHOUT ROWID;
"""

_FROM_1 = """
INSERT OR IGNORE INTO samples SELECT key, 0, model, body, checksum(key, body), unixepoch() FROM completions
WHERE crc = checksum(x'', body);
DROP TABLE completions;
"""


_FIND = "SELECT key, body, crc FROM samples WHERE key IN (SELECT unhex(value) FROM json_each(?))"


class Store:
    """One connection. `owner` is who claims and reserves; readers have none."""

    def __init__(self, path: Path) -> None:
        """Opens, creates or migrates the file. Raises apsw.Error, OSError, or ValueError with what is wrong."""
        import apsw

        refuse(path, apsw.sqlite_lib_version())
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        self.path = path
        self.connection = apsw.Connection(str(path))
        self.owner = ""
        try:
            self.connection.set_busy_timeout(30_000)
            self.connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
            self._prepare()
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self) -> None:
        if self._version() == SCHEMA_VERSION:
            return
        with self.transaction():
            version = self._version()
            if version not in (0, 1, 2, SCHEMA_VERSION):
                raise ValueError(f"it has schema {version}, this archc reads schema {SCHEMA_VERSION}")
            if version < SCHEMA_VERSION:
                self.connection.execute(_SCHEMA)
                self.connection.create_scalar_function("checksum", cast("Any", checksum), 2)
                self.connection.execute(_FROM_1 if version == 1 else "")
                self.connection.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", (str(SCHEMA_VERSION),))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written within it, or nothing; waits for other writers before it begins."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            with suppress(Exception):  # a full disk may have ended it already
                self.connection.execute("ROLLBACK")
            raise

    def _version(self) -> int:
        """Of the schema; 0 for an empty file."""
        if not self.rows("SELECT 1 FROM sqlite_schema WHERE name = 'meta'"):
            if self.rows("SELECT 1 FROM sqlite_schema"):
                raise ValueError("it is another program's database")
            return 0
        [[version]] = self.rows("SELECT value FROM meta WHERE key = 'schema'") or [["0"]]
        return int(version)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """What a query gives."""
        return self.connection.execute(sql, tuple(values)).fetchall()

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ---- samples and attempts

    def find(self, keys: Sequence[str]) -> dict[str, Completion]:
        """Those of the completions with these identities that were ever paid for. A damaged one counts as not there."""
        rows = self.rows(_FIND, (json.dumps(keys),))
        return {key.hex(): one for key, body, crc in rows if (one := unpacked(key, body, crc))}

    def reserve(self, attempt: Attempt) -> Claim:
        """Claims those of the samples that nobody has or buys, and reserves their worst case."""
        run = (attempt.run, attempt.query, attempt.node, attempt.model, json.dumps(attempt.blocks), self.owner)
        spend = _amounts(attempt.each * len(attempt.keys))
        self.connection.execute(
            "INSERT INTO attempts (run, query, node, model, blocks, owner, state, calls, prompt, completion, usd, at)"
            " VALUES (?, ?, ?, ?, ?, ?, 'sent', ?, ?, ?, ?, unixepoch())",
            (*run, *spend),
        )
        id = self.connection.last_insert_rowid()
        gained: tuple[str, ...] = ()
        for key in attempt.keys:
            if self._claim(id, bytes.fromhex(key)):
                gained += (key,)
            elif gained:
                break  # a server counts seeds on, so a request has no gaps
        if not gained:
            self.connection.execute("DELETE FROM attempts WHERE id = ?", (id,))
        elif len(gained) < len(attempt.keys):
            self._spend(id, "sent", attempt.each * len(gained), "")
        return Claim(id, gained)

    def _claim(self, attempt: int, key: bytes) -> bool:
        self.connection.execute("INSERT OR IGNORE INTO samples (key, attempt) VALUES (?, ?)", (key, attempt))
        if self.connection.changes():
            return True
        [[body, crc, owner]] = self.rows(
            "SELECT body, crc, (SELECT owner FROM attempts WHERE id = attempt AND state = 'sent') FROM samples"
            " WHERE key = ?",
            (key,),
        )
        if unpacked(key, body, crc) or (body is None and owner and self._is_alive(owner)):
            return False
        self.connection.execute(
            "UPDATE samples SET attempt = ?, model = NULL, body = NULL, crc = NULL WHERE key = ?", (attempt, key)
        )
        return True

    def _is_alive(self, owner: str) -> bool:
        if owner == self.owner or is_alive(self.path, owner):
            return True
        self.bury(owner)
        return False

    def bury(self, owner: str) -> None:
        """What a dead owner had under way stays charged, in doubt, and others may buy it."""
        self.connection.execute(
            "DELETE FROM samples WHERE body IS NULL AND attempt IN (SELECT id FROM attempts WHERE owner = ?1 AND"
            " state = 'sent')",
            (owner,),
        )
        self.connection.execute(
            "UPDATE attempts SET state = 'doubt', reason = 'the process ended' WHERE owner = ? AND state = 'sent'",
            (owner,),
        )

    def bury_the_dead(self) -> None:
        """The same for all who are no longer alive; their locks are removed."""
        sent = [owner for [owner] in self.rows("SELECT DISTINCT owner FROM attempts WHERE state = 'sent'")]
        for owner in {*sent, *owners(self.path)}:
            self._is_alive(owner)

    def settle(self, claim: Claim, outcome: Outcome) -> None:
        """Books what an attempt cost, stores what it brought, and gives up what it did not."""
        self._spend(claim.id, outcome.state, outcome.spent, outcome.reason)
        paid = []
        for key, completion in outcome.samples.items():
            body, id = packed(completion), bytes.fromhex(key)
            paid.append((outcome.fingerprint, body, checksum(id, body), id, claim.id))
        if paid:
            self.connection.executemany(
                "UPDATE samples SET model = ?, body = ?, crc = ?, at = unixepoch() WHERE key = ? AND attempt = ?", paid
            )
        lost = [(bytes.fromhex(key), claim.id) for key in claim.keys if key not in outcome.samples]
        if lost:
            self.connection.executemany("DELETE FROM samples WHERE key = ? AND attempt = ? AND body IS NULL", lost)

    def _spend(self, id: int, state: State, spent: Spend, reason: str) -> None:
        self.connection.execute(
            "UPDATE attempts SET state = ?, calls = ?, prompt = ?, completion = ?, usd = ?, reason = ? WHERE id = ?",
            (state, *_amounts(spent), reason, id),
        )

    def outcome(self, key: str) -> calls.Outcome | None:
        """What came of the execution with that identity, if it was ever run. A damaged one counts as not there."""
        rows = self.rows("SELECT key, body, crc FROM executions WHERE key = ?", (bytes.fromhex(key),))
        return execution(*rows[0]) if rows else None

    def keep(self, key: str, outcome: calls.Outcome) -> None:
        """Stores what came of an execution."""
        body, id = executed(outcome), bytes.fromhex(key)
        self.connection.execute(
            "INSERT OR REPLACE INTO executions VALUES (?, ?, ?, unixepoch())", (id, body, checksum(id, body))
        )

    def is_being_bought(self, key: str) -> bool:
        """Whether a living owner has claimed that sample and has not paid for it yet."""
        rows = self.rows(
            "SELECT owner FROM samples JOIN attempts ON id = attempt WHERE key = ? AND body IS NULL AND state = 'sent'",
            (bytes.fromhex(key),),
        )
        return any(is_alive(self.path, owner) for [owner] in rows)

    # ---- runs

    def begin(self, name: str, recipe: Mapping[str, Any], seed: int) -> Past:
        """Goes on with the run of that name (if it is one) that is not over and that nobody is at; else begins one."""
        known = self.rows("SELECT id, owner FROM runs WHERE name = ? AND name != '' AND ended IS NULL", (name,))
        run = next((id for id, owner in known if not is_alive(self.path, owner)), "")
        if run:
            self.connection.execute("UPDATE runs SET owner = ? WHERE id = ?", (self.owner, run))
        else:
            [[run]] = self.rows("SELECT lower(hex(randomblob(4)))")
            self.connection.execute(
                "INSERT INTO runs (id, name, owner, recipe, seed, began) VALUES (?, ?, ?, ?, ?, unixepoch())",
                (run, name, self.owner, zlib.compress(as_bytes(recipe)), seed),
            )
        spent = self.rows(
            "SELECT query, blocks, sum(calls), sum(prompt), sum(completion), sum(usd), sum(state = 'doubt')"
            " FROM attempts WHERE run = ? AND state != 'free' GROUP BY query, blocks",
            (run,),
        )
        amounts = [(query, tuple(json.loads(blocks)), Spend(*amount)) for query, blocks, *amount, _ in spent]
        return Past(run, amounts, sum(row[-1] for row in spent))

    def spent(self, names: str) -> Spend:
        """What all runs whose names begin so have spent, those that were ended too; what is in doubt counts in full."""
        [amount] = self.rows(
            "SELECT coalesce(sum(calls), 0), coalesce(sum(prompt), 0), coalesce(sum(completion), 0),"
            " coalesce(sum(usd), 0.0) FROM attempts WHERE state != 'free' AND run IN"
            " (SELECT id FROM runs WHERE substr(name, 1, length(?1)) = ?1)",
            (names,),
        )
        return Spend(*amount)

    def end(self, run: str) -> None:
        """Nothing is left to do in it."""
        self.connection.execute("UPDATE runs SET ended = unixepoch() WHERE id = ?", (run,))

    def ask(self, run: str, query: str, question: str) -> None:
        """A query begins, perhaps again."""
        self.connection.execute("DELETE FROM failures WHERE run = ? AND query = ?", (run, query))
        self.connection.execute("INSERT OR REPLACE INTO queries VALUES (?, ?, ?, NULL)", (run, query, question))

    def fail(self, run: str, query: str, failed: Mapping[str, Failed], whole: bool) -> None:
        """What stands in the place of samples; `whole`: for want of budget for the whole question."""
        rows = [(run, query, bytes.fromhex(key), one.kind, one.reason, whole) for key, one in failed.items()]
        self.connection.executemany("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?)", rows)

    def answer(self, run: str, query: str, result: str) -> None:
        """A query has ended."""
        self.connection.execute("UPDATE queries SET result = ? WHERE run = ? AND id = ?", (result, run, query))

    def recorded(self, run: str) -> Recorded | None:
        """A run as it is told again; None if there is none of that id."""
        rows = self.rows("SELECT recipe, seed FROM runs WHERE id = ?", (run,))
        if not rows:
            return None
        recipe = json.loads(zlib.decompress(rows[0][0]).decode("utf-8", "surrogatepass"))
        queries = self.rows("SELECT id, question, result FROM queries WHERE run = ? ORDER BY rowid", (run,))
        told = {id: self._told(run, id, question, result) for id, question, result in queries}
        return Recorded(recipe["plan"], recipe["fingerprints"], rows[0][1], told)

    def _told(self, run: str, query: str, question: str, result: str | None) -> Told:
        rows = self.rows("SELECT key, kind, reason, whole FROM failures WHERE run = ? AND query = ?", (run, query))
        return Told(
            tuple(Message(role, text) for role, text in json.loads(question)),
            result,
            {key.hex(): Failed(FailureKind(kind), reason) for key, kind, reason, _ in rows},
            frozenset(key.hex() for key, _, _, whole in rows if whole),
        )


def _amounts(spend: Spend) -> tuple[int, int, int, float]:
    """As they stand in a row."""
    return spend.calls, spend.prompt, spend.completion, spend.usd
