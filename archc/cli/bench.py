"""Measure a spec on a task: how good it is, and what it costs."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import archc
from archc import api
from archc.bench.baselines import Rival, baselines
from archc.bench.compare import Comparison
from archc.bench.data import Selection, load, task_of
from archc.bench.folder import Graded
from archc.bench.judging import judge_for
from archc.bench.measure import Order, Outcome, measure
from archc.bench.metrics.intervals import Estimate
from archc.bench.summary import Record, estimated, percent, told
from archc.bench.task import built_in, names
from archc.cli._ending import EXHAUSTED, FAILED, INTERRUPTED, OK, show
from archc.cli._options import AsJson, Choose, From, JudgedBy, Sets, Skip, Versus, chosen
from archc.cli._screen import BatchScreen
from archc.cli._working import budget_of, fetching, run_loop, shown, tell_past, to_its_end
from archc.planning.plan import Plan
from archc.runtime.batch import Summary
from archc.runtime.run import Run
from archc.runtime.session import Session
from archc.runtime.trace import JsonlFile, Listener

app = typer.Typer()


@app.command()
def bench(
    spec: Annotated[
        Path | None, typer.Argument(help="The spec to measure.", metavar="SPEC", show_default=False)
    ] = None,
    task: Annotated[str, typer.Option(help="A built-in task, a task's YAML file, or JSONL with questions.")] = "",
    run: Annotated[Path | None, typer.Option(help="The folder of the run; `runs/SPEC-TASK-KEY` without it.")] = None,
    data: Annotated[Path | None, typer.Option(envvar="ARCHC_DATA", help="Where the data of tasks lies.")] = None,
    slice: Annotated[str, typer.Option(help="A part of the task: `train`, `100:200`, `train[100:200]`.")] = "",
    shuffle_seed: Annotated[int | None, typer.Option(help="Take the items in a random order.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only so many items; raise it to go on.")] = None,
    parallel: Annotated[int, typer.Option(min=1, help="Items at work at once.")] = 32,
    sets: Sets = [],
    choose: Choose = [],
    form: From = "",
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other samples.")] = 0,
    budget: Annotated[
        list[str], typer.Option("--budget", metavar="WHAT=N", help="A limit for all items together: `calls=1000`.")
    ] = [],
    journal: Annotated[Path | None, typer.Option(help="Where paid calls are kept.")] = None,
    no_journal: Annotated[bool, typer.Option("--no-journal", help="Keep nothing and reuse nothing.")] = False,
    trace: Annotated[Path | None, typer.Option(help="Append every event to this file as JSONL.")] = None,
    skip: Skip = [],
    against: Annotated[
        bool,
        typer.Option(
            "--baselines", help="Compare with one greedy answer, and with a vote and best-of-n for the same tokens."
        ),
    ] = False,
    judge: JudgedBy = "",
    versus: Versus = None,
    listed: Annotated[bool, typer.Option("--tasks", help="List the built-in tasks.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the summary.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a spec on a task: how good it is, and what it costs.

    The same command goes on where it was stopped. What costs are told is what the answers cost when they were bought.
    """
    if listed:
        _list(as_json)
        return
    if spec is None or not task:
        raise typer.BadParameter("give a SPEC and --task; `archc bench --tasks` lists the tasks")
    source, choices = api.read(spec, form), chosen(choose)
    plan = api.compile(source, overrides=sets, choices=choices, skip=skip)
    console = Console(stderr=True, quiet=quiet or as_json, highlight=False)
    if plan.warnings and not (quiet or as_json):
        show(plan.warnings, as_json=False)
    chosen_task, beside, said = task_of(task)
    if said:
        console.print(said, markup=False, soft_wrap=True)
    selection = Selection(slice, shuffle_seed, limit)
    order = Order(
        plan,
        chosen_task,
        load(chosen_task, selection, beside or data),
        selection,
        run or Path(),
        archc.__version__,
        seed,
        parallel,
        budget_of(budget),
        None if no_journal else journal or api.default_journal(),
    )
    if judged := judge_for(chosen_task, order.data.items, judge, versus, seed):
        judged = replace(judged, journal=order.journal, budget=order.budget)
    order = replace(order, judge=judged)
    order = order if run else _placed(order, spec)

    def compiled(pipeline: str) -> Plan:
        changed = [*sets, f"pipeline={pipeline}"]
        return api.compile(source, overrides=changed, choices=api.left_of(choices, source, changed), skip=skip)

    apart = trace.with_suffix(f".judge{trace.suffix}") if trace and judged else None  # a file's times are one session's
    with _traced(trace) as listeners, _traced(apart) as heard:
        order = replace(order, judge=replace(judged, listeners=heard)) if judged else order
        outcome, rivals = run_loop(_with_rivals(order, compiled if against else None, console, listeners))
    if as_json:
        more = {"baselines": {name: rival.as_json() for name, rival in rivals}} if rivals else {}
        print(json.dumps({"run": str(order.folder), **outcome.summary, **more}))
    else:
        print(shown("\n".join([_told(order, outcome), *(_rival(name, rival) for name, rival in rivals)])))
    raise typer.Exit(_code(outcome))


def _placed(order: Order, spec: Path) -> Order:
    """The same into the folder that it has where none is named."""
    name = f"{order.plan.graph.name or spec.stem}-{order.task.name}-{order.key[:8]}"
    return replace(order, folder=Path("runs") / name.replace("/", "-"))


@contextmanager
def _traced(path: Path | None) -> Iterator[list[Listener]]:
    """A listener that writes the trace, if one is wanted; what could not be written is said at its end."""
    if path is None:
        yield []
        return
    file = JsonlFile(path)
    try:
        yield [file]
    finally:
        file.close()
        if file.trouble:
            show([file.trouble], as_json=False)


def _list(as_json: bool) -> None:
    tasks = [built_in(name) for name in names()]
    if as_json:
        print(json.dumps([task.model_dump(mode="json") for task in tasks], ensure_ascii=False))
        return
    for task in tasks:
        print(f"{task.name:<15} {task.grader:<12} {task.about} ({', '.join(task.slices)}; {task.licence})")


class BenchScreen(BatchScreen):
    """A batch with how good the answers are so far."""

    right = asked = first = 0
    verdict = ""
    """What the last answer was."""

    def before(self, records: Sequence[Record]) -> None:
        """Takes what earlier starts had answered."""
        self.right, self.asked = sum(record["correct"] for record in records), len(records)
        self.first = len(records)
        self.skipped(self.first)

    def graded(self, run: Run, record: Record) -> None:
        """Takes one graded answer."""
        status = record["status"]
        self.right += record["correct"]
        self.asked += status != "unasked"
        self.verdict = "right" if record["correct"] else "wrong" if status == "ok" else status
        self.finished(run)

    def _line(self) -> str:
        line = super()._line()
        return f"{percent(estimated(self.right, self.asked))} right, {self._left()}; {line}" if self.asked else line

    def _about(self, run: Run) -> str:
        return f"{self.verdict}; {percent(estimated(self.right, self.asked))} right so far, {self._left()}"

    def _left(self) -> str:
        """How long the rest takes, at the pace so far."""
        taken, new = self.console.get_time() - self.began, self.done - self.first
        return f"{taken / max(1, new) * (self.total - self.done):,.0f} s left"


async def _with_rivals(
    order: Order, compiled: Callable[[str], Plan] | None, console: Console, listeners: list[Listener]
) -> tuple[Outcome, list[Rival]]:
    """The run, and it against the baselines if there is a way to compile these."""

    async def measured(other: Order) -> Outcome:
        console.print(f"baseline {other.folder.name}", markup=False, soft_wrap=True)
        ended = await _measured(other, console, listeners)
        if ended.stopped:
            raise KeyboardInterrupt
        return ended

    with fetching(console):
        outcome = await _measured(order, console, listeners)
        if compiled is None or outcome.stopped:
            return outcome, []
        tokens = outcome.summary["per_item"]["tokens"]
        return outcome, [rival async for rival in baselines(order, tokens, compiled, measured)]


async def _measured(order: Order, console: Console, listeners: list[Listener]) -> Outcome:
    screen = BenchScreen(len(order.data.items), console, order.budget)

    def started(session: Session, graded: Graded) -> None:
        tell_past(session, console)
        screen.before([graded.records[item.id] for item in order.data.items if item.id in graded.done])

    async def working(work: Awaitable[Summary], session: Session) -> Summary:
        async def awaited() -> Summary:
            return await work

        with screen:
            return await to_its_end(awaited(), session, console)

    return await measure(order, started, screen.graded, working, [screen, *listeners])


def _rival(name: str, rival: Comparison) -> str:
    """A line on the run against a baseline."""
    low, high = 100 * rival.difference.low, 100 * rival.difference.high
    more = f"{100 * rival.difference.value:+.1f} points [{low:+.1f}, {high:+.1f}]"
    about = f"{percent(rival.accuracy[0])} for {rival.tokens[0]:,.0f} tokens an item"
    return f"against {name} ({about}): {more}; {rival.verdict}"


_K = re.compile(r"\bk\b")


def _pool(pool: dict[str, Any]) -> Iterator[str]:
    """Lines on the candidates of the items, where these end with several, and on how sure they are."""
    if curves := pool.get("curves"):
        coverage = ", ".join(f"{100 * at['value']:.1f} % @{at['k']}" for at in curves["pass@k"])
        beyond = pool["fits"].get("beta_binomial", {}).get("at", {})
        more = ", ".join(f"{100 * value:.1f} % @{k}" for k, value in beyond.items())
        yield f"pass@k: {coverage}" + (f"; to expect: {more}" if more else "")
        ends = [(name, curve[-1]) for name, curve in curves.items() if name != "pass@k"]
        yield ", ".join(
            f"{_K.sub(str(at['k']), name)} {percent(Estimate(at['value'], at['low'], at['high']))}" for name, at in ends
        )
    for name, known in pool.get("confidence", {}).items():
        if area := known["auroc"]:
            error = f", calibration error {known['ece']:.3f}" if "ece" in known else ""
            interval = "" if area["low"] is None else f" [{area['low']:.2f}, {area['high']:.2f}]"
            yield f"{name} tells right from wrong: AUROC {area['value']:.2f}{interval}{error}"


def _code(outcome: Outcome) -> int:
    batch = outcome.batch
    if outcome.stopped:
        return INTERRUPTED
    return EXHAUSTED if batch.exhausted else FAILED if batch.failed else OK


def _told(order: Order, outcome: Outcome) -> str:
    """The summary for people."""
    summary: dict[str, Any] = outcome.summary
    share, cost = summary["accuracy"], summary["per_item"]
    usd = f", {cost['usd']:.4f} USD" if cost["usd"] else ""
    lines = [
        f"{order.task.name}: {100 * share['value']:.1f} % right [{100 * share['low']:.1f}, {100 * share['high']:.1f}] "
        f"of {summary['answered']} items"
    ]
    if score := summary.get("score"):
        lines.append(f"score {score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]")
    lines += [f"{name} {percent(Estimate(**share))}" for name, share in summary.get("metrics", {}).items()]
    lines.append(f"{cost['calls']:,.1f} calls, {cost['tokens']:,.0f} tokens{usd} an item")
    if judged := summary.get("judge"):
        lines.append(f"the judge: {judged['calls']:,} calls, {judged['tokens']:,} tokens, {judged['usd']:.4f} USD")
    if summary["seconds"]["p50"] is not None:
        lines.append("seconds: " + ", ".join(f"{name} {value:.2f}" for name, value in summary["seconds"].items()))
    lines += _pool(summary.get("pool", {}))
    if others := {status: count for status, count in summary["status"].items() if status != "ok"}:
        lines.append(", ".join(f"{count} {status}" for status, count in others.items()))
        lines += [f"  {count} × {reason}" for reason, count in summary["errors"].items()]
    lines += [told(trouble, summary["answered"]) for trouble in summary.get("troubles", ())]
    if order.task.noise:
        lines.append(f"labels: {order.task.noise}")
    return "\n".join([*lines, f"run in {order.folder}"])
