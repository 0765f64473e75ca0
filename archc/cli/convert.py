"""Convert a spec from one form to the other, with its comments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from archc import api
from archc.cli._files import replace_file
from archc.cli._options import SpecPath

app = typer.Typer()


@app.command()
def convert(
    spec: SpecPath,
    to: Annotated[Literal["yaml", "arch"], typer.Option(help="The form to write.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write, in place of printing.")
    ] = None,
) -> None:
    """Convert a spec from one form to the other, with its comments."""
    text = api.write_document(api.read_document(spec), to)
    if output:
        replace_file(output, text)
    else:
        sys.stdout.write(text)
