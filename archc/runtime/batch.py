"""Batch: many questions from a JSONL file, answers written as they come; the same command goes on where it stopped."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

from archc import errors
from archc.calls import Conversation, Message
from archc.diagnostics import RunError, SpecError
from archc.planning.plan import Plan
from archc.runtime.engine import cause_of
from archc.runtime.locks import is_mine
from archc.runtime.run import Run
from archc.runtime.session import Session
from archc.runtime.trace import AS_JSON

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the input."""

    id: str
    question: Conversation
    then: tuple[str, ...] = ()
    """What is asked next, one after the other, each with the answers before it in view."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How a batch ended."""

    done: int
    skipped: int
    """Answered by an earlier run of the same command."""
    failed: int
    exhausted: int
    stopped: int = 0
    """Begun, but not brought to an end."""


def read_items(path: Path) -> Iterator[Item]:
    """The questions of a JSONL file, each with `question` (or `messages`) and optionally `id`.

    Raises SpecError for the first line that is not one.
    """
    seen: set[str] = set()
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    item = _item(path, number, line)
                    if item.id in seen:
                        raise SpecError(errors.BadInput(path=str(path), line=number, problem=f"id {item.id} again"))
                    seen.add(item.id)
                    yield item
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(errors.NoSuchFile(path=str(path), problem=str(error))) from None


def _item(path: Path, number: int, line: str) -> Item:
    def wrong(problem: str) -> SpecError:
        return SpecError(errors.BadInput(path=str(path), line=number, problem=problem))

    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise wrong("it is not JSON") from None
    if not isinstance(record, dict):
        raise wrong("it is not a JSON object")
    id = str(record.get("id", number))
    question = record.get("question")
    if isinstance(question, str):
        return Item(id, (Message("user", question),))
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages or not all(_is_message(m) for m in messages):
        raise wrong("it has neither a string `question` nor a list of `messages` with `role` and `content`")
    if messages[-1]["role"] != "user":
        raise wrong("the last message is not the user's")
    return Item(id, tuple(Message(m["role"], m["content"]) for m in messages))


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and value.get("role") in ROLES and isinstance(value.get("content"), str)


_BEGIN = b'{"id": "'
"""How each line of an output begins."""


def run_key(plan: Plan, seed: int) -> str:
    """Names what an output file holds: the graph, its models and the seed; not how fast or how dear it may be."""
    models = [(m.name, m.shared.backend, m.shared.model, m.options.model_dump(mode="json")) for m in plan.graph.models]
    content = [sorted(plan.graph.keys().items()), models, seed]
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


class Output:
    """A JSONL file of answers that survives a kill: a torn last line is cut off when it is opened again."""

    def __init__(self, path: Path, run_key: str, is_synced: bool = True) -> None:
        """Raises SpecError if another spec or seed began the file, or it cannot be opened.

        Unless it `is_synced`, lines survive a kill, but perhaps not a power cut: enough for what is kept elsewhere too.
        """
        self._is_synced = is_synced
        self.path = path
        self.run_key = run_key
        self.done: set[str] = set()
        if path.exists() and not path.is_file():
            raise SpecError(errors.NotWritable(path=str(path), problem="it is not a regular file"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = path.open("a", **AS_JSON)
        except OSError as error:
            raise SpecError(errors.NotWritable(path=str(path), problem=error.strerror or str(error))) from None
        try:
            if not is_mine(self._file):
                raise SpecError(errors.NotWritable(path=str(path), problem="another run is writing it"))
            with path.open("rb") as file:
                self._file.truncate(sum(self._take(line) for line in file))
        except BaseException:
            self._file.close()
            raise

    def _take(self, line: bytes) -> int:
        """The bytes of the line to keep: all, or none if it is the torn last one. Notes what it answers."""
        if not line.endswith(b"\n") and (line.startswith(_BEGIN) or _BEGIN.startswith(line)):
            return 0
        try:
            record = json.loads(line)
            run_key, status, id = record["run"], record["status"], str(record["id"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise SpecError(errors.ForeignOutput(path=str(self.path))) from None
        if run_key != self.run_key:
            raise SpecError(errors.ForeignOutput(path=str(self.path)))
        if status == "ok":
            self.done.add(id)
        return len(line)

    async def write(self, run: Run) -> None:
        """Appends one answer, on disk before it returns. Raises RunError if that cannot be."""
        self.append(run.as_json())

    def append(self, record: Mapping[str, Any]) -> None:
        """Appends one line with `id` first and a `status`. Raises RunError if that cannot be."""
        try:
            self._file.write(json.dumps({**record, "run": self.run_key}, ensure_ascii=False) + "\n")
            self._file.flush()
            if self._is_synced:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise RunError(errors.NotWritable(path=str(self.path), problem=error.strerror or str(error))) from None

    def close(self) -> None:
        """Closes the file."""
        with suppress(OSError):  # what could not be written has been said by `write`
            self._file.close()


def turn_id(id: str, turn: int) -> str:
    """The id of the query of a turn, counted from 1."""
    return id if turn == 1 else f"{id} turn {turn}"


async def answered(session: Session, item: Item) -> Run:
    """The run of the last turn, or of the first without an answer."""
    conversation = item.question
    run = await session.answer(conversation, item.id)
    for turn, text in enumerate(item.then, 2):
        if run.status != "ok":
            break
        conversation = (*conversation, Message("assistant", run.answer or ""), Message("user", text))
        after = await session.answer(conversation, turn_id(item.id, turn))
        run = replace(after, id=item.id, seconds=run.seconds + after.seconds, earlier=(*run.earlier, run))
    return run


async def run_batch(
    session: Session, items: Iterator[Item], output: Output, parallel: int, on_run: Callable[[Run], None]
) -> Summary:
    """Answers all items that `output` does not have yet, `parallel` at a time, in the order of the input.

    Raises what ended it early: RunError if an answer cannot be written, SpecError for a bad item.
    """
    counts = {"ok": 0, "failed": 0, "exhausted": 0, "stopped": 0, "skipped": 0}

    async def worker() -> None:
        for item in items:
            if item.id in output.done:
                counts["skipped"] += 1
                continue
            if session.stopped:
                return
            run = await answered(session, item)
            counts[run.status] += 1
            if run.status != "stopped":  # the same command answers it
                await output.write(run)
                on_run(run)
            if session.breach:
                raise RunError(session.breach)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(parallel):
                tasks.create_task(worker())
    except BaseExceptionGroup as group:
        raise cause_of(group) from None
    return Summary(counts["ok"], counts["skipped"], counts["failed"], counts["exhausted"], counts["stopped"])
