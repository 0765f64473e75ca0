"""Explain a spec: its graph, what the optimiser does, and what it will cost; or a diagnostic by name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import typer

from archc import api, catalogue, errors
from archc.cli._ending import show
from archc.cli._options import AsJson, Choose, From, QuestionTokens, Sets, Skip, chosen
from archc.diagnostics import SpecError, did_you_mean
from archc.planning.plan import QUESTION_TOKENS

app = typer.Typer()


@app.command()
def explain(
    spec: str = typer.Argument(help="A spec, or the name of a diagnostic such as `unread-critique`.", metavar="SPEC"),
    sets: Sets = [],
    choose: Choose = [],
    form: From = "",
    question_tokens: QuestionTokens = QUESTION_TOKENS,
    skip: Skip = [],
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
    if as_json:
        expected = api.predicted(plan)
        told = {"predicted": expected.as_json()} if expected else {}
        print(json.dumps({**plan.as_json(), **told}, ensure_ascii=False))
        return
    if plan.warnings:
        show(plan.warnings, as_json=False)
    print(api.explain(plan))
