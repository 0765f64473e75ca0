"""What `run` shows while it works and when it is done: live on a terminal, plain lines elsewhere. All on stderr."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from archc.cli._pulse import Pulse
from archc.planning.plan import Plan
from archc.runtime.run import NodeTally, Run, Tally, tallies_of
from archc.runtime.trace import Event
from archc.spec.model import Budget

EVERY_QUESTION: Final = 100
"""Up to so many questions, each gets a line where there is no terminal."""
EVERY_S: Final = 10.0
"""With more, there is a line after so many seconds."""


class QuestionScreen:
    """One question: a table of its nodes that fills up, and what it has spent."""

    def __init__(self, plan: Plan, console: Console, budget: Budget | None = None) -> None:
        """`budget` holds beside the plan's own."""
        self.plan = plan
        self.console = console
        self.tally = Tally("0", tallies_of(plan.graph), plan.graph.owners)
        self.pulse = Pulse()
        self.budgets = (plan.graph.budget, budget)
        self.began = 0.0
        """The console's clock when the session began."""
        self.live = Live(get_renderable=self.shown, console=console, refresh_per_second=8, transient=True)

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        self.began = self.began or self.console.get_time() - event["at"]
        self.tally(event)
        self.pulse(event)
        if not self.console.is_terminal and event["event"] == "node" and event["state"] == "done":
            failed = f", {event['failed']} failed" if event["failed"] else ""
            self.console.print(f"{event['at']:7.2f} s  {event['node']}: {_counted(event['candidates'])}{failed}")

    def __enter__(self) -> QuestionScreen:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def shown(self) -> RenderableType:
        """What stands on the terminal at this moment."""
        now = self.console.get_time() - self.began if self.began else 0.0
        flying: Counter[str] = Counter()
        for (_, node), calls in self.pulse.flying.items():
            for name in (node, *self.plan.graph.owners.get(node, ())):
                flying[name] += calls
        table = cost_table(self.plan, self.tally.nodes, now, flying)
        return Group(table, Text(self.pulse.line(now, self.budgets)))


def _counted(candidates: int) -> str:
    return "1 candidate" if candidates == 1 else f"{candidates} candidates"


class BatchScreen:
    """Many questions: a bar with what has been answered, and a line with what goes on and what it has cost."""

    def __init__(self, total: int, console: Console, budget: Budget | None = None) -> None:
        """`budget` holds for all questions together."""
        self.total = total
        self.console = console
        self.budget = budget
        self.pulse = Pulse()
        self.done = self.failed = 0
        self.began = self.said = 0.0
        """The console's clock when the session began, and when there was a line."""
        self.progress = Progress(
            TextColumn("{task.completed:,}/{task.total:,} questions"),
            BarColumn(),
            TextColumn("{task.fields[failed]}"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=300,  # questions take long, and end in no even flow
        )
        self.task = self.progress.add_task("", total=total, failed="")
        self.live = Live(get_renderable=self.shown, console=console, refresh_per_second=4, transient=True)

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        self.began = self.began or self.console.get_time() - event["at"]
        self.pulse(event)

    def skipped(self, questions: int) -> None:
        """So many questions had been answered before: they are done, and say nothing of how long the others take."""
        self.done = questions
        self.progress.reset(self.task, start=True, completed=questions)

    def finished(self, run: Run) -> None:
        """Takes one answered question."""
        self.done += 1
        self.failed += run.status == "failed"
        failed = f"{self.failed:,} failed" if self.failed else ""
        self.progress.update(self.task, completed=self.done, failed=failed)
        if self.console.is_terminal:
            return
        if self.total <= EVERY_QUESTION:
            line = f"{self.done}/{self.total}  {run.id}: {self._about(run)}"
            self.console.print(line, markup=False, soft_wrap=True)
        elif self.console.get_time() >= self.said + EVERY_S or self.done == self.total:
            self.said = self.console.get_time()
            line = f"{self.done:,}/{self.total:,} questions, {self.failed:,} failed; {self._line()}"
            self.console.print(line, markup=False, soft_wrap=True)

    def __enter__(self) -> BatchScreen:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def _about(self, run: Run) -> str:
        """What its line says of one answered question."""
        return f"{run.status}, {run.spent.calls} calls"

    def _line(self) -> str:
        now = self.console.get_time() - self.began if self.began else 0.0
        return self.pulse.line(now, (self.budget,))

    def shown(self) -> RenderableType:
        """What stands on the terminal at this moment."""
        return Group(self.progress, Text(self._line()))


def cost_table(
    plan: Plan, tallies: dict[str, NodeTally], now: float | None = None, flying: Mapping[str, int] | None = None
) -> Table:
    """Candidates, calls (made, at most, from the journal), tokens, seconds and cost of each node; what was executed.

    `now`, in seconds since the session began, and `flying`, calls in flight by node, are for work that goes on.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("node", no_wrap=True)
    table.add_column("model", overflow="fold")
    for name in ("out", "calls", "max", "cached", "prompt", "completion", "seconds", "USD"):
        table.add_column(name, justify="right", no_wrap=True)
    if flying is not None:
        table.add_column("in flight", justify="right", no_wrap=True)
    total = NodeTally()
    for node in plan.nodes:
        tally = tallies[node.id]
        if now is not None and tally.started is not None and tally.ended is None:
            tally = replace(tally, ended=max(now, tally.started))
            mark = ">"
        else:
            mark = "." if tally.ended is None else "+"
        name = "  " * node.level + node.id
        row = (mark, name, node.model or "-", str(tally.candidates), *_numbers(tally, node.cost.calls.hi))
        table.add_row(*row, *([str(flying.get(node.id) or "-")] if flying is not None else []))
        if not node.level:
            _add(total, tally)
    table.add_section()
    table.add_row("", "total", "", "", *_numbers(total, plan.cost.calls.hi))
    executed = {node.id: tallies[node.id].executed for node in plan.graph.every if node.op.executes}
    if any(executed.values()):
        table.caption = "tests run: " + ", ".join(f"{name} {tests:,}" for name, tests in executed.items())
        table.caption_justify = "left"
    return table


def _numbers(tally: NodeTally, most: int) -> tuple[str, ...]:
    usd = f"{tally.usd:.4f}" if tally.usd else "-"
    tokens = (f"{tally.prompt_tokens:,}", f"{tally.completion_tokens:,}")
    return (str(tally.calls), str(most), str(tally.cached), *tokens, f"{tally.seconds:.2f}", usd)


def _add(total: NodeTally, tally: NodeTally) -> None:
    total.calls += tally.calls
    total.cached += tally.cached
    total.prompt_tokens += tally.prompt_tokens
    total.completion_tokens += tally.completion_tokens
    total.usd += tally.usd
    if tally.started is not None and tally.ended is not None:
        total.started = min(tally.started, total.started if total.started is not None else tally.started)
        total.ended = max(tally.ended, total.ended or 0.0)


def note_line(note: Event) -> str | None:
    """A line for what a person should know of a run; None for the rest."""
    node = note["node"]
    if note["event"] in ("refused", "spared"):
        calls = "1 call was" if note["calls"] == 1 else f"{note['calls']} calls were"
        return f"{node}: {calls} not sent: {note['reason']}"
    match note["note"]:
        case "degraded":
            return f"{node}: {note['fallback']} ({note['reason']})"
        case "failed":
            return f"{node}: a {note['what']} failed ({note['reason']})"
    told = _told(note)
    return f"{node}: {told}" if told else None


def _told(note: Event) -> str | None:
    """How a step came to what it gives."""
    match note["note"]:
        case "vote":
            votes = sorted(note["histogram"].items(), key=lambda vote: -vote[1])
            shown = ", ".join(f"{answer!r} {weight:g}" for answer, weight in votes[:8])
            return f"{note['share']:.0%} for the winner ({shown}{', …' if len(votes) > 8 else ''})"
        case "agreement":
            shown = f"{note['programs']} of {note['of']} programs pass the same {note['tests']} tests"
            return f"{shown} ({note['groups']} groups)"
        case "way":
            return f"took `{note['taken']}`"
        case "enough":
            return f"enough after {note.get('copies') or note['samples']} of at most {note['of']}"
        case "won":
            return f"took branch {', '.join(str(index + 1) for index in note['branches'])}"
        case "asked":
            return f"asked {', '.join(note['models'])}"
        case "abstained":
            return f"no answer rather than one of {note['of']}"
    return None


def downloading(console: Console, what: str) -> tuple[Progress, Callable[[int, int], None]]:
    """A bar for a download, and the function that moves it; it appears with the first bytes."""
    progress = Progress(TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console)
    tasks: list[Any] = []

    def moved(done: int, total: int) -> None:
        if not tasks:
            progress.start()
            tasks.append(progress.add_task("", total=total))
        progress.update(tasks[0], completed=done, total=total)
        if done >= total:
            progress.stop()

    return progress, moved
