"""What `run` shows while it works and when it is done: live on a terminal, plain lines elsewhere. All on stderr."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from archc.planning.plan import Plan
from archc.runtime.run import NodeTally, Run, Tally
from archc.runtime.trace import Event


class QuestionScreen:
    """One question: a table of its nodes that fills up."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self.plan = plan
        self.console = console
        self.tally = Tally("0", {node.id: NodeTally() for node in plan.graph.nodes})
        self.live = Live(get_renderable=self._table, console=console, refresh_per_second=8, transient=True)

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        self.tally(event)
        if not self.console.is_terminal and event["event"] == "node" and event["state"] == "done":
            failed = f", {event['failed']} failed" if event["failed"] else ""
            self.console.print(f"{event['at']:7.2f} s  {event['node']}: {event['candidates']} candidates{failed}")

    def __enter__(self) -> QuestionScreen:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def _table(self) -> Table:
        return cost_table(self.plan, self.tally.nodes)


class BatchScreen:
    """Many questions: a bar with what has been answered and spent."""

    def __init__(self, total: int, console: Console) -> None:
        self.total = total
        self.console = console
        self.calls = self.tokens = self.done = self.failed = 0
        self.progress = Progress(
            TextColumn("{task.completed}/{task.total} questions"),
            BarColumn(),
            TextColumn("{task.fields[spent]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self.task = self.progress.add_task("", total=total, spent="")

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        if event["event"] == "call":
            self.calls += event["calls"]
            self.tokens += event["prompt_tokens"] + event["completion_tokens"]
            rate = self.tokens / max(event["at"], 1e-3)
            self.progress.update(self.task, spent=f"{self.calls:,} calls, {self.tokens:,} tokens, {rate:,.0f}/s")

    def finished(self, run: Run) -> None:
        """Takes one answered question."""
        self.done += 1
        self.failed += run.status == "failed"
        self.progress.update(self.task, completed=self.done)
        if not self.console.is_terminal:
            line = f"{self.done}/{self.total}  {run.id}: {run.status}, {run.spent.calls} calls"
            self.console.print(line, markup=False)

    def __enter__(self) -> BatchScreen:
        if self.console.is_terminal:
            self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()


def cost_table(plan: Plan, tallies: dict[str, NodeTally]) -> Table:
    """Calls, tokens, seconds and cost of each node, beside what the plan allowed for."""
    table = Table(box=None, pad_edge=False, show_footer=False)
    table.add_column("node")
    table.add_column("model")
    for name in ("candidates", "calls", "of at most", "cached", "prompt tokens", "completion", "seconds", "USD"):
        table.add_column(name, justify="right")
    total = NodeTally()
    for node in plan.nodes:
        tally = tallies[node.id]
        table.add_row(node.id, node.model or "-", str(tally.candidates), *_numbers(tally, node.cost.calls.hi))
        _add(total, tally)
    table.add_section()
    table.add_row("total", "", "", *_numbers(total, plan.cost.calls.hi))
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
