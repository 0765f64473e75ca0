"""Check a spec: everything that is wrong with it, without a call."""

from __future__ import annotations

import json

import typer

from archc import api
from archc.cli._ending import show
from archc.cli._options import AsJson, Choose, Sets, SpecPath, chosen
from archc.diagnostics import printable

app = typer.Typer()


@app.command()
def check(spec: SpecPath, sets: Sets = [], choose: Choose = [], as_json: AsJson = False) -> None:
    """Check a spec: everything that is wrong with it, without a call."""
    plan = api.compile(spec, overrides=sets, choices=chosen(choose))
    if as_json:
        print(json.dumps({"ok": True, "diagnostics": [w.as_json() for w in plan.warnings]}, ensure_ascii=False))
        return
    if plan.warnings:
        show(plan.warnings, as_json=False)
    warned = f", {_counted(len(plan.warnings), 'warning')}" if plan.warnings else ""
    calls = "1 call" if str(plan.cost.calls) == "1" else f"{plan.cost.calls} calls"
    print(f"{printable(str(spec))}: ok, {_counted(len(plan.graph.nodes), 'step')}, {calls}{warned}")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
