"""Check a spec: everything that is wrong with it, without a call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import reduce

import typer

from archc import api
from archc.cli._ending import show
from archc.cli._options import AsJson, Choose, From, Sets, SpecPath, chosen
from archc.diagnostics import printable
from archc.values import Interval

app = typer.Typer()


@app.command()
def check(spec: SpecPath, sets: Sets = [], choose: Choose = [], form: From = "", as_json: AsJson = False) -> None:
    """Check a spec: everything that is wrong with it, without a call."""
    checked = api.check(api.read(spec, form), overrides=sets, choices=chosen(choose))
    if as_json:
        print(json.dumps({"ok": True, "diagnostics": [w.as_json() for w in checked.warnings]}, ensure_ascii=False))
        return
    if checked.warnings:
        show(checked.warnings, as_json=False)
    print(f"{printable(str(spec))}: ok, {', '.join(_facts(checked))}")


def _facts(checked: api.Checked) -> Iterator[str]:
    if checked.space:
        yield _counted(len(checked.space.holes), "choice")
        count = checked.space.count()
        yield "points without end" if count is None else _counted(count, "point")
        yield f"{len(checked.plans)} of them looked at"
    else:
        yield _counted(len(checked.plans[0].graph.every), "step")
    calls = reduce(Interval.hull, (plan.cost.calls for plan in checked.plans))
    yield "1 call" if str(calls) == "1" else f"{calls} calls"
    if checked.warnings:
        yield _counted(len(checked.warnings), "warning")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
