"""Show a recorded trace elsewhere: as a timeline for ui.perfetto.dev, or as spans over OpenTelemetry."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from archc.cli._ending import FAILED, OK, show
from archc.cli._files import replace_file
from archc.exporters.otel import deliver
from archc.exporters.perfetto import perfetto
from archc.exporters.recorded import read_trace

app = typer.Typer()


@app.command()
def trace(
    file: Annotated[Path, typer.Argument(help="What `archc run --trace` wrote.", metavar="FILE", show_default=False)],
    to: Annotated[Literal["perfetto", "otel"], typer.Option(help="Where it is to be seen.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write, in place of printing.")
    ] = None,
) -> None:
    """Show a recorded trace elsewhere: as a timeline for ui.perfetto.dev, or as spans over OpenTelemetry.

    Spans go over OTLP to where the OTEL_* variables say, by the conventions for generative AI; texts stay here.
    """
    if to == "otel" and output:
        raise typer.BadParameter("`--to otel` writes no file")
    recorded = read_trace(file)
    if recorded.torn:
        print(f"left out: {recorded.torn} lines that a kill has torn, or that are no events", file=sys.stderr)
    if to == "otel":
        lost = deliver(recorded.sessions, file.stat().st_mtime)
        if lost:
            show([lost], as_json=False)
        raise typer.Exit(FAILED if lost else OK)
    text = json.dumps(perfetto(recorded.sessions))
    if output:
        replace_file(output, text)
    else:
        sys.stdout.write(text + "\n")
