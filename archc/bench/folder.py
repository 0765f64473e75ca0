"""Folder: a run of a task on disk: `manifest.json`, `items.jsonl` with a line for each answer, `summary.json`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archc import errors
from archc.bench.data import Item
from archc.bench.grading import Grading
from archc.bench.summary import Record
from archc.calls import NOTHING, Spend
from archc.diagnostics import RunError, SpecError
from archc.runtime.batch import Output, turn_id
from archc.runtime.run import Run
from archc.runtime.trace import Event

MANIFEST, ITEMS, SUMMARY = "manifest.json", "items.jsonl", "summary.json"


class Costs:
    """A listener that adds up what each question costs, as though nothing were in the journal yet."""

    def __init__(self) -> None:
        self.spent: dict[str, Spend] = defaultdict(lambda: NOTHING)

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        if event["event"] in ("call", "cached"):
            tokens = event["prompt_tokens"], event["completion_tokens"]
            self.spent[event["query"]] += Spend(event["calls"], *tokens, event["usd"])

    def of(self, run: Run) -> Spend:
        """What an answer cost, with all turns that led to it."""
        queries = (turn_id(run.id, turn) for turn in range(1, len(run.earlier) + 2))
        return sum((self.spent[query] for query in queries), NOTHING)


class Graded(Output):
    """The lines of a run: each answer graded when it is there."""

    def __init__(self, folder: Path, key: str, grading: Grading, items: Sequence[Item], costs: Costs) -> None:
        """Raises SpecError if another spec, seed or task began the folder, or it cannot be written."""
        super().__init__(folder / ITEMS, key)
        self.run_id = ""
        """The run's in the journal, which tells it again."""
        self._grading = grading
        self._items = {item.id: item for item in items}
        self._costs = costs
        self.records = {str(record["id"]): record for record in lines(self.path)}
        """By id, the last of each."""

    async def write(self, run: Run) -> None:
        """Grades the answer and appends it. Raises RunError if it can't, SpecError if a grader is missing."""
        record = await self._grading.record(run, self._items[run.id], self._costs.of(run))
        record["run_id"] = self.run_id
        self.append(record)
        self.records[run.id] = record


@dataclass(frozen=True)
class Measured:
    """A run that is on disk."""

    path: Path
    manifest: Mapping[str, Any]
    records: Mapping[str, Record]
    """By id."""

    @property
    def name(self) -> str:
        """How people call it."""
        return str(self.path)


def read_folder(path: Path) -> Measured:
    """What a folder holds. Raises SpecError if it is no run of a task, or one with no answer yet."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        manifest["data"]["sha256"], manifest["task"]["name"], manifest["spec"]["name"]
    except OSError:
        raise SpecError(errors.NotABench(path=str(path), problem=f"there is no {MANIFEST}")) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SpecError(errors.NotABench(path=str(path), problem=f"{MANIFEST} is not as it was written")) from None
    records = {str(record["id"]): record for record in lines(path / ITEMS) if record["status"] != "unasked"}
    if not records:
        raise SpecError(errors.NotABench(path=str(path), problem="it has no answer yet"))
    return Measured(path, manifest, records)


def lines(path: Path) -> list[dict[str, Any]]:
    """The records of a run; a torn last line is left out. Raises SpecError for a file that is none."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        records = [json.loads(line) for line in text.split("\n")[:-1]]
        if all({"id", "status", "correct", "score", "tokens"} <= record.keys() for record in records):
            return records
    except (OSError, ValueError, AttributeError, RecursionError):
        pass
    raise SpecError(errors.NotABench(path=str(path.parent), problem=f"{path.name} is not as it was written"))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Puts a value into a file, which is never seen half written. Raises RunError if it can't."""
    temporary = path.with_name(f".{path.name}-new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
        temporary.replace(path)
    except OSError as error:
        raise RunError(errors.NotWritable(path=str(path), problem=error.strerror or str(error))) from None
