"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SpecPath = Annotated[Path, typer.Argument(help="The spec to read.", metavar="SPEC", show_default=False)]
Sets = Annotated[
    list[str],
    typer.Option("--set", metavar="PATH=VALUE", help="Change the spec: `models.small.model=embedded`, `generate.n=8`."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
QuestionTokens = Annotated[int, typer.Option(min=1, help="The longest question to plan for, in tokens.")]
Skip = Annotated[list[str], typer.Option("--skip", metavar="PASS", help="Leave this optimisation pass out.")]
