"""Goldens: tests/cases/*.case, text in and text out. `pytest --update-cases` rewrites them; read the difference.

A file holds cases, each headed by `[case NAME] OPTIONS` and made of stations:

    [spec]       what the user wrote, as the file spec.yaml
    [arch]       the same in the other form, as the file spec.arch
    [error]      what `archc check` prints, if the spec is wrong
    [warnings]   what it prints beside, if the spec is right; without this station there must be none
    [graph]      what the spec means
    [optimised]  the graph after all passes
    [plan]       what `archc explain` prints

Options: `--set PATH=VALUE`, `--choose PATH=VALUE`, `--env NAME=VALUE`, `--no-newline` (the last line has no end),
`--crlf`.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from archc import api
from archc.diagnostics import Diagnostic, SpecError, render_all
from archc.ir.show import show
from archc.source import Source

CASES = Path(__file__).parent / "cases"
STATIONS = ("spec", "arch", "error", "warnings", "graph", "optimised", "plan")

OPTIONS = argparse.ArgumentParser(exit_on_error=False)
OPTIONS.add_argument("--set", action="append", default=[])
OPTIONS.add_argument("--choose", action="append", default=[])
OPTIONS.add_argument("--env", action="append", default=[])
OPTIONS.add_argument("--no-newline", action="store_true")
OPTIONS.add_argument("--crlf", action="store_true")


@dataclass(frozen=True)
class Case:
    """One case as written."""

    name: str
    options: str
    stations: dict[str, str]

    def __str__(self) -> str:
        head = f"[case {self.name}] {self.options}".rstrip()
        return "\n".join([head, *(f"[{name}]\n{text}" for name, text in self.stations.items())])

    def now(self) -> dict[str, str]:
        """Its stations as archc gives them now."""
        given = OPTIONS.parse_args(shlex.split(self.options))
        form = "arch" if "arch" in self.stations else "spec"
        text = self.stations[form] + ("" if given.no_newline else "\n")
        name = "spec.arch" if form == "arch" else "spec.yaml"
        source = Source(name, text.replace("\n", "\r\n") if given.crlf else text)
        environ = {"ARCHC_CONFIG": str(CASES / "no-config.toml")} | dict(e.split("=", 1) for e in given.env)
        choices = dict(c.split("=", 1) for c in given.choose)
        made = {form: self.stations[form]}
        try:
            graph = api.lower(api.parse(source, given.set, choices), environ)
            plan = api.compile(source, overrides=given.set, choices=choices, environ=environ)
        except SpecError as error:
            return made | {"error": rendered(error.diagnostics)}
        if plan.warnings:
            made["warnings"] = rendered(plan.warnings)
        later = {"graph": show(graph), "optimised": show(plan.graph), "plan": api.explain(plan)}
        return made | {name: text for name, text in later.items() if name in self.stations}


def rendered(diagnostics: Sequence[Diagnostic]) -> str:
    """What the command line prints, without the blanks that editors cut."""
    return re.sub(r" +$", "", render_all(diagnostics), flags=re.MULTILINE)


def read_cases(path: Path) -> list[Case]:
    """The cases of a file."""
    cases = []
    for piece in re.split(r"^\[case ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, body = piece.partition("\n")
        name, _, options = head.partition("]")
        parts = re.split(rf"^\[({'|'.join(STATIONS)})\]\n", body, flags=re.MULTILINE)[1:]
        stations = {key: text.rstrip("\n") for key, text in zip(parts[::2], parts[1::2], strict=True)}
        cases.append(Case(name, options.strip(), stations))
    return cases


FILES = sorted(CASES.glob("*.case"))
ALL = [pytest.param(case, id=f"{path.stem}: {case.name}") for path in FILES for case in read_cases(path)]


@pytest.mark.parametrize("case", ALL)
def test_case(case: Case, pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--update-cases"):
        pytest.skip("the cases are rewritten")

    assert case.now() == case.stations


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cases_are_written_in_their_form(path: Path, pytestconfig: pytest.Config) -> None:
    cases = read_cases(path)
    text = "\n\n\n".join(map(str, cases)) + "\n"
    if pytestconfig.getoption("--update-cases"):
        updated = [Case(case.name, case.options, case.now()) for case in cases]
        path.write_text("\n\n\n".join(map(str, updated)) + "\n", encoding="utf-8")
        return

    assert path.read_text(encoding="utf-8") == text
    assert len({case.name for case in cases}) == len(cases)
