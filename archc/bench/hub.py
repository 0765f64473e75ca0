"""Hub: the data of a task from the Hugging Face hub, where the package `datasets` is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from archc import errors
from archc.bench.task import Task
from archc.diagnostics import SpecError


def fetched(task: Task, slice: str) -> list[Mapping[str, Any]] | None:
    """The records of a slice as the task's keys have them; None if the hub has it not or `datasets` is not installed.

    Raises SpecError if they can't be had.
    """
    hub = task.hub
    if hub is None or slice not in hub.splits:
        return None
    try:
        from datasets import load_dataset
    except ImportError:
        return None
    try:
        rows = load_dataset(hub.path, hub.name or None, split=hub.splits[slice], revision=hub.revision or None)
        return [_record(hub.keys, row) for row in rows]
    except Exception as error:  # noqa: BLE001 (the network, the hub, and code of other people)
        problem = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        raise SpecError(errors.NoHubData(task=task.name, path=hub.path, problem=problem)) from None


def _record(keys: Mapping[str, str], row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its columns under the names that files have: `meta.split` is a name within a name."""
    record: dict[str, Any] = {}
    for key, column in keys.items():
        value: Any = row
        for part in column.split("."):
            value = value[part]
        *outer, last = key.split(".")
        place = record
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = value
    return json.loads(json.dumps(record, default=str))  # type: ignore[no-any-return]
