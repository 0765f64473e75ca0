"""Write a run as one HTML file: what it came to, what it cost, and all that was said."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from archc import api, errors
from archc.cli._files import replace_file
from archc.cli._working import run_loop, shown
from archc.diagnostics import SpecError
from archc.exporters.recorded import Recording, read_trace
from archc.report.bench import bench_report
from archc.report.run import run_report, trace_report
from archc.report.search import search_report
from archc.searching.folder import LEADERBOARD

app = typer.Typer()


@app.command()
def report(
    run: Annotated[
        str,
        typer.Argument(
            help="A folder of `archc bench` or `archc search`, a trace, or the id of a run of the journal.",
            metavar="RUN",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("report.html"),
    trace: Annotated[
        Path | None, typer.Option(help="The trace that was written meanwhile: it tells when calls were made.")
    ] = None,
    journal: Annotated[Path | None, typer.Option(help="The journal that the run wrote.")] = None,
) -> None:
    """Write a run as one HTML file: what it came to, what it cost, and all that was said.

    The file needs nothing from elsewhere. The journal tells what was said; no model is asked.
    """
    sessions: tuple[Recording, ...] = read_trace(trace).sessions if trace else ()
    path = Path(run)
    if (path / LEADERBOARD).is_file():
        text = search_report(path)
    elif path.is_dir():
        text = run_loop(bench_report(path, sessions, journal))
    elif path.is_file():
        text = run_loop(trace_report(read_trace(path), journal))
    elif path.suffix or len(path.parts) > 1:  # no id of a run
        raise SpecError(errors.NoSuchFile(path=run, problem="there is no such file or folder"))
    else:
        text = run_loop(run_report(run, journal or api.default_journal(), sessions))
    replace_file(output, text)
    size = f"{len(text) / 1e6:,.1f} MB" if len(text) >= 1e5 else f"{len(text) / 1e3:,.0f} kB"
    Console(stderr=True, highlight=False).print(shown(f"wrote {output} ({size})"), markup=False, soft_wrap=True)
