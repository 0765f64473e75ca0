"""Start the servers that a spec's models ask for, watch them, and stop them at the end."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import time

import typer
from rich.console import Console

from archc import api, errors
from archc.backends.probe import folder
from archc.cli._options import Sets, SpecPath
from archc.cli._working import shown
from archc.diagnostics import RunError
from archc.fleet.servers import COMMAND, FIRST_PORT, Server, Servers, servers
from archc.fleet.watch import Watched

app = typer.Typer()


@app.command()
def up(
    spec: SpecPath,
    more: list[str] = typer.Argument(None, help="Words to add to each command, after `--`.", metavar="-- WORDS"),
    sets: Sets = [],
    command: str = typer.Option(
        COMMAND, help="What starts a server, with {model}, {name}, {host}, {port} and {flags}."
    ),
    gpus: str = typer.Option("", help="Which GPUs to give away, such as 0,1; all of them by default."),
    port: int = typer.Option(FIRST_PORT, min=1, max=65535, help="The first port for variables that are not set."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only print what would be started."),
) -> int:
    """Start the servers that a spec's models ask for, watch them, and stop them at the end.

    A model asks with `serve: {}` in its entry. When all are well, the variables by which the spec finds them are
    printed; one that crashes is started again. Ctrl-C stops them all.
    """
    given = [one.strip() for one in gpus.split(",")] if gpus else None
    wanted = servers(
        api.read(spec), os.environ, overrides=sets, command=command, extra=more or [], gpus=given, port=port
    )
    if dry_run:
        for one in wanted.servers:
            print(shown(one.line))
        _print_variables(wanted)
        return 0
    return api.run_loop(_up(wanted, Console(stderr=True)))


async def _up(wanted: Servers, console: Console) -> int:
    def tell(server: Server, what: str) -> None:
        console.print(shown(f"{server.name}: {what}"), markup=False, highlight=False, soft_wrap=True)

    logs = folder().parent / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(errors.NotWritable(path=str(logs), problem=error.strerror or str(error))) from None
    watched = [
        Watched(one, logs / f"{one.name}.log", os.environ, tell, time.monotonic, asyncio.sleep)
        for one in wanted.servers
    ]
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stopping.set)
    running = [asyncio.ensure_future(one.run()) for one in watched]
    ready = asyncio.ensure_future(_ready(watched, wanted))
    ending = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait([*running, ending], return_when=asyncio.FIRST_COMPLETED)
        if stopping.is_set():
            console.print("stopping all servers", markup=False, highlight=False)
    finally:
        for task in (*running, ready, ending):
            task.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
    if failed := [e for e in ended if isinstance(e, Exception)]:
        raise failed[0]
    return 0  # this is how it is meant to end


async def _ready(watched: list[Watched], wanted: Servers) -> None:
    await asyncio.gather(*(one.well.wait() for one in watched))
    _print_variables(wanted)
    print("# all servers are well", flush=True)


def _print_variables(wanted: Servers) -> None:
    for name, value in wanted.variables.items():
        print(f"export {name}={shlex.quote(value)}", flush=True)
