"""Tell a run again from the journal alone: no model, no server, the same answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from archc import api
from archc.cli._ending import FAILED, OK
from archc.cli._options import AsJson

app = typer.Typer()


@app.command()
def replay(
    run: Annotated[str, typer.Argument(help="The run's id, or its begin; `archc run` says it at its end.")],
    journal: Annotated[Path | None, typer.Option(help="The journal that the run wrote.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell a run again from the journal alone: no model, no server, the same answers.

    Prints each answer, and says whether the run came to the same as it did then.
    """
    console = Console(stderr=True, quiet=as_json, highlight=False)

    async def tell() -> dict[bool | None, int]:
        counts: dict[bool | None, int] = {True: 0, False: 0, None: 0}
        async for told, is_same in api.replay(run, journal):
            counts[is_same] += 1
            content = {"id": told.id, "status": told.status, "answer": told.answer, "same": is_same}
            print(json.dumps(content) if as_json else told.answer or "")
        return counts

    counts = api.run_loop(tell())
    ended = counts[True] + counts[False]
    open_ones = f"; {counts[None]} had not ended" if counts[None] else ""
    console.print(f"{counts[True]} of {ended} came to the same as then{open_ones}")
    raise typer.Exit(FAILED if counts[False] else OK)
