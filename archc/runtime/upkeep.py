"""Upkeep: what a journal holds, whether it is whole, what of it is old, and how it gets to another machine."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from archc.runtime.records import (
    checksum,
    completion_of,
    content_of,
    executed,
    execution,
    outcome_of,
    packed,
    unpacked,
)
from archc.runtime.store import SCHEMA_VERSION, Store

DAY_S = 86_400


def stats(store: Store) -> dict[str, Any]:
    """JSON-ready: size, samples by model, runs, and what was spent by how the attempts ended."""
    [[pages, size]] = store.rows("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")
    models = store.rows(
        "SELECT model, count(*), sum(length(body)) FROM samples WHERE body NOT NULL GROUP BY model ORDER BY 2 DESC"
    )
    states = store.rows(
        "SELECT state, count(*), sum(calls), sum(prompt), sum(completion), sum(usd) FROM attempts GROUP BY state"
    )
    runs = store.rows(
        "SELECT runs.id, datetime(began, 'unixepoch'), ended NOT NULL, count(queries.id), count(result)"
        " FROM runs LEFT JOIN queries ON run = runs.id GROUP BY runs.id ORDER BY began DESC"
    )
    [[executions]] = store.rows("SELECT count(*) FROM executions")
    return {
        "path": str(store.path),
        "bytes": pages * size,
        "samples": sum(count for _, count, _ in models),
        "executions": executions,
        "models": [{"model": m, "samples": count, "bytes": length} for m, count, length in models],
        "attempts": {
            state: {"attempts": number, "calls": calls, "prompt_tokens": p, "completion_tokens": c, "usd": usd}
            for state, number, calls, p, c, usd in states
        },
        "runs": [
            {"id": id, "began": began, "ended": bool(ended), "queries": queries, "answered": answered}
            for id, began, ended, queries, answered in runs
        ],
    }


def doubts(store: Store) -> list[dict[str, Any]]:
    """JSON-ready: the attempts of which nobody knows whether they were paid for. They count in full."""
    names = ("run", "query", "node", "model", "calls", "prompt_tokens", "completion_tokens", "usd", "reason", "sent")
    rows = store.rows(
        "SELECT run, query, node, model, calls, prompt, completion, usd, reason, datetime(at, 'unixepoch')"
        " FROM attempts WHERE state = 'doubt' ORDER BY id"
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


@dataclass(frozen=True, slots=True)
class Health:
    """What `verify` found."""

    samples: int
    executions: int
    damaged: tuple[str, ...]
    """Identities of samples and executions whose bytes have changed; they count as not there."""
    problems: tuple[str, ...]
    """What SQLite says of the file."""


def verify(store: Store) -> Health:
    """Reads everything: the file's structure, and every sample and execution against its checksum."""
    said = [text for [text] in store.rows("PRAGMA integrity_check") if text != "ok"]
    samples, executions, damaged = 0, 0, []
    for key, body, crc in store.connection.execute("SELECT key, body, crc FROM samples WHERE body NOT NULL"):
        samples += 1
        if unpacked(key, body, crc) is None:
            damaged.append(key.hex())
    for key, body, crc in store.connection.execute("SELECT key, body, crc FROM executions"):
        executions += 1
        if execution(key, body, crc) is None:
            damaged.append(key.hex())
    return Health(samples, executions, tuple(damaged), tuple(said))


def collect(store: Store, days: float) -> dict[str, int]:
    """Removes what is older than so many days, and what is damaged, and gives the space back; how much of each.

    A run that has not ended keeps its attempts, so that what it spent stays spent.
    """
    store.bury_the_dead()
    damaged = verify(store).damaged
    before = ("unixepoch() - ?", (days * DAY_S,))
    old = f"run IN (SELECT id FROM runs WHERE ended NOT NULL AND began < {before[0]})"
    removed = {}
    with store.transaction():
        for what, table, where in (
            ("samples", "samples", f"body NOT NULL AND at < {before[0]}"),
            ("executions", "executions", f"at < {before[0]}"),
            ("attempts", "attempts", old),
            ("failures", "failures", old),
            ("queries", "queries", old),
            ("runs", "runs", f"ended NOT NULL AND began < {before[0]}"),
        ):
            store.connection.execute(f"DELETE FROM {table} WHERE {where}", before[1])
            removed[what] = store.connection.changes()
        for key in damaged:
            for table in ("samples", "executions"):
                store.connection.execute(f"DELETE FROM {table} WHERE key = ?", (bytes.fromhex(key),))
                removed[table] += store.connection.changes()
    store.connection.execute("VACUUM")
    return removed


_HEAD = json.dumps({"archc": "journal", "schema": SCHEMA_VERSION})
_OLD_HEAD = json.dumps({"archc": "journal", "schema": 2})
"""Of journals without executions."""


def exported(store: Store) -> Iterator[str]:
    """The journal as lines of JSON: its samples, executions and runs, with which runs can be told again.

    Attempts stay here.
    """
    yield _HEAD
    for id, name, recipe, seed, began, ended in store.rows("SELECT id, name, recipe, seed, began, ended FROM runs"):
        content = json.loads(zlib.decompress(recipe).decode("utf-8", "surrogatepass"))
        yield json.dumps({"run": id, "name": name, "recipe": content, "seed": seed, "began": began, "ended": ended})
    for run, id, question, result in store.rows("SELECT run, id, question, result FROM queries ORDER BY rowid"):
        yield json.dumps({"query": id, "of": run, "question": json.loads(question), "result": result})
    for run, query, key, kind, reason, whole in store.rows("SELECT * FROM failures"):
        failed = {"failure": key.hex(), "of": run, "query": query, "kind": kind, "reason": reason, "whole": bool(whole)}
        yield json.dumps(failed)
    for key, model, body, crc, at in store.connection.execute(
        "SELECT key, model, body, crc, at FROM samples WHERE body NOT NULL"
    ):
        if sample := unpacked(key, body, crc):
            yield json.dumps({"sample": key.hex(), "model": model, **content_of(sample), "at": at})
    for key, body, crc, at in store.connection.execute("SELECT key, body, crc, at FROM executions"):
        if execution(key, body, crc):
            yield json.dumps({"execution": key.hex(), "outcome": json.loads(body), "at": at})


def imported(store: Store, lines: Iterable[str]) -> dict[str, int]:
    """Takes in what `exported` gave, all or nothing; what is here already stays. How much of each was new.

    Raises ValueError for lines that are none of it.
    """
    new = {"runs": 0, "queries": 0, "failures": 0, "samples": 0, "executions": 0}
    rows = iter(lines)
    if next(rows, "").strip() not in (_HEAD, _OLD_HEAD):
        raise ValueError(f"its first line is not that of an exported journal of schema {SCHEMA_VERSION}")
    with store.transaction():
        for number, line in enumerate(rows, 2):
            try:
                table, values = _row(_record(line))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"line {number} is not of a journal ({error or type(error).__name__})") from None
            marks = ", ".join("?" * len(values))
            store.connection.execute(
                f"INSERT OR IGNORE INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values())
            )
            new[table] += store.connection.changes()
    return new


def _record(line: str) -> dict[str, Any]:
    record = json.loads(line or "{}")
    if not isinstance(record, dict):
        raise ValueError("not an object")
    return record


def _row(record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The table and the columns of a line. Whatever it says, nothing comes in but what could have been written here."""
    if "run" in record:
        recipe = zlib.compress(json.dumps(record["recipe"]).encode())
        times = {"began": int(record["began"]), "ended": int(record["ended"] or record["began"])}
        return "runs", {"id": record["run"], "name": "", "owner": "", "recipe": recipe, "seed": record["seed"], **times}
    if "query" in record and "of" in record and "question" in record:
        question = json.dumps([[str(role), str(text)] for role, text in record["question"]])
        return "queries", {"run": record["of"], "id": record["query"], "question": question, "result": record["result"]}
    if "failure" in record:
        return "failures", {
            "run": record["of"],
            "query": record["query"],
            "key": bytes.fromhex(record["failure"]),
            "kind": record["kind"],
            "reason": record["reason"],
            "whole": int(record["whole"]),
        }
    if "execution" in record:
        key, body = bytes.fromhex(record["execution"]), executed(outcome_of(record["outcome"]))
        return "executions", {"key": key, "body": body, "crc": checksum(key, body), "at": int(record["at"])}
    body = packed(completion_of(record))
    key = bytes.fromhex(record["sample"])
    crc = checksum(key, body)
    return "samples", {"key": key, "attempt": 0, "model": record["model"], "body": body, "crc": crc, "at": record["at"]}
