"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from archc import errors
from archc.diagnostics import SpecError

SpecPath = Annotated[Path, typer.Argument(help="The spec to read.", metavar="SPEC", show_default=False)]
Sets = Annotated[
    list[str],
    typer.Option("--set", metavar="PATH=VALUE", help="Change the spec: `models.small.model=embedded`, `generate.n=8`."),
]
Choose = Annotated[
    list[str],
    typer.Option("--choose", metavar="PATH=VALUE", help="Close a choice: `generate.n=4`; `archc space` lists them."),
]
From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="FORM",
        help="How it is written, where its name does not tell: yaml, arch, archon, archon-compat, optillm, moa.",
    ),
]
JudgedBy = Annotated[str, typer.Option(metavar="MODEL", help="Who compares answers: a model's entry, as in specs.")]
Versus = Annotated[
    Path | None, typer.Option(help="Answers to compare with: a run of the same task, or JSONL with id and answer.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
QuestionTokens = Annotated[int, typer.Option(min=1, help="The longest question to plan for, in tokens.")]
Skip = Annotated[list[str], typer.Option("--skip", metavar="PASS", help="Leave this optimisation pass out.")]


def chosen(texts: Iterable[str]) -> dict[str, str]:
    """What `--choose` says, by path."""
    split = [text.partition("=") for text in texts]
    if wrong := [path for path, equals, _ in split if not equals]:
        raise SpecError(*(errors.NoSuchChoice(path=path, hint="write `--choose PATH=VALUE`") for path in wrong))
    return {path.strip(): value.strip() for path, _, value in split}
