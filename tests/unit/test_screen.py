"""What `archc run` shows while it works: on a terminal what goes on now, elsewhere a few plain lines."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from archc.cli._pulse import WINDOW_S, Pulse
from archc.cli._screen import BatchScreen, QuestionScreen
from archc.runtime.run import Run
from archc.spec.model import Budget
from tests.fakes import Scripted, answer, plan_of


class Terminal:
    """A console of 120 columns with a clock that is set."""

    def __init__(self, is_terminal: bool) -> None:
        self.now = 1_000.0
        self.file = io.StringIO()
        self.console = Console(
            file=self.file,
            width=120,
            force_terminal=is_terminal,
            color_system=None,
            get_time=lambda: self.now,
            _environ={},
        )

    def text_of(self, screen: QuestionScreen | BatchScreen) -> str:
        self.file.truncate(self.file.seek(0))
        self.console.print(screen.shown())
        return self.file.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()


def sending(calls: int, at: float = 0.0, node: str = "generate", query: str = "0") -> dict[str, Any]:
    return {"event": "sending", "at": at, "query": query, "node": node, "model": "m", "calls": calls}


def call(calls: int, at: float, node: str = "generate", query: str = "0", **more: Any) -> dict[str, Any]:
    used = {"calls": calls, "prompt_tokens": 10 * calls, "completion_tokens": 20 * calls, "usd": 0.25 * calls}
    about = {"samples": list(range(calls)), "attempt": 0, "outcome": "ok", "sent": 0.0, "seconds": at}
    return {"event": "call", "at": at, "query": query, "node": node, "model": "m", **used, **about, **more}


def done(id: str, status: Any = "ok") -> Run:
    return Run(id, status, "4", (), {}, (), 1.0)


# ---- the pulse


def test_calls_are_in_flight_from_when_they_are_sent_until_they_end() -> None:
    pulse = Pulse()
    seen = []
    for event in (sending(4), sending(2, node="fuse"), call(1, 1.0), call(2, 2.0, node="fuse"), call(3, 3.0)):
        pulse(event)
        seen.append(pulse.flying.total())

    assert seen == [4, 6, 5, 3, 0]
    assert not pulse.flying


def test_what_never_left_does_not_land() -> None:
    pulse = Pulse()
    pulse(sending(2))
    pulse(call(0, 1.0, samples=[0, 1], outcome="aborted", sent=None))

    assert pulse.flying.total() == 2


def test_tokens_per_second_are_recent() -> None:
    pulse = Pulse()
    pulse(call(10, 2.0))
    pulse(call(10, 4.0, outcome="timeout"))

    assert [pulse.tokens_per_second(now) for now in (4.0, 10.0, 2.0 + WINDOW_S, 3.0 + WINDOW_S)] == [75, 30, 20, 0]
    assert pulse.spent.tokens == 600


@pytest.mark.parametrize(
    ("budgets", "said"),
    [
        ([], "2 calls, 60 tokens, 0.5000 USD"),
        ([Budget(calls=1_000)], "2 of 1,000 calls, 60 tokens, 0.5000 USD"),
        ([Budget(tokens=90, seconds=30), None], "2 calls, 60 of 90 tokens, 0.5000 USD, 7 of 30 s"),
        ([Budget(calls=5, usd=1), Budget(calls=3)], "2 of 3 calls, 60 tokens, 0.5000 of 1 USD"),
    ],
)
def test_spending_is_shown_against_every_budget(budgets: list[Budget], said: str) -> None:
    pulse = Pulse()
    pulse(call(2, 1.0))

    assert pulse.spending(7.0, budgets) == said


# ---- one question


def test_the_table_of_a_question_has_its_calls_in_flight() -> None:
    terminal = Terminal(True)
    plan = plan_of("- repeat: {times: 2, do: [generate: {model: m, n: 3}]}\n- fuse: {model: m}", budget="calls: 9")
    screen = QuestionScreen(plan, terminal.console, Budget(calls=8))
    assert "0 of 8 calls" in terminal.text_of(screen)
    screen({"event": "question", "at": 0.0, "query": "0"})
    screen({"event": "node", "at": 0.0, "query": "0", "node": "generate", "state": "started", "candidates": 0})
    screen(sending(3, 0.0))
    screen(call(1, 2.0))
    terminal.now += 4.0
    text = terminal.text_of(screen)
    rows = {row.split()[1]: row.split() for row in text.splitlines()[1:4]}

    assert text.splitlines()[0].rstrip().endswith("in flight")
    assert [rows[name][-1] for name in ("repeat", "generate", "fuse")] == ["2", "2", "-"]
    assert text.splitlines()[-1].rstrip() == "2 in flight, 8 tokens/s; 1 of 8 calls, 30 tokens, 0.2500 USD"


def test_a_question_in_a_pipe_is_a_line_a_step() -> None:
    terminal = Terminal(False)
    plan = plan_of("- generate: {model: m, n: 3}\n- fuse: {model: m}")
    with QuestionScreen(plan, terminal.console) as screen:
        answer(plan, Scripted(takes=1.5), listeners=[screen])

    assert terminal.lines == ["   1.50 s  generate: 3 candidates", "   3.00 s  fuse: 1 candidate"]


# ---- many questions


def test_a_batch_shows_what_goes_on() -> None:
    terminal = Terminal(True)
    screen = BatchScreen(200, terminal.console, Budget(calls=1_000, usd=50))
    screen({"event": "session", "at": 0.0, "time": 0.0})
    for i in range(20):
        screen(sending(2, float(i), query=f"q{i}"))
        screen(call(1, i + 0.5, query=f"q{i}"))
        terminal.now += 1.0
        screen.finished(done(f"q{i}", "failed" if i == 3 else "ok"))
    bar, line = terminal.text_of(screen).splitlines()

    assert bar.startswith("20/200 questions")
    assert "1 failed" in bar
    assert bar.rstrip().endswith("0:03:00")
    assert line.rstrip() == "20 in flight, 30 tokens/s; 20 of 1,000 calls, 600 tokens, 5.0000 of 50 USD"


def test_questions_of_an_earlier_run_do_not_hasten_the_end() -> None:
    terminal = Terminal(True)
    screen = BatchScreen(200, terminal.console)
    screen.skipped(100)
    for i in range(50):
        terminal.now += 2.0
        screen.finished(done(str(i)))
    bar = terminal.text_of(screen).splitlines()[0]

    assert bar.startswith("150/200 questions")
    assert bar.rstrip().endswith("0:01:40")


def printed(questions: int, pace: Callable[[int], float]) -> list[str]:
    terminal = Terminal(False)
    with BatchScreen(questions, terminal.console) as screen:
        for i in range(questions):
            terminal.now += pace(i)
            screen(call(1, terminal.now - 1_000.0, query=f"[q{i}]"))
            screen.finished(done(f"[q{i}]"))
    return terminal.lines


def test_a_small_batch_in_a_pipe_is_a_line_a_question() -> None:
    assert printed(3, lambda i: 1.0) == [f"{i + 1}/3  [q{i}]: ok, 0 calls" for i in range(3)]


def test_a_large_batch_in_a_pipe_is_a_line_now_and_then() -> None:
    lines = printed(2_000, lambda i: 0.05)

    assert len(lines) == 11
    assert lines[0].startswith("1/2,000 questions, 0 failed; 0 in flight, ")
    assert lines[-1].startswith("2,000/2,000 questions, 0 failed; 0 in flight, ")
    assert lines[-1].endswith(" tokens/s; 2,000 calls, 60,000 tokens, 500.0000 USD")
    assert len(printed(101, lambda i: 60.0)) == 101


def test_what_earlier_starts_spent_counts_against_the_limits() -> None:
    pulse = Pulse()
    pulse({"event": "session", "at": 0.0, "spent": (7, 100, 50, 0.0)})
    pulse(call(3, 1.0))

    limits = Budget(calls=20, completion_tokens=1000)
    assert pulse.spending(1.0, [limits]).startswith("10 of 20 calls, ")
    assert "of 1,000 completion tokens" in pulse.spending(1.0, [limits])
    assert pulse.spent.calls == 3
