"""Look after the journal of paid calls: what it holds, whether it is whole, old things, other machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from archc import api, errors
from archc.cli._ending import FAILED, OK
from archc.cli._options import AsJson
from archc.diagnostics import SpecError
from archc.runtime import upkeep
from archc.runtime.journal import opened
from archc.runtime.store import Store

app = typer.Typer(no_args_is_help=True, help="Look after the journal of paid calls.")

Where = Annotated[Path | None, typer.Option("--journal", help="Another one than the usual.")]


@contextmanager
def _store(journal: Path | None) -> Iterator[Store]:
    path = journal or api.default_journal()
    if not path.exists():
        raise SpecError(errors.BadJournal(path=str(path), problem="there is none yet"))
    with opened(path) as store:
        yield store


@app.command()
def stats(journal: Where = None, as_json: AsJson = False) -> None:
    """What it holds, by model and by run, and what was spent."""
    with _store(journal) as store:
        found = upkeep.stats(store)
    if as_json:
        print(json.dumps(found))
        return
    held = f"{found['samples']:,} samples, {found['executions']:,} executions"
    print(f"{found['path']}: {held}, {found['bytes'] / 2**20:,.1f} MiB")
    _print([{"model": m["model"], "samples": m["samples"], "bytes": m["bytes"]} for m in found["models"]])
    _print(
        [{"attempts": state, "number": spent.pop("attempts"), **spent} for state, spent in found["attempts"].items()]
    )
    _print(found["runs"][:20])


@app.command()
def doubts(journal: Where = None, as_json: AsJson = False) -> None:
    """The attempts of which nobody knows whether they were paid for; they count in full."""
    with _store(journal) as store:
        found = upkeep.doubts(store)
    if as_json:
        print(json.dumps(found))
    else:
        _print(found)


@app.command()
def verify(journal: Where = None, as_json: AsJson = False) -> None:
    """Read everything and say what is damaged; exit code 1 if anything is."""
    with _store(journal) as store:
        health = upkeep.verify(store)
    if as_json:
        print(json.dumps(asdict(health)))
    else:
        for problem in health.problems:
            print(problem)
        for key in health.damaged:
            print(f"damaged: {key}")
        print(
            f"{health.samples:,} samples, {health.executions:,} executions, {len(health.damaged):,} damaged; "
            "`gc` removes these, and they count as not there"
        )
    raise typer.Exit(FAILED if health.damaged or health.problems else OK)


@app.command()
def gc(
    days: Annotated[float, typer.Option(min=0, help="Keep what is younger.")] = 90,
    journal: Where = None,
    as_json: AsJson = False,
) -> None:
    """Remove what is old or damaged, and give the space back."""
    with _store(journal) as store:
        removed = upkeep.collect(store, days)
    print(json.dumps(removed) if as_json else "removed: " + ", ".join(f"{n:,} {what}" for what, n in removed.items()))


@app.command("export")
def export(
    output: Annotated[Path, typer.Argument(help="JSONL; holds questions and answers, so it is for its owner only.")],
    journal: Where = None,
) -> None:
    """Write samples and runs to a file that another machine can import."""
    with _store(journal) as store:
        try:
            output.touch(mode=0o600)
            with output.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in upkeep.exported(store))
        except OSError as error:
            raise SpecError(errors.NotWritable(path=str(output), problem=error.strerror or str(error))) from None


@app.command("import")
def take_in(
    input: Annotated[Path, typer.Argument(help="What `archc cache export` wrote.")],
    journal: Where = None,
    as_json: AsJson = False,
) -> None:
    """Take in the samples and runs of an exported journal; what is here already stays."""
    with opened(journal or api.default_journal()) as store:
        try:
            with input.open(encoding="utf-8") as lines:
                new = upkeep.imported(store, lines)
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(errors.NoSuchFile(path=str(input), problem=str(error))) from None
        except ValueError as error:
            raise SpecError(errors.NotAJournal(path=str(input), problem=str(error))) from None
    print(json.dumps(new) if as_json else "new: " + ", ".join(f"{n:,} {what}" for what, n in new.items()))


_WIDE = 1000


def _print(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)  # nothing is cut for whoever reads it by a program
    table = Table(*rows[0], box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    console.print(table, markup=False)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if isinstance(value, float) else str(value)
