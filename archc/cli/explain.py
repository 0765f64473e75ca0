"""Explain a spec: its graph, what the optimiser does, and what it will cost; or a diagnostic by name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import typer

from archc import api, errors
from archc.cli._ending import show
from archc.cli._options import AsJson, Choose, QuestionTokens, Sets, Skip, chosen
from archc.diagnostics import Diagnostic, SpecError, did_you_mean, kebab
from archc.planning.plan import QUESTION_TOKENS

app = typer.Typer()


@app.command()
def explain(
    spec: str = typer.Argument(help="A spec, or the name of a diagnostic such as `unread-critique`.", metavar="SPEC"),
    sets: Sets = [],
    choose: Choose = [],
    question_tokens: QuestionTokens = QUESTION_TOKENS,
    skip: Skip = [],
    as_json: AsJson = False,
) -> None:
    """Explain a spec: its graph, what the optimiser does, and what it will cost; or a diagnostic by name."""
    kinds = {kebab(k.__name__): k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Diagnostic)}
    if spec in kinds and not Path(spec).exists():
        _explain_diagnostic(spec, kinds[spec], as_json)
        return
    if re.fullmatch(r"[a-z]+(-[a-z]+)*", spec) and not Path(spec).exists():
        near = did_you_mean(spec, kinds)
        hint = near if near.startswith("did") else "give the path of a spec, such as specs/quickstart.yaml"
        raise SpecError(errors.UnknownDiagnostic(word=spec, hint=hint))
    plan = api.compile(spec, overrides=sets, choices=chosen(choose), question_tokens=question_tokens, skip=skip)
    if as_json:
        print(json.dumps(plan.as_json(), ensure_ascii=False))
        return
    if plan.warnings:
        show(plan.warnings, as_json=False)
    print(api.explain(plan))


def _explain_diagnostic(name: str, kind: type[Diagnostic], as_json: bool) -> None:
    page = {
        "name": name,
        "severity": kind.severity,
        "about": " ".join((kind.__doc__ or "").split()),
        "message": _in_general(kind.title),
        "help": "" if kind.help == "{hint}" else _in_general(kind.help),
    }
    if as_json:
        print(json.dumps(page, ensure_ascii=False))
        return
    print(f"{page['severity']}[{name}]: {page['message']}\n\n{page['about']}")
    if page["help"]:
        print(f"What to do: {page['help']}")


class _Anything(dict[str, Any]):
    """Stands for the values that a template will be filled with."""

    def __missing__(self, key: str) -> _Anything:
        return self

    def __format__(self, how: str) -> str:
        return "…"


def _in_general(template: str) -> str:
    return template.format_map(_Anything())
