"""`archc bench` and `archc compare`: runs on disk that go on, and what they come to."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from archc.bench.data import Selection, guessed, load
from archc.bench.metrics.intervals import Estimate
from archc.bench.summary import estimated
from archc.cli import main
from archc.cli._screen import BatchScreen
from archc.runtime.run import Run
from tests.unit.test_cli_run import Ended

ANSWERS = {f"What is {i} + 1?": str(i + 1) for i in range(20)}
PROMPT = "\n\nThink step by step. End with: The answer is N."


class Bench:
    """A folder with two specs and questions."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.capsys, self.folder = capsys, folder
        known = {question + PROMPT: answer for question, answer in ANSWERS.items()}
        model = {"backend": "simulated", "skill": 0.5, "answers": known}
        for name, pipeline in (
            ("one", [{"generate": {"model": "m"}}]),
            ("many", [{"generate": {"model": "m", "n": 9}}, {"extract": {"kind": "number"}}, "vote"]),
        ):
            self.write(f"{name}.yaml", json.dumps({"name": name, "models": {"m": model}, "pipeline": pipeline}))
        self.write("q.jsonl", "".join(json.dumps({"problem": q, "target": a}) + "\n" for q, a in ANSWERS.items()))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def __call__(self, *words: str) -> Ended:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        out, err = self.capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    def run(self, spec: str, *words: str) -> Ended:
        return self("bench", f"{spec}.yaml", "--task", "q.jsonl", "--run", spec, *words)

    def lines(self, run: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / run / "items.jsonl").read_text().split("\n")[:-1]]

    def json(self, run: str, name: str) -> Any:
        return json.loads((self.folder / run / name).read_text())


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARCHC_JOURNAL", str(tmp_path / "journal"))
    return Bench(capsys, tmp_path)


def test_a_run_is_on_disk_with_all_that_is_known_of_it(bench: Bench) -> None:
    ended = bench.run("one", "--json")
    records, manifest, summary = (
        bench.lines("one"),
        bench.json("one", "manifest.json"),
        bench.json("one", "summary.json"),
    )

    assert ended.code == 0
    assert ended.json == {"run": "one", **summary}
    assert len(records) == summary["answered"] == 20
    assert summary["accuracy"] == asdict(estimated(sum(r["correct"] for r in records), 20))
    assert all((r["answer"] == ANSWERS[f"What is {int(r['id']) - 1} + 1?"]) is r["correct"] for r in records)
    assert {r["run_id"] for r in records} == {manifest["run_id"]}
    assert manifest["models"][0]["fingerprint"].startswith("simulated:")
    assert manifest["data"]["items"] == 20
    assert summary["per_item"]["calls"] == 1
    assert summary["complete"]


def test_it_says_what_it_guessed_and_how_it_goes(bench: Bench) -> None:
    ended = bench.run("one")

    assert "took the question from `problem`, the answer from `target`; graded by `numeric`" in ended.err
    assert "20/20" in ended.err
    assert "so far" in ended.err
    assert "% right [" in ended.out


def test_the_same_command_goes_on_and_a_higher_limit_asks_the_rest(bench: Bench) -> None:
    bench.run("one", "--limit", "5", "--shuffle-seed", "1")
    first = bench.lines("one")
    bench.run("one", "--limit", "5", "--shuffle-seed", "1")
    assert bench.lines("one") == first
    bench.run("one", "--limit", "12", "--shuffle-seed", "1")

    assert bench.lines("one")[:5] == first
    assert len({r["id"] for r in bench.lines("one")}) == 12


def test_what_went_wrong_without_ending_an_answer_is_told(bench: Bench) -> None:
    spec = json.loads((bench.folder / "one.yaml").read_text())
    spec["models"]["j"] = {"backend": "simulated", "script": ["I could not say."]}
    spec["pipeline"].append({"verify": {"model": "j", "reason": False}})
    bench.write("judged.yaml", json.dumps(spec))
    ended, fine = bench.run("judged"), bench.run("one")
    told = bench.json("judged", "summary.json")["troubles"]

    assert (ended.code, told[0]["items"], told[0]["what"]) == (0, 20, "verify: verdict failed")
    assert "in 20 of 20 items, verify: verdict failed: not a judgement: 'I could not say.'" in ended.out
    assert "verify: no answer was approved; all go on" in {one["what"] for one in told}
    assert bench.lines("judged")[0]["troubles"]["verify: verdict failed"] == told[0]["reason"]
    assert "items, " not in fine.out
    assert "troubles" not in bench.json("one", "summary.json")


def test_a_torn_line_is_asked_again(bench: Bench) -> None:
    bench.run("one")
    whole = bench.lines("one")
    path = bench.folder / "one" / "items.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    assert bench.run("one").code == 0

    assert sorted(r["id"] for r in bench.lines("one")) == sorted(r["id"] for r in whole)


def test_another_spec_seed_or_selection_does_not_go_on_in_the_same_folder(bench: Bench) -> None:
    bench.run("one")

    for words in (["--seed", "1"], ["--shuffle-seed", "1"], ["--slice", "3:9"], ["--set", "models.m.skill=0.9"]):
        ended = bench.run("one", *words)
        assert (ended.code, "foreign-output" in ended.err) == (2, True), (words, ended.err)


def test_costs_are_told_even_when_the_journal_paid(bench: Bench) -> None:
    bench.run("one")
    again = bench("bench", "one.yaml", "--task", "q.jsonl", "--run", "again", "--json").json

    assert again["total"]["cached"] == 20
    assert again["per_item"] == bench.json("one", "summary.json")["per_item"]
    assert again["seconds"]["p50"] is None


def test_errors_are_counted_and_shown(bench: Bench) -> None:
    ended = bench.run("one", "--set", "models.m.failure_rate=1", "--set", "models.m.retries=0")

    assert ended.code == 1
    assert "20 failed" in ended.out
    assert "0.0 % right" in ended.out
    assert "overloaded" in ended.out


def test_a_budget_for_all_ends_it_and_what_was_not_asked_is_not_wrong(bench: Bench) -> None:
    ended = bench.run("one", "--budget", "calls=6", "--parallel", "1", "--json")

    assert ended.code == 3
    assert (ended.json["answered"], ended.json["status"]["unasked"]) == (6, 14)
    assert not ended.json["complete"]
    assert bench.run("one", "--budget", "calls=100", "--json").json["answered"] == 20


def test_two_runs_are_compared_by_item(bench: Bench) -> None:
    bench.run("one")
    bench.run("many")
    told = bench("compare", "one", "many", "--json").json
    one, many = ({r["id"]: r["correct"] for r in bench.lines(name)} for name in ("one", "many"))

    assert told["flipped"]["won"] == [id for id in one if many[id] and not one[id]]
    assert told["flipped"]["lost"] == [id for id in one if one[id] and not many[id]]
    assert told["wins"] + told["losses"] + sum(told["ties"].values()) == told["items"] == 20
    assert told["difference"]["value"] == pytest.approx((sum(many.values()) - sum(one.values())) / 20)
    assert told["calls_per_item"] == [1, 9]
    assert told["sign_test_p"] is None
    shown = bench("compare", "one", "many").out
    assert "McNemar" in shown
    assert "won: " in shown


def test_the_list_of_tasks(bench: Bench) -> None:
    assert "gsm8k" in bench("bench", "--tasks").out
    assert {t["name"] for t in bench("bench", "--tasks", "--json").json} >= {"gsm8k", "mmlu", "hotpotqa"}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"question": "q", "answer": "B", "choices": ["x", "y"]}, "choices from `choices`; graded by `choice`"),
        ({"prompt": "q", "label": "so\n#### 1,000"}, "answer from `label`; graded by `numeric`"),
        ({"problem": "q", "solution": "It is \\boxed{1/2}"}, "graded by `math`"),
        ({"query": "q", "answers": ["Rome", "Roma"]}, "answer from `answers`; graded by `f1`"),
        ({"input": "q", "target": 7}, "question from `input`, the answer from `target`; graded by `numeric`"),
    ],
)
def test_keys_are_guessed(record: dict[str, Any], said: str, bench: Bench) -> None:
    bench.write("own.jsonl", json.dumps(record))
    ended = bench("bench", "one.yaml", "--task", "own.jsonl", "--run", "r")

    assert said in ended.err


def test_a_right_choice_may_be_told_by_place_or_text(bench: Bench) -> None:
    lines = [{"question": f"q{i}", "answer": a, "choices": ["x", "y"]} for i, a in enumerate(["B", 1, "y", "(B)"])]
    bench.write("own.jsonl", "\n".join(map(json.dumps, lines)))
    bench("bench", "one.yaml", "--task", "own.jsonl", "--run", "r")

    assert {tuple(r["gold"]) for r in bench.lines("r")} == {("B",)}


def test_of_nothing_everything_is_possible() -> None:
    assert estimated(0, 0) == Estimate(0.0, 0.0, 1.0)
    assert estimated(8, 10).low == pytest.approx(0.4902, abs=1e-4)


@pytest.mark.parametrize(
    ("slice", "ids"),
    [("3:5", ["4", "5"]), ("all[18:]", ["19", "20"]), (":1", ["1"]), ("all", [str(i) for i in range(1, 21)])],
)
def test_a_slice_is_a_name_or_a_range_or_both(slice: str, ids: list[str], bench: Bench) -> None:
    task, _ = guessed(bench.folder / "q.jsonl")

    assert [item.id for item in load(task, Selection(slice), None).items] == ids


def test_a_longer_draw_begins_with_the_shorter_one(bench: Bench) -> None:
    task, _ = guessed(bench.folder / "q.jsonl")
    few, many = (load(task, Selection("", 7, limit), None).items for limit in (5, 15))

    assert many[:5] == few
    assert [item.id for item in many] != sorted((item.id for item in many), key=int)


def test_baselines_cost_as_much_and_share_samples(bench: Bench) -> None:
    told = bench.run("many", "--baselines", "--json").json
    greedy, voted, best = told["baselines"].values()

    assert [name.partition("@")[0] for name in told["baselines"]] == ["greedy", "self-consistency", "best-of-n"]
    assert "self-consistency@9" in told["baselines"]
    assert abs(best["tokens_per_item"][0] / told["per_item"]["tokens"] - 1) < 0.2  # a sample more or less is so much
    assert greedy["calls_per_item"] == [1, 9]
    assert voted["tokens_per_item"][0] == pytest.approx(told["per_item"]["tokens"], rel=0.1)
    assert voted["difference"]["value"] == 0
    assert bench.json("many/baselines/self-consistency@9", "summary.json")["total"]["cached"] == 180


@pytest.mark.parametrize("name", ["manifest.json", "items.jsonl"])
@pytest.mark.parametrize("content", ["", "{}", "nonsense\n", "[1]\n", '{"id": 1}\n'])
def test_a_folder_that_somebody_changed_is_refused(name: str, content: str, bench: Bench) -> None:
    bench.run("one")
    bench.write(f"one/{name}", content)
    ended = bench("compare", "one", "one")

    assert (ended.code, "not-a-bench" in ended.err) == (2, True)


@pytest.mark.parametrize(
    "content", ["", "[", "7", "grader: exact", "slices: {}\ngrader: exact", "slices: {a: q}\ngrader: exact\nprompt: x"]
)
def test_what_is_no_task_is_refused(content: str, bench: Bench) -> None:
    bench.write("t.yaml", content)
    ended = bench("bench", "one.yaml", "--task", "t.yaml")

    assert (ended.code, "bad-task" in ended.err) == (2, True)


@pytest.mark.parametrize(
    "content", ["", "[1]", "nonsense", '{"question": "q", "answer": "a", "id": 1}\n' * 2, '{"question": 1}']
)
def test_what_are_no_questions_is_refused(content: str, bench: Bench) -> None:
    bench.write("own.jsonl", content)

    assert bench("bench", "one.yaml", "--task", "own.jsonl").code == 2


def test_ctrl_c_between_items_ends_it_as_interrupted_and_the_same_command_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = BatchScreen.finished

    def finished(screen: BatchScreen, run: Run) -> None:
        whole(screen, run)
        if screen.done == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(BatchScreen, "finished", finished)
    bench.write("in.jsonl", "".join(json.dumps({"question": question}) + "\n" for question in ANSWERS))
    batch = ("run", "one.yaml", "--input", "in.jsonl", "--output", "out.jsonl", "--parallel", "1")

    assert bench.run("one", "--parallel", "1").code == 130
    assert not bench.json("one", "summary.json")["complete"]
    assert bench(*batch).code == 130
    monkeypatch.setattr(BatchScreen, "finished", whole)
    assert (bench.run("one").code, bench(*batch).code) == (0, 0)
    assert bench.json("one", "summary.json")["complete"]
