"""Measure how fast the models of a spec answer, so that explain can tell how long a question takes."""

from __future__ import annotations

import os
import time

import typer
from rich.console import Console

from archc import api, errors
from archc.backends.probe import folder
from archc.calls import CallError
from archc.cli._options import From, Sets, SpecPath
from archc.cli._working import fetching, shown
from archc.diagnostics import RunError, SpecError, did_you_mean
from archc.fleet.measure import MOST, Meter
from archc.ir.graph import Model
from archc.keys import key_source
from archc.planning import profile as profiles
from archc.runtime.engine import connect

app = typer.Typer()


@app.command("profile")
def profile_command(
    spec: SpecPath,
    model: str = typer.Argument("", help="One of its models; all that are asked by default.", show_default=False),
    sets: Sets = [],
    form: From = "",
    most: int = typer.Option(MOST, min=1, max=4096, help="Measure up to so many requests at once."),
    gpu_hour: float = typer.Option(0.0, min=0.0, help="What an hour of what serves it costs, in USD."),
) -> None:
    """Measure how fast the models of a spec answer, so that `explain` can tell how long a question takes.

    It asks each a few short questions, 1, 2, 4 … at once, and keeps what it finds. Nothing else should use the server
    meanwhile.
    """
    graph = api.compile(api.read(spec, form), overrides=sets).graph
    names = sorted(name for name in graph.asked if graph.model(name).capabilities.text)  # others write nothing
    if model and model not in names:
        raise SpecError(errors.UnknownModel(span=graph.nodes[0].span, model=model, hint=did_you_mean(model, names)))
    for name in [model] if model else names:
        api.run_loop(_measure(graph.model(name), most, gpu_hour or None))


async def _measure(model: Model, most: int, gpu_hour: float | None) -> None:
    console = Console(stderr=True)

    def tell(what: str) -> None:
        console.print(shown(f"{model.name}: {what}"), markup=False, highlight=False, soft_wrap=True)

    backend = connect(model, key_source(os.environ))
    try:
        with fetching(console):
            await backend.start()
        meter = Meter(backend, time.perf_counter, tell)
        found = await meter.profile(min(most, model.shared.concurrency), gpu_hour)
    except CallError as error:
        raise RunError(errors.NotMeasured(span=model.span, model=model.name, reason=error.failed.reason)) from None
    finally:
        await backend.close()
    try:
        profiles.keep(model, found, folder().parent)
    except OSError as error:
        raise RunError(errors.NotWritable(path=str(folder().parent), problem=error.strerror or str(error))) from None
    alone, knee, used = found.paces[0], found.knee, meter.used
    print(shown(f"{model.name}: alone {1 / alone.prompt_token:,.0f} tokens/s read, {1 / alone.token:,.1f} written"))
    print(f"    {knee.concurrency} at once keep it busy: {knee.concurrency / knee.token:,.0f} tokens/s written")
    print(f"    a prompt that it has in its cache is read in {1 - found.cache_gain:.0%} of the time")
    print(f"    measured with {used.prompt:,} prompt and {used.completion:,} completion tokens")
