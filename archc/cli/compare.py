"""Compare two runs of a task, item by item: which is better, by how much, and for what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from archc.bench.compare import Comparison
from archc.bench.compare import compare as compared
from archc.bench.folder import read_folder
from archc.bench.metrics.intervals import Estimate
from archc.bench.summary import percent
from archc.cli._options import AsJson
from archc.cli._working import shown

app = typer.Typer()

_LISTED = 20
"""Flipped items that are named without `--json`."""


@app.command()
def compare(
    one: Annotated[Path, typer.Argument(help="The folder of a run of `archc bench`.", metavar="A")],
    other: Annotated[Path, typer.Argument(help="The one to compare with it.", metavar="B")],
    as_json: AsJson = False,
) -> None:
    """Compare two runs of a task, item by item: which is better, by how much, and for what.

    Differences are those of B against A, on the items that both answered.
    """
    result = compared(read_folder(one), read_folder(other))
    if as_json:
        print(json.dumps(result.as_json(), ensure_ascii=False))
    else:
        print(shown("\n".join(lines(result))))


def lines(result: Comparison) -> list[str]:
    """A comparison for people."""
    width = max(len("difference"), *map(len, result.names))
    rows = []
    for index, name in enumerate(result.names):
        usd = f", {result.usd[index]:.4f} USD" if any(result.usd) else ""
        cost = f"{result.calls[index]:,.1f} calls, {result.tokens[index]:,.0f} tokens{usd} an item"
        rows.append(f"{name:<{width}}  {percent(result.accuracy[index]):<22}  {cost}")
    chance = _chance(result.p)
    rows.append(f"{'difference':<{width}}  {_points(result.difference)}, {chance} (McNemar), {result.items} items")
    if result.score and result.score_p is not None:
        rows.append(f"{'score':<{width}}  {_points(result.score)}, {_chance(result.score_p)} (sign test)")
    if result.left_out:
        rows.append(f"{result.left_out} items that only one of them answered are left out")
    rows += [
        "",
        f"{'':14}B right  B wrong",
        f"{'A right':<10}{result.both:>11}{len(result.losses):>9}",
        f"{'A wrong':<10}{len(result.wins):>11}{result.neither:>9}",
        "",
        result.verdict,
    ]
    for word, flipped in (("won", result.wins), ("lost", result.losses)):
        if flipped:
            more = f" and {len(flipped) - _LISTED} more" if len(flipped) > _LISTED else ""
            rows.append(f"{word}: {', '.join(flipped[:_LISTED])}{more}")
    return rows


def _chance(p: float) -> str:
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def _points(share: Estimate) -> str:
    return f"{100 * share.value:+.1f} points [{100 * share.low:+.1f}, {100 * share.high:+.1f}]"
