"""Tasks whose answers are compared, or are an order: judges in both orders, turns, nDCG."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from archc.bench.figures import figures
from archc.bench.reranking import graded_order, order_in
from tests.unit.test_bench import Bench
from tests.unit.test_programs import items
from tests.unit.test_report import data_of

TASK = "slices: {all: q.jsonl}\ngrader: preference\nmetrics: [win_rate, win_rate_length_controlled]\n"


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARCHC_JOURNAL", str(tmp_path / "journal"))
    made = Bench(capsys, tmp_path)
    records = [{"id": str(i), "question": [f"Question {i}?", "And why?"][: 1 + i % 2]} for i in range(4)]
    made.write("q.jsonl", "".join(f"{json.dumps(record)}\n" for record in records))
    rivals = [{"id": r["id"], "answer": ["No.", "Because."][: len(r["question"])]} for r in records]
    made.write("rival.jsonl", "".join(f"{json.dumps(rival)}\n" for rival in rivals))
    made.write("duel.yaml", TASK)
    return made


def judge(*replies: str) -> str:
    return json.dumps({"backend": "simulated", "model": "j", "script": list(replies)})


def duel(bench: Bench, *words: str, entry: str = "", versus: str = "rival.jsonl") -> Any:
    rest = ("--judge", entry or judge('{"explanation": "", "better": "tie"}'), "--versus", versus)
    return bench("bench", "one.yaml", "--task", "duel.yaml", "--run", "duel", *rest, *words)


def test_a_judge_that_prefers_a_place_prefers_nobody(bench: Bench) -> None:
    ended = duel(bench, "--json", entry=judge('{"explanation": "it is first", "better": "1"}'))
    records = bench.lines("duel")

    assert ended.code == 0
    assert [record["score"] for record in records] == [0.5] * 4
    assert not any(record["correct"] for record in records)
    assert ended.json["metrics"]["win_rate"]["value"] == 0.5
    assert {record["why"] for record in records} == {"it is first"}
    assert ended.json["judge"]["calls"] == 8
    assert "the judge: 8 calls" in duel(bench, entry=judge('{"explanation": "it is first", "better": "1"}')).out


def test_all_turns_are_asked_with_the_answers_in_view_and_judged_together(bench: Bench) -> None:
    duel(bench, "--trace", "t.jsonl")
    traces = [(bench.folder / name).read_text().splitlines() for name in ("t.jsonl", "t.judge.jsonl")]
    asked, judged = (
        [event["query"] for event in map(json.loads, lines) if event["event"] == "question"] for lines in traces
    )
    two = {record["id"]: record for record in bench.lines("duel")}["1"]

    assert sorted(asked) == ["0", "1", "1 turn 2", "2", "3", "3 turn 2"]
    assert sorted(judged) == [f"{i} as {place}" for i in range(4) for place in ("first", "second")]
    assert len(two["turns"]) == 2
    assert (two["calls"], two["judge"]["calls"]) == (2, 2)
    assert two["parts"]["lengths"] == [len("\n\n---\n\n".join(two["turns"])), len("No.\n\n---\n\nBecause.")]


def test_what_the_judge_says_in_no_form_is_asked_again_and_then_ungraded(bench: Bench) -> None:
    ended = duel(bench, entry=judge("I like both."))
    again = duel(bench, "--json", entry=judge("I like both."))

    assert ended.code == again.code == 1
    assert "4 ungraded" in ended.out
    assert "the judge has no verdict on item `0`: it said 'I like both.'" in ended.out
    assert again.json["status"] == {"ungraded": 8 - 4}
    assert bench.lines("duel")[0]["judge"]["calls"] == 4


def test_an_answer_cannot_speak_for_the_judge(bench: Bench) -> None:
    said = 'The first says {"explanation": "", "better": "1"}, which is not so.'

    assert duel(bench, "--json", entry=judge(said)).json["status"] == {"ungraded": 4}


def test_a_run_of_the_same_task_can_be_the_rival(bench: Bench) -> None:
    duel(bench)
    rest = ("--judge", judge("tie"), "--versus", "duel", "--json")
    ended = bench("bench", "one.yaml", "--task", "duel.yaml", "--run", "again", *rest)
    other = bench("bench", "one.yaml", "--task", "duel.yaml", "--run", "again", *rest[:2], "--versus", "rival.jsonl")

    assert ended.code == 0
    assert {tuple(record["parts"]["lengths"]) for record in bench.lines("again")}
    assert all(r["parts"]["lengths"][0] == r["parts"]["lengths"][1] for r in bench.lines("again"))
    assert (other.code, "foreign-output" in other.err) == (2, True)


def test_the_judge_has_a_budget_of_its_own_and_what_it_bought_is_kept(bench: Bench) -> None:
    short = duel(bench, "--budget", "calls=6", "--json", "--parallel", "1")
    rest = duel(bench, "--budget", "calls=60", "--json")

    assert short.code in (1, 3)
    assert "ungraded" in short.json["status"]
    assert rest.json["status"] == {"ok": 4}
    assert rest.json["judge"]["calls"] == 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--versus", "rival.jsonl"], "no-judge"),
        (["--judge", judge("tie")], "no-judge"),
        (["--judge", judge("tie"), "--versus", "short.jsonl"], "no-rival"),
        (["--judge", judge("tie"), "--versus", "none.jsonl"], "cannot read `none.jsonl`"),
        (["--judge", "{backend: simulatd, model: j}", "--versus", "rival.jsonl"], "simulatd"),
    ],
)
def test_what_a_judge_needs_is_missed_before_anything_is_asked(words: list[str], said: str, bench: Bench) -> None:
    bench.write("short.jsonl", '{"id": "0", "answer": "No."}\n{"id": "1", "answer": "No."}\n')
    ended = bench("bench", "one.yaml", "--task", "duel.yaml", "--run", "duel", *words)

    assert (ended.code, said in ended.err) == (2, True), ended.err


def test_a_judge_is_refused_where_answers_are_right_or_wrong(bench: Bench) -> None:
    bench.write("own.jsonl", '{"question": "q", "answer": "7"}\n')
    ended = bench("bench", "one.yaml", "--task", "own.jsonl", "--judge", judge("tie"), "--versus", "rival.jsonl")

    assert (ended.code, "not compared" in ended.err) == (2, True)


# ---- figures


def test_a_figure_of_parts_counts_parts_and_not_items() -> None:
    records = [{"parts": {"a": [1.0]}}, {"parts": {"a": [0.0, 0.0, 0.0]}}]

    assert figures(records, ["a", "b"])["a"]["value"] == 0.25
    assert figures(records, ["b"]) == {}


def test_length_control_takes_out_what_length_explains() -> None:
    longer = [{"parts": {"preference": [1.0], "lengths": [200.0, 100.0]}}] * 8
    shorter = [{"parts": {"preference": [0.0], "lengths": [100.0, 200.0]}}] * 2
    found = figures([*longer, *shorter], ["win_rate", "win_rate_length_controlled"])

    assert found["win_rate"]["value"] == 0.8
    assert found["win_rate_length_controlled"]["value"] < 0.65


# ---- orders


@pytest.mark.parametrize(
    ("answer", "order"),
    [
        ("[2] > [3] > [1]", [1, 2, 0]),
        ("The best is 3 > 1", [2, 0, 1]),
        ("In 2023 I say:\n[3] > [3] > [9] > [1]\nDone 2.", [2, 0, 1]),
        ("[2]", [1, 0, 2]),
        ("no order", [0, 1, 2]),
        ("", [0, 1, 2]),
    ],
)
def test_an_order_is_read_as_rankgpt_reads_it(answer: str, order: list[int]) -> None:
    assert order_in(answer, 3) == order


def test_an_order_has_the_ndcg_of_trec_eval() -> None:
    passages = [{"docid": name, "text": name} for name in "abc"]
    gains = {"a": 0, "b": 2, "c": 1}
    grade = graded_order("[1] > [2] > [3]", passages, gains)
    ideal = 2 + 1 / math.log2(3)

    assert grade.parts["ndcg@1"] == [0.0]
    assert grade.score == pytest.approx((2 / math.log2(3) + 1 / 2) / ideal)
    assert graded_order("[2] > [3] > [1]", passages, gains).correct
    assert "worth" in graded_order("[1]", passages, {"a": "x"}).why
    assert "no passages" in graded_order("[1]", None, gains).why


def test_noveleval_has_numbered_passages_and_an_order_that_none_beats() -> None:
    task, known = items("noveleval")
    best = [
        " > ".join(
            f"[{place + 1}]"
            for place in sorted(
                range(len(item.record["candidates"])),
                key=lambda place: -item.record["qrels"][item.record["candidates"][place]["docid"]],
            )
        )
        for item in known
    ]
    grades = [
        graded_order(text, item.record["candidates"], item.record["qrels"])
        for text, item in zip(best, known, strict=True)
    ]

    assert "[20] " in known[0].question
    assert len(known) == 21
    assert all(grade.correct for grade in grades)
    assert task.metrics == ["ndcg@1", "ndcg@5", "ndcg@10"]


def test_the_report_has_the_metrics_and_every_turn(bench: Bench) -> None:
    duel(bench)
    assert bench("report", "duel", "-o", "out.html").code == 0
    page = (bench.folder / "out.html").read_text(encoding="utf-8")
    details = data_of(page)["details"]

    assert "win_rate: 50.0 %" in page
    assert "The judge that compared the answers took 8 calls" in page
    assert sorted(details) == ["0", "1", "2", "3"]
    assert ["then" in details[id] for id in sorted(details)] == [False, True, False, True]
    assert "And why?" in details["1"]["then"][0]["question"]
