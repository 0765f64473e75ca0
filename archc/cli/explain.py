"""Explain a spec: its graph, what the optimiser does, and what it will cost; or a diagnostic by name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from archc import api, catalogue, errors
from archc.cli._ending import show
from archc.cli._options import AsJson, Choose, From, QuestionTokens, Sets, Skip, chosen
from archc.diagnostics import SpecError, did_you_mean
from archc.exporters.recorded import read_trace
from archc.planning.expected import expected
from archc.planning.learned import learned, together
from archc.planning.plan import QUESTION_TOKENS
from archc.planning.show_expected import show_expected

Trace = Annotated[
    Path | None,
    typer.Option(
        "--trace", help="What `run --trace` wrote: expect what was so far.", metavar="FILE", show_default=False
    ),
]

app = typer.Typer()


@app.command()
def explain(
    spec: str = typer.Argument(help="A spec, or the name of a diagnostic such as `unread-critique`.", metavar="SPEC"),
    sets: Sets = [],
    choose: Choose = [],
    form: From = "",
    question_tokens: QuestionTokens = QUESTION_TOKENS,
    skip: Skip = [],
    trace: Trace = None,
    as_json: AsJson = False,
) -> None:
    """Explain a spec: its graph, what the optimiser does, and what it will cost; or a diagnostic by name."""
    kinds = catalogue.kinds()
    if spec in kinds and not Path(spec).exists():
        page = catalogue.page(kinds[spec])
        print(json.dumps(page.as_json(), ensure_ascii=False) if as_json else page.as_text())
        return
    if re.fullmatch(r"[a-z]+(-[a-z]+)*", spec) and not Path(spec).exists():
        near = did_you_mean(spec, kinds)
        hint = near if near.startswith("did") else "give the path of a spec, such as specs/quickstart.yaml"
        raise SpecError(errors.UnknownDiagnostic(word=spec, hint=hint))
    plan = api.compile(
        api.read(spec, form), overrides=sets, choices=chosen(choose), question_tokens=question_tokens, skip=skip
    )
    seen = learned(session.events for session in read_trace(trace).sessions) if trace else ()
    if trace and not any(one.nodes.keys() & plan.graph.by_id.keys() for one in seen):
        raise SpecError(errors.ForeignTrace(path=str(trace), spec=spec))
    if as_json:
        also = {"expected": expected(plan, together(seen)).as_json()} if seen else {}
        if prediction := api.predicted(plan):
            also["predicted"] = prediction.as_json()
        print(json.dumps({**plan.as_json(), **also}, ensure_ascii=False))
        return
    if plan.warnings:
        show(plan.warnings, as_json=False)
    print(api.explain(plan))
    if seen:
        print(show_expected(plan, seen))
