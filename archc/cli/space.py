"""List the choices of a spec, count its points, and draw some."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence

import typer

from archc import api
from archc.cli._options import AsJson, Choose, From, Sets, SpecPath, chosen
from archc.diagnostics import printable
from archc.spec.space.hole import Hole, assignment
from archc.spec.space.points import Space

app = typer.Typer()


@app.command("space")
def list_space(
    spec: SpecPath,
    sets: Sets = [],
    choose: Choose = [],
    form: From = "",
    listed: int = typer.Option(0, "--list", min=0, metavar="N", help="Print the first N points, one a line."),
    sampled: int = typer.Option(0, "--sample", min=0, metavar="N", help="Print N random points, one a line."),
    seed: int = typer.Option(0, "--seed", help="Of the random points."),
    as_json: AsJson = False,
) -> None:
    """List the choices of a spec, count its points, and draw some."""
    space = api.space(api.read(spec, form), overrides=sets, choices=chosen(choose))
    rng = random.Random(seed)
    points = [*itertools.islice(space.valid(), listed)] if listed else []
    points += [space.sample(rng) for _ in range(sampled)]
    if as_json:
        page = {"choices": [h.as_json() for h in space.holes], "raw": space.raw, "valid": space.count()}
        print(json.dumps(page | {"points": points}, ensure_ascii=False))
    elif listed or sampled:
        for point in points:
            print(printable(" ".join(assignment(path, value) for path, value in point.items())))
    else:
        _print(printable(str(spec)), space)


def _print(name: str, space: Space) -> None:
    choices = "1 choice" if len(space.holes) == 1 else f"{len(space.holes):,} choices"
    print(f"{name}: {choices}, {_counted(space)}")
    rows = [(hole.path, printable(hole.offer()), _under(hole, space.holes)) for hole in space.holes]
    wide = [max((len(row[i]) for row in rows), default=0) for i in (0, 1)]
    for path, offer, under in rows:
        print(f"    {path:<{wide[0]}}  {offer:<{wide[1]}}  {under}".rstrip())


def _counted(space: Space) -> str:
    if space.raw is None:
        return "points without end"
    points = "1 point" if space.raw == 1 else f"{space.raw:,} points"
    if not space.requirements:
        return points
    count = space.count()
    return f"{points}, {'too many to count' if count is None else f'{count:,}'} of them valid"


def _under(hole: Hole, known: Sequence[Hole]) -> str:
    if not hole.under:
        return ""
    path, option = hole.under[-1]
    return f"where {path}={next(h for h in known if h.path == path).label(option)}"
