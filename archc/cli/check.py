"""Check a spec: everything that is wrong with it, without a call."""

from __future__ import annotations

import json

import typer

from archc import api
from archc.cli._ending import show
from archc.cli._options import AsJson, Sets, SpecPath

app = typer.Typer()


@app.command()
def check(spec: SpecPath, sets: Sets = [], as_json: AsJson = False) -> None:  # noqa: B006
    """Check a spec: everything that is wrong with it, without a call."""
    plan = api.compile(spec, overrides=sets)
    if as_json:
        print(json.dumps({"ok": True, "diagnostics": [w.as_json() for w in plan.warnings]}, ensure_ascii=False))
        return
    if plan.warnings:
        show(plan.warnings, as_json=False)
    warned = f", {len(plan.warnings)} warnings" if plan.warnings else ""
    print(f"{spec}: ok, {len(plan.graph.nodes)} steps, {plan.cost.calls} calls{warned}")
