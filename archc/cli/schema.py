"""Print the JSON Schema of the YAML form, for editors."""

from __future__ import annotations

import json

import typer

from archc.schema import json_schema

app = typer.Typer()


@app.command()
def schema() -> None:
    """Print the JSON Schema of the YAML form, for editors."""
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
