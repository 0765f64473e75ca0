"""Tries the examples of the catalogue (`archc/errors/*.md`): what archc says to each.

A `yaml` or `arch` example is what `archc check` reads; `json`, `optillm` and `moa` are what the readers of these
formats read. A `console` example is a session at a prompt:

    $ cat spec.yaml           a file; the lines below it are its content
    $ export NAME=VALUE       and `unset NAME`
    $ mkdir NAME
    $ archc run spec.yaml     any command of archc

Options after `wrong` or `right`: `--also NAME` is another diagnostic that is said, `--to-archon` writes the spec as an
Archon config, `--compat` reads one with these semantics, `--lacking NAME` is something that the simulated backend
cannot do here, and `--not-run REASON` says why it is not tried.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from archc import lowering
from archc.backends.openai import OpenAI
from archc.backends.simulated import Simulated
from archc.calls import Completion, Request
from archc.catalogue import Example
from archc.cli import main
from archc.diagnostics import Diagnostic, SpecError, render_all
from archc.planning.plan import Plan, plan
from archc.source import Source
from archc.spec.foreign.archon import read_archon
from archc.spec.foreign.archon_export import write_archon
from archc.spec.foreign.moa import read_moa
from archc.spec.foreign.optillm import read_optillm
from archc.spec.located import Located
from archc.spec.reading import read_spec
from archc.spec.yaml import read_yaml

OPTIONS = argparse.ArgumentParser(exit_on_error=False)
OPTIONS.add_argument("--also", action="append", default=[])
OPTIONS.add_argument("--to-archon", action="store_true")
OPTIONS.add_argument("--compat", action="store_true")
OPTIONS.add_argument("--lacking", action="append", default=[])
OPTIONS.add_argument("--not-run", default="")


SPECS = ("yaml", "arch")
"""Languages of examples that are specs, and the ends of their names."""


def options(example: Example) -> argparse.Namespace:
    """What stands after `wrong` or `right`."""
    return OPTIONS.parse_args(shlex.split(example.options))


@dataclass
class Told:
    """What was said to an example."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    out: str = ""
    code: int = 0

    @property
    def text(self) -> str:
        """As a user sees it, without the blanks that editors cut."""
        return re.sub(r" +$", "", render_all(self.diagnostics), flags=re.MULTILINE)


class Prompt:
    """Where examples are tried: each in an empty folder, with no network and none of the user's settings."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys, self.said = folder, capsys, Told()
        self.patch = pytest.MonkeyPatch()

    def _begin(self) -> None:
        place = self.folder / str(len(list(self.folder.iterdir())))
        place.mkdir()
        self.patch.chdir(place)
        for name in [n for n in os.environ if n.endswith(("_API_KEY", "_BASE_URL")) or n.startswith("ARCHC_")]:
            self.patch.delenv(name)
        self.patch.setenv("ARCHC_CONFIG", "config.toml")
        self.patch.setenv("ARCHC_JOURNAL", "journal")
        self.patch.setattr("archc.cli._ending.render_all", self._noted)
        self.patch.setattr(OpenAI, "complete", _answered)
        self.patch.setitem(sys.modules, "keyring", None)
        Path("spec.yaml").write_text(_completed("pipeline:\n  - generate: {model: small, n: 4}\n"), encoding="utf-8")

    def _noted(self, diagnostics: Sequence[Diagnostic]) -> str:
        self.said.diagnostics += diagnostics
        return render_all(diagnostics)

    def __call__(self, example: Example, *words: str) -> Told:
        """What is said to it. `words` are added to each command of archc."""
        self.said = Told()
        with pytest.MonkeyPatch.context() as self.patch:
            self._begin()
            self._try(example, options(example), words)
        self.said.diagnostics = list(dict.fromkeys(self.said.diagnostics))
        return self.said

    def _try(self, example: Example, given: argparse.Namespace, words: Sequence[str]) -> None:
        if given.lacking:
            able = replace(Simulated.capabilities, **dict.fromkeys(given.lacking, False))
            self.patch.setattr(Simulated, "capabilities", able)
        if example.language in READERS or given.to_archon:
            reader = _exported if given.to_archon else READERS[example.language + ("-compat" if given.compat else "")]
            self.said.diagnostics = _read(reader, example)
        elif example.language in SPECS:
            path = f"spec.{example.language}"
            self._session(f"$ cat {path}\n{example.text}\n$ archc check {path}", words)
        else:
            self._session(example.text, words)

    def _session(self, text: str, words: Sequence[str]) -> None:
        for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, rest = piece.partition("\n")
            match shlex.split(command):
                case ["cat", path]:
                    content = _completed(rest) if path.endswith(".yaml") else rest
                    Path(path).write_text(content, encoding="utf-8")
                case ["export", setting]:
                    self.patch.setenv(*setting.split("=", 1))
                case ["unset", name]:
                    self.patch.delenv(name, raising=False)
                case ["mkdir", path]:
                    Path(path).mkdir(exist_ok=True)
                case ["archc", *given]:
                    self._archc([*given, *words])
                case unknown:
                    raise ValueError(f"the prompt knows no {unknown}")

    def _archc(self, words: list[str]) -> None:
        self.capsys.readouterr()
        self.said.diagnostics = []
        with pytest.raises(SystemExit) as ended:
            main(words)
        self.said.code = int(ended.value.code or 0)
        self.said.out, err = self.capsys.readouterr()
        assert "this is a bug" not in err


def _completed(text: str) -> str:
    """A spec with what an example may leave out, put at its end so that all lines keep their numbers."""
    used = [name for name in ("small", "big") if re.search(rf"\b{name}\b", text)]
    if not text.strip() or not re.search(r"^(models|pipeline|params):", text, re.MULTILINE):
        return text
    if not re.search(r"^pipeline:", text, re.MULTILINE):
        text += "\npipeline: [generate: {model: small}]"
        used = ["small"]
    if used and not re.search(r"^models:", text, re.MULTILINE):
        text = f"{text.rstrip()}\nmodels: {{{', '.join(f'{name}: {{backend: simulated}}' for name in used)}}}\n"
    return text


async def _answered(self: OpenAI, request: Request) -> tuple[Completion, ...]:
    """Instead of asking a server."""
    return tuple(Completion("an answer") for _ in range(request.n))


def _planned(source: Source, root: Located) -> Plan:
    return plan(lowering.lower(read_spec(source, root), {"ACME_API_BASE_URL": "http://localhost:8000/v1"}))


Reader = Callable[[Source], list[Diagnostic]]


def _read(reader: Reader, example: Example) -> list[Diagnostic]:
    name = {"json": "config.json", "yaml": "spec.yaml"}.get(example.language, example.language)
    try:
        return reader(Source(name, example.text + "\n"))
    except SpecError as error:
        return list(error.diagnostics)


def _config(semantics: str) -> Reader:
    def read(source: Source) -> list[Diagnostic]:
        root, told = read_archon(source, "compat" if semantics == "compat" else "fixed")
        final = any(d.severity == "error" or d.name == "pairwise-model" for d in told)  # there is no such backend
        return told if final else [*told, *_planned(source, root).warnings]

    return read


def _approach(source: Source) -> list[Diagnostic]:
    root, told = read_optillm(source)
    return [*told, *_planned(source, root).warnings]


def _script(source: Source) -> list[Diagnostic]:
    root, told = read_moa(source)
    return [*told, *_planned(source, root).warnings]


def _exported(source: Source) -> list[Diagnostic]:
    write_archon(read_yaml(source))
    return []


READERS = {
    "json": _config("fixed"),
    "json-compat": _config("compat"),
    "optillm": _approach,
    "moa": _script,
}
