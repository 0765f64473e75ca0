"""Say which API key may go to which server."""

from __future__ import annotations

import json
import os

import typer

from archc import keys
from archc.cli._options import AsJson

app = typer.Typer(no_args_is_help=True, help="Say which API key may go to which server.")


@app.command("bind")
def bind(host: str, variable: str) -> None:
    """Let the key in the environment variable VARIABLE, or in `keyring:SERVICE/USER`, be sent to HOST."""
    path = keys.bind(host, variable, os.environ)
    print(f"bound {host} to {variable} in {path}")


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the bindings: the well-known ones and yours. Values are never shown."""
    bound = keys.bindings(os.environ)
    if as_json:
        print(json.dumps({host: {"variable": v, "set": _is_set(v)} for host, v in sorted(bound.items())}))
        return
    for host, variable in sorted(bound.items()):
        print(f"{host:<36} {variable:<24} {'set' if _is_set(variable) else 'not set'}")


def _is_set(variable: str) -> bool:
    """Whether there is a key. A keyring is not opened: that may ask for a password."""
    return variable in os.environ or variable.startswith(keys.KEYRING)
