"""Format specs: the canonical text, in place, with all comments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from archc import api
from archc.cli._ending import FAILED, OK
from archc.cli._files import replace_file, standard_input
from archc.cli._options import From
from archc.diagnostics import Diagnostic, SpecError, printable
from archc.source import Source

app = typer.Typer()


@app.command("fmt")
def format_specs(
    files: Annotated[list[str], typer.Argument(help="Specs in YAML or .arch; `-` is standard input.", metavar="FILES")],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; name the files that would change.")] = False,
    to_stdout: Annotated[bool, typer.Option("--stdout", help="Print the text in place of changing the file.")] = False,
    form: From = "",
) -> int:
    """Format specs: the canonical text, in place, with all comments."""
    found: list[Diagnostic] = []
    changed = 0
    for name in files:
        try:
            source = Source("-", standard_input(), form) if name == "-" else api.read(name, form)
            text = api.formatted(source)
        except SpecError as error:  # the other files are formatted all the same
            found += error.diagnostics
            continue
        if (to_stdout or name == "-") and not check:
            sys.stdout.write(text)
        elif text != source.text:
            changed += 1
            if not check:
                replace_file(Path(name), text)
            print(f"{'would change' if check else 'formatted'} {printable(name)}")
    if found:
        raise SpecError(*found)
    return FAILED if check and changed else OK
