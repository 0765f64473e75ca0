"""Batch: many questions from a JSONL file, answers written as they finish; the same command goes on where it stopped."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from archc import errors
from archc.calls import Conversation, Message
from archc.diagnostics import SpecError
from archc.runtime.run import Run
from archc.runtime.session import Session

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the input."""

    id: str
    question: Conversation


@dataclass(frozen=True, slots=True)
class Summary:
    """How a batch ended."""

    done: int
    skipped: int
    """Answered by an earlier run of the same command."""
    failed: int
    exhausted: int


def read_items(path: Path) -> Iterator[Item]:
    """The questions of a JSONL file, each with `question` (or `messages`) and optionally `id`.

    Raises SpecError for the first line that is not one.
    """
    seen: set[str] = set()
    try:
        with path.open(encoding="utf-8") as file:
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


class Output:
    """A JSONL file of answers that survives a kill: a torn last line is cut off when it is opened again."""

    def __init__(self, path: Path, run_key: str) -> None:
        """Raises SpecError if another spec or seed began the file."""
        self.run_key = run_key
        self.done: set[str] = set()
        kept = 0
        if path.exists():
            with path.open("rb") as file:
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    kept += len(line)
                    self._take(path, line)
        self._file: TextIO = path.open("a", encoding="utf-8")
        self._file.truncate(kept)

    def _take(self, path: Path, line: bytes) -> None:
        try:
            record = json.loads(line)
            run_key, status, id = record["run"], record["status"], record["id"]
        except (ValueError, KeyError, TypeError):
            raise SpecError(errors.ForeignOutput(path=str(path))) from None
        if run_key != self.run_key:
            raise SpecError(errors.ForeignOutput(path=str(path)))
        if status == "ok":
            self.done.add(id)

    def write(self, run: Run) -> None:
        """Appends one line, on disk before it returns."""
        self._file.write(json.dumps({**run.as_json(), "run": self.run_key}, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


async def run_batch(
    session: Session, items: Iterator[Item], output: Output, parallel: int, on_run: Callable[[Run], None]
) -> Summary:
    """Answers all items that `output` does not have yet, `parallel` at a time, in the order of the input."""
    counts = {"ok": 0, "failed": 0, "exhausted": 0, "skipped": 0}

    async def worker() -> None:
        for item in items:
            if item.id in output.done:
                counts["skipped"] += 1
                continue
            run = await session.answer(item.question, item.id)
            counts[run.status] += 1
            output.write(run)
            on_run(run)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(parallel):
            tasks.create_task(worker())
    return Summary(counts["ok"], counts["skipped"], counts["failed"], counts["exhausted"])
