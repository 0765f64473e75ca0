"""Graders that run queries: the rule of Spider, that of Defog, and what hostile queries come to."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from archc.bench.data import Item, Selection, load
from archc.bench.graders import Grade
from archc.bench.grading import Grading
from archc.bench.queries import query_in
from archc.bench.rows import is_same_result, put_right, result, without_distinct
from archc.bench.task import Task, built_in
from archc.diagnostics import SpecError
from tests.unit.test_programs import DATA, graded, items

A, B, C = (1, "x"), (2, "y"), (2, "z")


@pytest.mark.parametrize(
    ("gold", "rows", "in_order", "same"),
    [
        ([], [], False, True),
        ([A], [], False, False),
        ([A, B], [B, A], False, True),
        ([A, B], [B, A], True, False),
        ([A, B], [("x", 1), ("y", 2)], True, True),
        ([A, A, B], [A, B, B], False, False),
        ([A, A], [A], False, False),
        ([(1, 2), (2, 1)], [(2, 1), (1, 2)], True, True),
        ([(1, 2), (1, 3)], [(2, 1), (3, 1)], False, True),
        ([(1, 2), (3, 4)], [(1, 4), (3, 2)], False, False),
        ([(1, 1, 2)], [(1, 2, 2)], False, False),
        ([(None, 1)], [(1, None)], False, True),
        ([(1,)], [(1.0,)], False, True),
        ([("1",)], [(1,)], False, False),
        ([(1,)], [(1, 2)], False, False),
        ([tuple(range(12))] * 2, [tuple(reversed(range(12)))] * 2, False, True),
        ([(7,) * 12] * 2 + [(8,) * 12], [(7,) * 12] + [(8,) * 12] * 2, False, False),
    ],
)
def test_rows_are_the_same_as_often_with_columns_in_any_order(
    gold: list[tuple[object, ...]], rows: list[tuple[object, ...]], in_order: bool, same: bool
) -> None:
    assert is_same_result(gold, rows, in_order) is same


def test_more_columns_are_no_harm_where_that_is_the_rule() -> None:
    assert is_same_result([(1,), (2,)], [("a", 1), ("b", 2)], True, more_columns=True)
    assert not is_same_result([("a", 1)], [(1,)], True, more_columns=True)


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("SELECT DISTINCT a FROM t", "SELECT  a FROM t"),
        ("select count(distinct a) from t", "select count( a) from t"),
        ("SELECT 'distinct', \"distinct\" FROM `distinct`", "SELECT 'distinct', \"distinct\" FROM `distinct`"),
        ("SELECT distinctive", "SELECT distinctive"),
        ("SELECT 'it''s distinct'", "SELECT 'it''s distinct'"),
    ],
)
def test_distinct_does_not_count(query: str, left: str) -> None:
    assert without_distinct(query) == left


def test_what_the_official_grader_mends_is_mended() -> None:
    assert put_right("a > = 1 AND b ! = 2 AND c < YEAR( CURDATE() ) - 1") == "a >= 1 AND b != 2 AND c < 2020- 1"


@pytest.mark.parametrize(
    "answer",
    [
        "```sql\nSELECT 1\n```",
        "It is:\n```\nSELECT 1;\n```\nThat's it.",
        "SELECT 1;",
        "The query is\n\nSELECT 1\n\nwhich gives one.",
        "SELECT 1; DROP TABLE t",
    ],
)
def test_the_query_is_found(answer: str) -> None:
    assert query_in(answer) == "SELECT 1"


# ---- in the sandbox


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (n INT, name TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(1, "a"), (2, "b"), (2, "c")])
        connection.commit()
    return path


def verdicts(grader: str, gold: str, queries: Sequence[str], shop: Path, question: str = "?") -> list[Grade]:
    task = Task.model_validate({"name": "shop", "slices": {"a": "b"}, "grader": grader, "seconds": 2})
    item = Item("0", question, (gold,), record={"question": question}, database=shop)
    return graded(task, [(query, item) for query in queries])


def test_a_query_is_right_if_its_result_is(shop: Path) -> None:
    gold = "SELECT name, n FROM t ORDER BY name"
    right = ["SELECT n, name FROM t ORDER BY n, name", "SELECT DISTINCT name, n FROM t ORDER BY 1"]
    wrong = ["SELECT name, n FROM t ORDER BY name DESC", "SELECT name FROM t", "SELECT * FROM u", "no query", ""]

    assert [grade.correct for grade in verdicts("sql", gold, right + wrong, shop)] == [True] * 2 + [False] * 5


def test_any_right_query_and_more_columns_will_do_for_defog(shop: Path) -> None:
    gold = "SELECT count(*) FROM t; SELECT n FROM t ORDER BY n"
    queries = ["SELECT 3", "SELECT name, n FROM t ORDER BY n DESC", "SELECT 4"]

    assert [g.correct for g in verdicts("sql_subset", gold, queries, shop)] == [True, True, False]
    assert [g.correct for g in verdicts("sql_subset", gold, queries, shop, "Sort them")] == [True, False, False]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r", "timeout"),
        ("WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT i FROM r", "more than 100,000 rows"),
        ("SELECT zeroblob(900000000), zeroblob(900000000)", ""),
        ("ATTACH DATABASE '/etc/passwd' AS p", "unable to open database"),
        ("SELECT load_extension('/lib/libc.so.6')", "not authorized"),
        ("SELECT readfile('/etc/passwd')", "no such function"),
        ("DROP TABLE t", "0 rows"),
    ],
)
def test_hostile_queries_are_wrong_and_do_nothing(query: str, why: str, shop: Path) -> None:
    before = shop.read_bytes()
    hostile, after = verdicts("sql", "SELECT n FROM t", [query, "SELECT n FROM t"], shop)

    assert (hostile.correct, after.correct) == (False, True)
    assert why in hostile.why
    assert shop.read_bytes() == before


# ---- the tasks


@pytest.mark.parametrize(("name", "count"), [("spider", 554), ("defog-sql", 85)])
def test_right_queries_are_right_and_those_of_other_questions_mostly_not(name: str, count: int) -> None:
    task, known = items(name)
    task = task.model_copy(update={"seconds": 300.0})  # the machine may have other work
    right = graded(task, [(f"```sql\n{item.golds[0].split(';')[0]}\n```", item) for item in known])
    others = [(other.golds[0], item) for item, other in zip(known[::5], known[7::5], strict=False)]
    wrong = graded(task, others)

    assert len(known) == count
    assert {item.id: grade.why for item, grade in zip(known, right, strict=True) if not grade.correct} == {}
    assert sum(grade.correct for grade in wrong) < 0.2 * len(wrong)


def test_right_queries_give_as_many_rows_as_the_data_says() -> None:
    _, known = items("spider")
    counts = {item.id: item.record["meta"]["gold_rows"] for item in known}
    content = {path: path.read_bytes() for item in known if (path := item.database)}

    assert {
        item.id: len(result(content[item.database], item.golds[0], 100_000)) for item in known if item.database
    } == counts


def test_the_tables_are_in_the_prompt() -> None:
    _, spider = items("spider")
    _, defog = items("defog-sql")

    assert 'CREATE TABLE "stadium"' in spider[0].question
    assert "CREATE TABLE student" in defog[0].question


def test_a_database_that_is_not_there_is_missed_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "sql").mkdir()
    for name in ("spider_dev.jsonl", "spider_schemas.jsonl"):
        (tmp_path / "sql" / name).write_text('{"id": "1", "question": "?", "answer": "SELECT 1", "db_id": "../x"}')

    with pytest.raises(SpecError, match=r"needs the file `\.\./x`"):
        load(built_in("spider"), Selection(), tmp_path)


def test_a_database_that_vanished_is_told() -> None:
    item = Item("0", "?", ("SELECT 1",), database=DATA / "none.sqlite")

    async def play() -> None:
        async with Grading(built_in("spider")) as grading:
            await grading.grade("SELECT 1", item)

    with pytest.raises(Exception, match="cannot read"):
        asyncio.run(play())
