"""The command line: one command a file. A command's module is imported only when that command runs."""

from __future__ import annotations

import ast
import gc
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

import archc

_FOLDER = Path(__file__).parent


class _Commands(TyperGroup):
    """Finds commands by listing this folder; their first docstring line is their help, read without importing."""

    listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(p.stem for p in _FOLDER.glob("*.py") if not p.stem.startswith("_"))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        if self.listing:
            text = ast.get_docstring(ast.parse((_FOLDER / f"{cmd_name}.py").read_text(encoding="utf-8"))) or ""
            return TyperCommand(cmd_name, help=text.split("\n", 1)[0])
        module = import_module(f"{__name__}.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.listing = True
        super().format_help(ctx, formatter)
        self.listing = False


app = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"archc {archc.__version__}")
        raise typer.Exit


@app.callback()
def _door(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Build, price and run inference-time architectures."""


def main(args: list[str] | None = None) -> None:
    """The program. Exit codes: 0 ok, 1 the run failed, 2 wrong input, 3 a budget ended it, 70 a bug, 130 Ctrl-C."""
    gc.set_threshold(100_000)  # compiling makes many values and throws few away, so that looking for garbage is in vain
    words = sys.argv[1:] if args is None else args
    if words and not words[0].startswith("-"):
        ending = import_module("archc.cli._ending")
        sys.exit(ending.guarded(lambda: app(words, standalone_mode=False), "--json" in words))
    app(words)
