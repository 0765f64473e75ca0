"""Convert a spec from one form to another, with its comments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from archc import api
from archc.cli._ending import show
from archc.cli._files import replace_file, standard_input
from archc.cli._options import From
from archc.diagnostics import SpecError
from archc.source import Source

app = typer.Typer()

_SAID = ("optillm", "moa")
"""Forms of a few words, which stand in the command line themselves."""


@app.command()
def convert(
    spec: Annotated[
        str,
        typer.Argument(
            help="The spec; `-` is standard input; with `--from optillm` or `moa` their text.", metavar="SPEC"
        ),
    ],
    to: Annotated[str, typer.Option(metavar="FORM", help="The form to write: yaml, arch or archon.")],
    form: From = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write, in place of printing.")
    ] = None,
) -> None:
    """Convert a spec from one form to another, with its comments.

    From Archon's configs (`.json`), an optillm approach (`--from optillm "moa&bon-gpt-4o"`) or the options of the
    Mixture-of-Agents script (`--from moa -- "--rounds 3 …"`), too.
    """
    source = _source(spec, form)
    document = api.read_document(source)
    if any(d.severity == "error" for d in document.found):
        raise SpecError(*document.found)
    if document.found:
        show(document.found, as_json=False)
    text = api.write_document(document, to)
    if output:
        replace_file(output, text)
    else:
        sys.stdout.write(text)


def _source(spec: str, form: str) -> Source:
    if form in _SAID:
        return Source(form, spec, form)
    return Source("-", standard_input(), form) if spec == "-" else api.read(spec, form)
