"""Run a spec: on one question, or on many from a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from archc import api
from archc.cli._ending import EXHAUSTED, FAILED, INTERRUPTED, OK, show
from archc.cli._files import standard_input
from archc.cli._options import AsJson, Choose, From, Sets, Skip, SpecPath, chosen
from archc.cli._screen import BatchScreen, QuestionScreen, cost_table, note_line
from archc.cli._working import budget_of, fetching, run_loop, shown, tell_past, to_its_end
from archc.exporters.otel import Delivery
from archc.runtime.batch import Item, Output, Summary, read_items, run_batch, run_key
from archc.runtime.run import Run
from archc.runtime.session import Session
from archc.runtime.trace import JsonlFile, Listener

app = typer.Typer()


@app.command()
def run(
    spec: SpecPath,
    question: Annotated[str, typer.Argument(help="The question; `-` reads it from standard input.")] = "",
    input: Annotated[Path | None, typer.Option(help='JSONL: {"id": …, "question": …} a line.')] = None,
    output: Annotated[Path | None, typer.Option(help="Where the answers to --input go, as JSONL.")] = None,
    parallel: Annotated[int, typer.Option(min=1, help="Questions of --input at work at once.")] = 64,
    sets: Sets = [],
    choose: Choose = [],
    form: From = "",
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other samples.")] = 0,
    budget: Annotated[
        list[str], typer.Option("--budget", metavar="WHAT=N", help="A limit for all questions together: `calls=1000`.")
    ] = [],
    journal: Annotated[Path | None, typer.Option(help="Where paid calls are kept.")] = None,
    no_journal: Annotated[bool, typer.Option("--no-journal", help="Keep nothing and reuse nothing.")] = False,
    trace: Annotated[Path | None, typer.Option(help="Append every event to this file as JSONL.")] = None,
    otel: Annotated[
        bool, typer.Option("--otel", help="Send spans and metrics over OTLP, as the OTEL_* variables say.")
    ] = False,
    skip: Skip = [],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the answer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a spec: on one question, or on many from a file.

    Calls that were paid for before are served from the journal: the same command again costs nothing.
    """
    if bool(question) == bool(input) or bool(input) != bool(output):
        raise typer.BadParameter("give either a QUESTION, or --input and --output")
    plan = api.compile(api.read(spec, form), overrides=sets, choices=chosen(choose), skip=skip)
    console = Console(stderr=True, quiet=quiet or as_json, highlight=False)
    if plan.warnings and not (quiet or as_json):
        show(plan.warnings, as_json=False)
    kept = None if no_journal else journal or api.default_journal()
    limit = budget_of(budget)
    if input and output:
        screen: BatchScreen | QuestionScreen = BatchScreen(sum(1 for _ in read_items(input)), console, limit)
    else:
        screen = QuestionScreen(plan, console, limit)
    with ExitStack() as opened:
        listeners: list[Listener] = [screen]
        if trace:
            file = JsonlFile(trace)
            opened.callback(_closed, file)
            listeners.append(file)
        if otel:
            delivery = Delivery()
            opened.callback(_delivered, delivery, quiet)
            listeners.append(delivery.listener)
        question = standard_input() if question == "-" else question
        name = run_key(plan, seed)
        about = str(output.resolve()) if output else question
        session = api.session(
            plan,
            seed=seed,
            journal=kept,
            budget=limit,
            listeners=listeners,
            name=sha256(f"{name} {about}".encode("utf-8", "surrogatepass")).hexdigest(),
        )
        if isinstance(screen, BatchScreen):
            assert input
            assert output
            written = Output(output, name)
            opened.callback(written.close)
            screen.skipped(sum(item.id in written.done for item in read_items(input)))
            code = _many(session, read_items(input), written, parallel, screen, as_json)
        else:
            code = _one(session, question, screen, as_json)
    raise typer.Exit(code)


def _delivered(delivery: Delivery, quiet: bool) -> None:
    """Says what was lost: the answers are there, so that it changes nothing else."""
    lost = delivery.close()
    if lost and not quiet:
        show([lost], as_json=False)


def _one(session: Session, question: str, screen: QuestionScreen, as_json: bool) -> int:
    async def answer() -> Run:
        with fetching(screen.console):
            async with session:
                tell_past(session, screen.console)
                with screen:
                    run = await to_its_end(session.answer(question), session, screen.console)
                if run.status == "ok":
                    await session.end()
                return run

    run = run_loop(answer())
    if as_json:
        print(shown(json.dumps(run.as_json(), ensure_ascii=False)))
        return _code(run)
    screen.console.print(cost_table(screen.plan, run.nodes))
    for line in filter(None, map(note_line, run.notes)):
        screen.console.print(shown(line), markup=False, soft_wrap=True)
    if run.exhausted:
        screen.console.print(f"a budget ended the run: {run.exhausted}", markup=False, soft_wrap=True)
    if session.run:
        screen.console.print(f"run {session.run}", markup=False, soft_wrap=True)
    if run.error:
        show([run.error], as_json=False)
    if run.answer is not None:
        print(shown(run.answer))
    return _code(run)


def _closed(trace: JsonlFile) -> None:
    trace.close()
    if trace.trouble:
        show([trace.trouble], as_json=False)


def _code(run: Run) -> int:
    return {"ok": OK, "failed": FAILED, "exhausted": EXHAUSTED, "stopped": INTERRUPTED}[run.status]


def _many(
    session: Session, items: Iterator[Item], output: Output, parallel: int, screen: BatchScreen, as_json: bool
) -> int:
    async def answers() -> Summary:
        with fetching(screen.console):
            async with session:
                tell_past(session, screen.console)
                with screen:
                    work = run_batch(session, items, output, parallel, screen.finished)
                    summary = await to_its_end(work, session, screen.console)
                if not (summary.failed or summary.exhausted or session.stopped):
                    await session.end()
                return summary

    summary = run_loop(answers())
    spent = screen.pulse.spent
    if as_json:
        print(json.dumps({**asdict(summary), "calls": spent.calls, "tokens": spent.tokens}))
    else:
        screen.console.print(
            f"{summary.done} answered, {summary.skipped} had been before, {summary.failed} failed, "
            f"{summary.exhausted} ended by a budget; {spent.calls:,} calls, {spent.tokens:,} tokens",
            soft_wrap=True,
        )
        if session.run:
            screen.console.print(f"run {session.run}", markup=False, soft_wrap=True)
    if session.stopped:
        return INTERRUPTED
    return EXHAUSTED if summary.exhausted else FAILED if summary.failed else OK
