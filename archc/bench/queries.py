"""Queries: graders that run what a model wrote on a copy of a database, in the sandbox, beside the right query."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Final

from archc import errors
from archc.bench.data import Item, at
from archc.bench.graders import Grade, whole
from archc.bench.programs import block
from archc.bench.task import Task
from archc.calls import Limits
from archc.diagnostics import RunError
from archc.sandbox.pool import Sandbox

MOST_ROWS: Final = 100_000
_ROWS: Final = (Path(__file__).parent / "rows.py").read_text(encoding="utf-8")
_QUERY: Final = re.compile(r"^[ \t]*((?:select|with)\b.*?)(?:;|\n[ \t]*\n|\Z)", re.I | re.M | re.S)
_ORDERED: Final = re.compile(r"\b(?:order|sort|arrange)", re.I)


def query_in(answer: str) -> str:
    """The query that an answer has: in its last block, or from SELECT or WITH at the start of a line on."""
    text = block(answer)
    if text is None:
        found = _QUERY.search(answer)
        text = found[1] if found else answer
    return text.strip().rstrip(";").strip()


async def graded_query(box: Sandbox, task: Task, answer: str, item: Item) -> Grade:
    """Both results are the same, by the rule of Spider; order counts where the right query has one."""
    return await _graded(box, task, answer, item, [item.golds[0].strip().rstrip(";")], False, True)


async def graded_lenient(box: Sandbox, task: Task, answer: str, item: Item) -> Grade:
    """The result has the columns of one of the right ones (Defog); order counts where the question asks for one."""
    asked = at(item.record, task.keys.question)
    golds = [gold for gold in item.golds[0].split(";") if gold.strip()]
    return await _graded(box, task, answer, item, golds, True, bool(_ORDERED.search(str(asked))))


async def _graded(
    box: Sandbox, task: Task, answer: str, item: Item, golds: list[str], more_columns: bool, in_order: bool
) -> Grade:
    given = {
        "database": base64.b64encode(_content(item)).decode(),
        "golds": golds,
        "query": query_in(answer),
        "most": MOST_ROWS,
        "more_columns": more_columns,
        "in_order": in_order,
    }
    outcome = await box.run(_ROWS, json.dumps(given), Limits(task.seconds))
    if not outcome.passed:
        return Grade(False, 0.0, why=f"{outcome.status}: {outcome.message}"[:500])
    correct, why = json.loads(outcome.stdout)
    return whole(True) if correct else Grade(False, 0.0, why=why[:500])


def _content(item: Item) -> bytes:
    """The bytes of an item's database. Raises RunError if it can't be read."""
    assert item.database, "the task names databases"
    try:
        return item.database.read_bytes()
    except OSError as error:
        problem = error.strerror or str(error)
        raise RunError(errors.NoSuchFile(path=str(item.database), problem=problem)) from None
