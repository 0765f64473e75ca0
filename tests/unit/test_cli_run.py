"""`archc run` as its user meets it: what is printed where, and the exit code."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from archc.cli import main

SPEC = """
name: small
models:
  m: {backend: simulated, latency: 0.0}
pipeline:
  - generate: {model: m, n: 4}
  - critique: {model: m, by: each}
  - fuse: {model: m}
"""
DEAD = SPEC.replace("latency: 0.0", "failure_rate: 1.0, retries: 0")


@dataclass
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """A folder with a spec, in which commands are given."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.capsys, self.folder = capsys, folder

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def questions(self, count: int) -> None:
        self.write(
            "q", "".join(json.dumps({"id": f"q{i}", "question": f"What is {i} + 1?"}) + "\n" for i in range(count))
        )

    def __call__(self, *words: str) -> Ended:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["run", "spec.yaml", *words])
        out, err = self.capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_bytes().splitlines()]


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARCHC_JOURNAL", str(tmp_path / "journal"))
    shell = Shell(capsys, tmp_path)
    shell.write("spec.yaml", SPEC)
    return shell


def test_the_answer_alone_is_on_stdout(shell: Shell) -> None:
    ended = shell("What is 2 + 2?")
    assert ended.code == 0
    assert "therefore the answer is" in ended.out.lower()
    assert "critique" in ended.err
    quiet = shell("What is 2 + 2?", "-q")
    assert (quiet.out, quiet.err) == (ended.out, "")


def test_json_is_one_object_with_everything(shell: Shell) -> None:
    record = shell("q", "--json").json
    assert (record["status"], record["calls"], record["cached"], record["error"]) == ("ok", 9, 0, None)
    assert list(record["nodes"]) == ["generate", "critique", "fuse"]
    again = shell("q", "--json").json
    assert (again["calls"], again["cached"], again["answer"]) == (0, 9, record["answer"])


def test_no_journal_keeps_nothing(shell: Shell) -> None:
    for _ in range(2):
        assert shell("q", "--json", "--no-journal").json["calls"] == 9
    assert not (shell.folder / "journal").exists()


def test_a_journal_may_be_anywhere(shell: Shell) -> None:
    shell("q", "--journal", "deep/down/j")
    assert shell("q", "--json", "--journal", "deep/down/j").json["calls"] == 0


def test_the_question_may_come_from_stdin(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    direct = shell("What is 2 + 2?\n").out
    monkeypatch.setattr("sys.stdin", io.StringIO("What is 2 + 2?\n"))
    assert shell("-").out == direct
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), encoding="utf-8"))
    assert shell("-").code == 2


def test_a_run_that_fails_ends_with_1_and_the_place_in_the_spec(shell: Shell) -> None:
    shell.write("spec.yaml", DEAD)
    ended = shell("q")
    assert (ended.code, ended.out) == (1, "")
    assert "error[no-answer]" in ended.err
    assert "spec.yaml:6" in ended.err
    record = shell("q", "--json")
    assert (record.code, record.json["status"], record.json["error"]["name"]) == (1, "failed", "no-answer")


def test_a_budget_that_ends_the_run_ends_it_with_3_and_the_best_so_far(shell: Shell) -> None:
    ended = shell("q", "--budget", "calls=3")
    assert ended.code == 3
    assert ended.out
    assert "a budget ended the run: 3 calls for this run are not enough" in ended.err
    assert shell("another", "--json", "--budget", "calls=3").json["calls"] == 3


def test_a_budget_for_each_question_is_in_the_spec(shell: Shell) -> None:
    shell.write("spec.yaml", SPEC + "budget: {calls: 3, on_exhausted: error}\n")
    ended = shell("q")
    assert (ended.code, ended.out) == (3, "")
    assert "error[budget-exhausted]" in ended.err


@pytest.mark.parametrize(
    "budget",
    ["calls=0", "calls=-1", "calls=many", "calls", "=3", "cals=3", "usd=nan", "tokens=1.5", "on_exhausted=panic"],
)
def test_a_budget_that_is_none_is_refused(budget: str, shell: Shell) -> None:
    ended = shell("q", "--budget", budget)
    assert ended.code == 2
    assert "bug" not in ended.err


def test_a_budget_in_usd_needs_prices(shell: Shell) -> None:
    ended = shell("q", "--budget", "usd=1")
    assert ended.code == 2
    assert "unknown-price" in ended.err


@pytest.mark.parametrize(
    "words", [(), ("q", "--input", "q"), ("--input", "q"), ("--output", "a"), ("q", "--output", "a")]
)
def test_a_question_or_a_file_of_them(words: tuple[str, ...], shell: Shell) -> None:
    shell.questions(1)
    assert shell(*words).code == 2


# ---- many


BATCH = ("--input", "q", "--output", "a")


def test_many_questions_are_answered_into_a_file(shell: Shell) -> None:
    shell.questions(20)
    ended = shell(*BATCH)
    assert (ended.code, ended.out) == (0, "")
    assert "20 answered, 0 had been before, 0 failed" in ended.err
    assert sorted(r["id"] for r in shell.lines("a")) == sorted(f"q{i}" for i in range(20))
    assert {r["status"] for r in shell.lines("a")} == {"ok"}


def test_the_same_command_skips_what_was_answered(shell: Shell) -> None:
    shell.questions(3)
    shell(*BATCH)
    shell.questions(5)
    summary = shell(*BATCH, "--json").json
    assert (summary["done"], summary["skipped"], summary["calls"]) == (2, 3, 18)
    assert len(shell.lines("a")) == 5


def test_answers_of_another_spec_or_seed_are_not_mixed_but_speed_may_change(shell: Shell) -> None:
    shell.questions(2)
    shell(*BATCH)
    assert shell(*BATCH, "--set", "models.m.concurrency=1").code == 0
    for change in (("--seed", "1"), ("--set", "generate.n=2"), ("--set", "models.m.skill=0.9")):
        ended = shell(*BATCH, *change)
        assert ended.code == 2
        assert "foreign-output" in ended.err
    assert len(shell.lines("a")) == 2


def test_a_budget_for_all_questions_together(shell: Shell) -> None:
    shell.questions(4)
    ended = shell(*BATCH, "--budget", "calls=20", "--parallel", "1", "--json")
    assert ended.code == 3
    assert (ended.json["done"], ended.json["exhausted"], ended.json["calls"]) == (2, 2, 20)
    ended = shell(*BATCH, "--json")
    assert (ended.code, ended.json["done"], ended.json["skipped"], ended.json["calls"]) == (0, 2, 2, 16)


def test_failed_questions_end_with_1(shell: Shell) -> None:
    shell.write("spec.yaml", DEAD)
    shell.questions(3)
    ended = shell(*BATCH)
    assert ended.code == 1
    assert [r["error"]["name"] for r in shell.lines("a")] == ["no-answer"] * 3


@pytest.mark.parametrize("line", ["nonsense", '{"question": 1}', '{"id": "q0", "question": "again"}'])
def test_a_bad_line_is_named_before_anything_is_asked(line: str, shell: Shell) -> None:
    shell.questions(1)
    with (shell.folder / "q").open("a") as file:
        file.write(line + "\n")
    ended = shell(*BATCH)
    assert ended.code == 2
    assert "line 2 of `q`" in ended.err
    assert not (shell.folder / "journal").exists()
    as_json = shell(*BATCH, "--json")
    assert (as_json.code, as_json.json["diagnostics"][0]["name"]) == (2, "bad-input")


def test_an_id_is_not_taken_for_markup(shell: Shell) -> None:
    shell.write("q", json.dumps({"id": "[/red] [bold]", "question": "q"}) + "\n")
    ended = shell(*BATCH)
    assert ended.code == 0
    assert "[/red] [bold]: ok" in ended.err


@pytest.mark.parametrize(
    "words",
    [("--input", ".", "--output", "a"), ("--input", "none", "--output", "a"), ("--input", "q", "--output", ".")],
)
def test_files_that_are_none_are_errors_of_the_user(words: tuple[str, ...], shell: Shell) -> None:
    shell.questions(1)
    ended = shell(*words)
    assert ended.code == 2
    assert re.match(r"error\[(no-such-file|not-writable)\]", ended.err)


@pytest.mark.parametrize("journal", [".", "spec.yaml", "/proc/none"])
def test_a_journal_that_is_none_fails_the_run(journal: str, shell: Shell) -> None:
    ended = shell("q", "--journal", journal)
    assert ended.code == 1
    assert "error[bad-journal]" in ended.err


# ---- trace


def test_a_trace_is_json_lines_with_every_call(shell: Shell) -> None:
    shell.questions(3)
    assert shell(*BATCH, "--trace", "t").code == 0
    events = shell.lines("t")
    calls = [e for e in events if e["event"] == "call"]
    assert sum(e["calls"] for e in calls) == 27
    assert {e["query"] for e in events if e["event"] != "session"} == {"q0", "q1", "q2"}
    assert all(e["outcome"] == "ok" for e in calls)
    assert shell("q", "--trace", ".").code == 2


def test_no_secret_is_in_what_a_run_leaves(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server refuses the connection, so that error texts are in all files, too."""
    secret = "sk-canary-5f2b"
    monkeypatch.setenv("CANARY", secret)
    model = "{backend: openai, model: x, base_url: 'http://127.0.0.1:9/v1', api_key_env: CANARY, retries: 0}"
    shell.write("spec.yaml", SPEC.replace("{backend: simulated, latency: 0.0}", model))
    shell.questions(1)
    ended = shell(*BATCH, "--trace", "t", "--journal", "j")
    assert ended.code == 1
    assert "bug" not in ended.err
    files = [f for f in shell.folder.iterdir() if f.is_file()]
    assert {"t", "a", "j"} <= {f.name for f in files}
    assert secret not in ended.out + ended.err
    assert not [f.name for f in files if secret.encode() in f.read_bytes()]
