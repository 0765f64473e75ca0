"""Ask a server what it can do: models, context, samples per request, log-probabilities, schemas, its prefix cache."""

from __future__ import annotations

import json
import os
from typing import Any

import typer

from archc import api, errors
from archc.address import Address
from archc.backends.probe import FEATURES, Known, probe
from archc.cli._options import AsJson
from archc.cli._working import shown
from archc.diagnostics import SpecError
from archc.keys import key_source

app = typer.Typer()


@app.command("probe")
def probe_command(
    url: str = typer.Argument(help="Its address, up to and without `/chat/completions`.", metavar="URL"),
    model: str = typer.Option("", help="Which of its models; the first one by default.", metavar="NAME"),
    routes_only: bool = typer.Option(False, "--routes-only", help="Only read what it publishes: not a token is spent."),
    as_json: AsJson = False,
) -> None:
    """Ask a server what it can do: models, context, samples per request, log-probabilities, schemas, its cache.

    What no route tells is tried with requests of a few tokens each. What is found is kept: `check`, `explain` and
    `run` go by it.
    """
    try:
        address = Address.parse(url)
    except ValueError as error:
        raise SpecError(errors.UnreachableServer(url=url, reason=str(error))) from None
    key = key_source(os.environ)(address.place, None) or ""
    known, model = api.run_loop(probe(str(address), model, key, ask=not routes_only))
    if as_json:
        facts = {"models": known.models, "context": known.context, "features": dict(known.features)}
        told = {"server": known.server, "version": known.version, "model": model, **facts, "asked": known.asked}
        print(json.dumps({"ok": True, **told}))
    else:
        _print(known, model)


def _print(known: Known, model: str) -> None:
    print(shown(f"server: {known.server} {known.version}".rstrip()))
    print(shown(f"model: {model or '-'}{f' (of {len(known.models)})' if len(known.models) > 1 else ''}"))
    print(f"context: {f'{known.context:,} tokens' if known.context else 'not known'}")
    for name, feature in FEATURES.items():
        print(f"    {_word(known.features.get(name)):<10} {name:<16} {feature.about}")


def _word(can: Any) -> str:
    return {True: "yes", False: "no"}.get(can, "not known")
