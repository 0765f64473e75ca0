"""Find the best architecture of a space for a task, within a budget."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import archc
from archc import api
from archc.bench.summary import percent
from archc.calls import Spend
from archc.cli._ending import EXHAUSTED, INTERRUPTED, OK
from archc.cli._files import replace_file
from archc.cli._options import AsJson, Choose, From, JudgedBy, Sets, Versus, chosen
from archc.cli._working import budget_of, fetching, run_loop, shown, to_its_end
from archc.report.search import search_report
from archc.runtime.engine import Engine
from archc.searching.asked import Asked, ordered, resumed
from archc.searching.folder import BEST, REPORT, Folder
from archc.searching.forecast import forecast
from archc.searching.leaderboard import ranked
from archc.searching.order import Order
from archc.searching.samplers import DEFAULT, names, sampler_class
from archc.searching.study import Study
from archc.searching.trial import Trial
from archc.searching.verb import Found, searched
from archc.spec.space.hole import value_text
from archc.spec.validation import as_options

app = typer.Typer()

Goals = Annotated[list[str], typer.Option(metavar="FIGURE", help="What to make large; `accuracy` without any.")]
Less = Annotated[list[str], typer.Option(metavar="FIGURE", help="What to make small; with others a Pareto front.")]
Limits = Annotated[list[str], typer.Option(metavar="CONDITION", help="What must hold: 'calls <= 40'.")]


@app.command("search")
def find(
    space: Annotated[
        Path | None, typer.Argument(help="A spec with choices.", metavar="SPACE", show_default=False)
    ] = None,
    task: Annotated[str, typer.Option(help="A built-in task, a task's YAML file, or JSONL with questions.")] = "",
    run: Annotated[Path | None, typer.Option(help="The folder of the search; `runs/SPACE-TASK` without it.")] = None,
    maximise: Goals = [],
    minimise: Less = [],
    subject_to: Limits = [],
    budget: Annotated[
        list[str], typer.Option("--budget", metavar="WHAT=N", help="For all of it: `calls=20000`, `usd=5`.")
    ] = [],
    trials: Annotated[int | None, typer.Option(min=1, help="Architectures to try, at most.")] = None,
    sampler: Annotated[str, typer.Option(help=f"What proposes them; `{DEFAULT}` if not said.")] = "",
    listed: Annotated[bool, typer.Option("--samplers", help="List the samplers.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what there is to search, and what it costs.")
    ] = False,
    resume: Annotated[Path | None, typer.Option(help="Go on with the search in this folder.", metavar="FOLDER")] = None,
    warm: Annotated[
        Path | None, typer.Option(help="Begin with the best of the search in this folder.", metavar="FOLDER")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many of the best to confirm on held-out items.")] = 3,
    confirm: Annotated[int | None, typer.Option(min=0, help="Held-out items to confirm on, at most.")] = None,
    share: Annotated[float, typer.Option(min=0.01, max=0.9, help="The part of the items that the search sees.")] = 0.2,
    reserve: Annotated[float, typer.Option(min=0.0, max=0.9, help="The part of the budget kept to confirm.")] = 0.4,
    first: Annotated[int, typer.Option(min=1, help="Items before trials are compared for the first time.")] = 8,
    eta: Annotated[float, typer.Option(min=1.0, help="One in so many goes on at each comparison; 1: all.")] = 3.0,
    alpha: Annotated[float, typer.Option(min=0.0, max=1.0, help="How often an equal of the best is stopped.")] = 0.05,
    abreast: Annotated[int, typer.Option(min=1, help="Architectures proposed and measured at once.")] = 4,
    adviser: Annotated[str, typer.Option(metavar="MODEL", help="The spec's model that `llm` asks.")] = "",
    judge: JudgedBy = "",
    versus: Versus = None,
    data: Annotated[Path | None, typer.Option(envvar="ARCHC_DATA", help="Where the data of tasks lies.")] = None,
    slice: Annotated[str, typer.Option(help="A part of the task: `train`, `100:200`, `train[100:200]`.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Take only so many items, drawn at random.")] = None,
    parallel: Annotated[int, typer.Option(min=1, help="Items at work at once.")] = 32,
    seed: Annotated[int, typer.Option(min=0, help="Of the split, of the proposals and of the samples.")] = 0,
    sets: Sets = [],
    choose: Choose = [],
    form: From = "",
    journal: Annotated[Path | None, typer.Option(help="Where paid calls are kept.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find the best architecture of a space for a task, within a budget.

    The same command goes on where it was stopped. What the spec says under `search` holds where no option does.
    """
    if listed:
        _list(as_json)
        return
    options = {
        "task": task,
        "run": run,
        "maximise": tuple(maximise),
        "minimise": tuple(minimise),
        "subject_to": tuple(subject_to),
        "budget": budget_of(budget),
        "trials": trials,
        "sampler": sampler,
        "top": top,
        "confirm": confirm,
        "share": share,
        "reserve": reserve,
        "first": first,
        "eta": eta,
        "alpha": alpha,
        "abreast": abreast,
        "warm": warm,
        "adviser": adviser,
        "judge": judge,
        "versus": versus,
        "data": data,
        "slice": slice,
        "limit": limit,
        "parallel": parallel,
        "seed": seed,
        "overrides": tuple(sets),
        "choices": chosen(choose),
        "journal": journal,
    }
    asked = as_options(Asked, options)
    if resume:
        source, asked = resumed(resume, asked)
    elif space:
        source = api.read(space, form)
    else:
        raise typer.BadParameter("give a SPACE, or --resume FOLDER")
    order, said = ordered(source, asked, archc.__version__)
    console = Console(stderr=True, quiet=quiet or as_json, highlight=False)
    if said:
        console.print(said, markup=False, soft_wrap=True)
    if dry_run:
        print(json.dumps(forecast(order)) if as_json else shown("\n".join(_forecast(order))))
        return
    found = _searched(order, console)
    if as_json:
        print(json.dumps({"run": str(order.folder), **found.summary}, ensure_ascii=False))
    else:
        print(shown("\n".join(_told(order, found))))
    raise typer.Exit(INTERRUPTED if found.stopped else OK if found.best else EXHAUSTED)


def _list(as_json: bool) -> None:
    about = {name: (sampler_class(name).__doc__ or "").split("\n", 1)[0] for name in names()}
    if as_json:
        print(json.dumps(about))
        return
    for name, text in about.items():
        print(f"{name:<10} {text}{' The default.' if name == DEFAULT else ''}")


def _forecast(order: Order) -> Iterator[str]:
    """What is known before anything is bought, for people."""
    known = forecast(order)
    points = "points without end" if known["points"] is None else f"{known['points']:,} points"
    allowed = "" if known["allowed"] in (None, known["points"]) else f", {known['allowed']:,} within the constraints"
    yield f"{order.source.name}: {points}{allowed}"
    low, high = known["calls_per_item"]
    judged = ", those of the judge with them" if known["judged"] else ""
    yield f"one architecture: {low:,} to {high:,} calls an item at most, by {known['looked_at']} of them{judged}"
    yield f"{known['items']['search']} items for the search, {known['items']['held_out']} held out"
    for unit, full in known["affords"].items():
        yield f"{unit}: enough for {full[0]:,} to {full[1]:,} architectures in full; races and sharing make it more"
    for goal in order.aim.goals:
        yield f"goal: {goal.shown}"
    for limit in order.aim.constraints:
        yield f"limit: {limit.text}"


class Screen:
    """A line for each trial."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        """Prints a line."""
        self.console.print(text, markup=False, soft_wrap=True)

    def began(self, order: Order, folder: Folder, spent: Spend) -> None:
        """Says where, and what earlier starts have spent."""
        before = f", of which {spent.calls:,} calls were bought before" if spent.calls else ""
        self.say(f"search {folder.id} in {folder.path}{before}")

    def tried(self, trial: Trial, study: Study) -> None:
        """Says what a trial came to."""
        aim, best = study.order.aim, study.best
        values = aim.told(trial.figures()) if trial.records else "-"
        lead = f"; best: trial {best.number}" if best else ""
        why = f" ({trial.reason})" if trial.reason else ""
        point = " ".join(f"{path}={value_text(value)}" for path, value in trial.point.items())
        self.say(f"{trial.number:>4}  {trial.status}{why} after {trial.items} items: {values}; {point}{lead}")

    async def working(self, work: Coroutine[Any, Any, Found], engine: Engine) -> Found:
        """Waits for the search, and for Ctrl-C."""
        return await to_its_end(work, engine, self.console)


def _searched(order: Order, console: Console) -> Found:
    async def all_of_it() -> Found:
        with fetching(console):
            return await searched(order, Screen(console))

    found = run_loop(all_of_it())
    replace_file(order.folder / REPORT, search_report(order.folder))
    return found


def _told(order: Order, found: Found) -> Iterator[str]:
    """The result for people, the most important first."""
    summary = found.summary
    yield from summary["said"]
    spent, searched = summary["spent"], summary["search"]
    usd = f", {spent['usd']:.4f} USD" if spent["usd"] else ""
    yield (
        f"{summary['trials']} architectures tried, {summary['complete']} measured in full, until {summary['ended']}; "
        f"{spent['calls']:,} calls and {spent['tokens']:,} tokens bought{usd}"
    )
    yield (
        f"the search took {searched['calls']:,} of these calls for {searched['calls_of_answers']:,} in answers (the "
        f"rest is shared), and each architecture on all items would have taken {searched['calls_in_full']:,}"
    )
    yield from summary["notes"]
    if found.verdict:
        for rival in found.verdict.rivals:
            against, scale = rival.against, 100 if order.aim.goals[0].text == "accuracy" else 1
            low, lead, high = (scale * end for end in (rival.lead.low, rival.lead.value, rival.lead.high))
            unit = " points" if scale > 1 else f" {order.aim.goals[0].text}"
            yield (
                f"against {rival.name} ({percent(against.accuracy[0])} for {against.tokens[0]:,.0f} tokens an item): "
                f"{lead:+.3g}{unit} [{low:+.3g}, {high:+.3g}]"
            )
    for trial in ranked(found.trials, order.aim)[:5]:
        yield f"  trial {trial.number}: {order.aim.told(trial.figures())}, {trial.figures()['calls']:.1f} calls an item"
    if found.best:
        yield f"best in {order.folder / BEST}, report in {order.folder / REPORT}"
