"""Whether two queries give the same. This text runs in the sandbox, so it imports nothing of archc."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

Rows = Sequence[tuple[Any, ...]]
_WORDS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|\w+|.", re.DOTALL)


def is_same_result(gold: Rows, rows: Rows, in_order: bool, more_columns: bool = False) -> bool:
    """The same rows as often, in some order of the columns, and in the same order if that counts (Spider).

    With `more_columns` there may be columns that the right one does not have.
    """
    if not gold and not rows:
        return True
    if len(gold) != len(rows) or len(gold[0]) > len(rows[0]):
        return False
    if len(gold[0]) != len(rows[0]) and not more_columns:
        return False
    wanted = [Counter(column) for column in zip(*gold, strict=True)]
    columns = list(zip(*rows, strict=True))
    counts = [Counter(column) for column in columns]
    fitting = [[at for at, count in enumerate(counts) if count == want] for want in wanted]
    for order in _orders(fitting, columns):
        ours = [tuple(row[at] for at in order) for row in rows]
        if list(gold) == ours if in_order else Counter(gold) == Counter(ours):
            return True
    return False


def _orders(fitting: list[list[int]], columns: Sequence[Any], taken: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Every way to give each wanted column another one that fits; of columns that are the same, one is tried."""
    if len(taken) == len(fitting):
        yield taken
        return
    tried: list[Any] = []
    for at in fitting[len(taken)]:
        if at not in taken and columns[at] not in tried:
            tried.append(columns[at])
            yield from _orders(fitting, columns, (*taken, at))


def without_distinct(query: str) -> str:
    """The query without the word, wherever it is not in quotes."""
    return "".join(word for word in _WORDS.findall(query) if word.lower() != "distinct")


def put_right(query: str) -> str:
    """What Spider's graders mend before they run a query."""
    query = re.sub(r"([<>!]) =", r"\1=", query)
    return re.sub(r"(?i)year\s*\(\s*curdate\s*\(\s*\)\s*\)\s*", "2020", query)


def result(database: bytes, query: str, most: int) -> list[tuple[Any, ...]]:
    """All rows of a query on a copy. Raises sqlite3's errors, and ValueError for too many rows."""
    head = database[:18] + b"\1\1" + database[20:]  # a copy in memory has no write-ahead log
    connection = sqlite3.connect(":memory:")
    connection.deserialize(head)
    connection.text_factory = lambda text: text.decode(errors="ignore")
    rows = connection.execute(query).fetchmany(most + 1)
    if len(rows) > most:
        raise ValueError(f"more than {most:,} rows")
    return [tuple(row) for row in rows]


def verdict(given: dict[str, Any]) -> tuple[bool, str]:
    """Whether the query gives what one of the right ones gives, and why not."""
    database, more = base64.b64decode(given["database"]), given["more_columns"]
    golds: list[Rows] = []
    for gold in given["golds"]:
        try:
            golds.append(result(database, gold if more else without_distinct(put_right(gold)), given["most"]))
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            return False, f"the right query does not run: {error}"
    query = given["query"] if more else without_distinct(put_right(given["query"]))
    try:
        rows: Rows = result(database, query, given["most"])
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        return False, f"{type(error).__name__}: {error}"
    for gold, text in zip(golds, given["golds"], strict=True):
        in_order = given["in_order"] and "order by" in text.lower()
        if is_same_result(gold, rows, in_order, more):
            return True, ""
        if more and is_same_result(list(dict.fromkeys(gold)), list(dict.fromkeys(rows)), in_order):  # as Defog's
            return True, ""
    told = [f"{len(some)} rows{f', first {str(some[0])[:100]}' if some else ''}" for some in (rows, golds[0])]
    return False, f"{told[0]}; right are {told[1]}"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(verdict(json.loads(sys.stdin.read()))))
