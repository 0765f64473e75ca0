"""What the documentation says is run: every spec in it compiles, every program in it works."""

from __future__ import annotations

import itertools
import os
import random
import re
import runpy
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from archc import api, ops
from archc.ir.control import Control
from archc.ir.show import show
from archc.ir.statistics import ABOUT, UNITS, needed
from archc.passes import ORDER
from archc.source import Source
from archc.spec.space.points import Point, Space

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Snippet:
    """A piece of a page in one of the two forms."""

    form: str
    text: str
    at: str
    line: int
    end: int

    @property
    def source(self) -> Source:
        """The whole spec; where models are not given, there are a small and a big one."""
        text = self.text
        if self.form == "arch":
            text = text if re.search("^model ", text, re.MULTILINE) else ARCH_MODELS + text
        elif text.startswith("- "):
            text = f"{YAML_MODELS}pipeline:\n{textwrap.indent(text, '  ')}"
        elif not re.search("^models:", text, re.MULTILINE):
            text = YAML_MODELS + text
        return Source(str(ROOT / "specs" / f"documentation.{self.form}"), text)


YAML_MODELS = "models: {small: {backend: simulated, model: s}, big: {backend: simulated, model: b}}\n"
ARCH_MODELS = 'model small = simulated("s")\nmodel big = simulated("b")\n'


def snippets() -> list[Snippet]:
    """All pieces in YAML and .arch, page by page."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```(yaml|arch)\n(.*?)^```\n", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 2
            end = text.count("\n", 0, match.end()) + 1
            found.append(Snippet(match[1], match[2], f"{page.name}:{line}", line, end))
    return found


SNIPPETS = snippets()
PAIRS = [
    pytest.param(one, other, id=one.at)
    for one, other in itertools.pairwise(SNIPPETS)
    if one.form == "yaml" and other.form == "arch" and other.line == one.end + 2
]


def points(space: Space) -> Iterator[Point]:
    """A few points of a space; one if it is closed."""
    rng = random.Random(0)
    return (space.sample(rng) for _ in range(5 if space.holes else 1))


def graph(source: Source, point: Point) -> str:
    return show(api.lower(api.parse(source, choices=point), environ={}))


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.at)
def test_specs_in_the_documentation_compile(snippet: Snippet) -> None:
    space = api.space(snippet.source)
    for point in points(space):
        plan = api.compile(snippet.source, choices=point, environ={})

        assert [w for w in plan.warnings if w.name != "unused-model"] == []
    if space.holes:
        said = re.search(r"# (?:(\S+) points, (\S+) of them valid|points without end)\n", snippet.text)
        assert said, "it does not say how many points there are"
        assert (space.raw, space.count()) == tuple(int(number) if number else None for number in said.groups())


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_pairs_in_the_documentation_mean_the_same(one: Snippet, other: Snippet) -> None:
    space = api.space(one.source)

    assert [h.path for h in space.holes] == [h.path for h in api.space(other.source).holes]
    for point in points(space):
        assert graph(one.source, point) == graph(other.source, point)


OPTIMISED = [snippet for snippet in SNIPPETS if snippet.at.startswith("optimiser.md")]


@pytest.mark.parametrize("snippet", OPTIMISED, ids=lambda snippet: snippet.at)
def test_what_the_page_on_the_optimiser_shows_is_optimised(snippet: Snippet) -> None:
    above = (ROOT / "docs" / "optimiser.md").read_text(encoding="utf-8").splitlines()[: snippet.line]
    heading = next(line for line in reversed(above) if line.startswith("## "))

    assert [saving.name for saving in api.compile(snippet.source).savings] == [heading.removeprefix("## ")]


def test_the_page_on_the_optimiser_has_every_pass_in_order() -> None:
    page = (ROOT / "docs" / "optimiser.md").read_text(encoding="utf-8")

    assert re.findall(r"^## (\w+_\w+)$", page, re.MULTILINE) == [run.__name__ for run in ORDER]


def test_the_page_on_the_language_has_pairs() -> None:
    assert len(PAIRS) > 15


def test_the_page_on_the_language_lists_all_that_conditions_know() -> None:
    page = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    table = re.search(r"^\| name \| unit \|.*\n\|.*\n((?:\|.*\n)+)", page, re.MULTILINE)
    rows = []
    for name, unit in UNITS.items():
        facet = "".join(sorted(needed([name])))
        rows.append(f"| `{name}` | {unit} | {facet + ' ' if facet else ''}| {ABOUT[name]} |\n")

    assert table
    assert sorted(table[1].splitlines(keepends=True)) == sorted(rows)


def test_the_page_on_the_language_has_every_control_form() -> None:
    page = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    headings = " ".join(re.findall("^### (.*)", page, re.MULTILINE)).split()
    forms = {name for name in ops.names() if issubclass(ops.op_class(name), Control)}

    assert forms - set(headings) == set()


def fences(language: str) -> list[object]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 2
            found.append(pytest.param(match[1], id=f"{page.name}:{line}"))
    return found


@pytest.mark.parametrize("text", fences("python"))
def test_programs_in_the_documentation_run(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    exec(compile(text, "documentation", "exec"), {"__name__": "documentation"})


SPECS = sorted(path for path in (ROOT / "specs").iterdir() if path.suffix in (".yaml", ".arch"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_say_where_they_come_from_and_what_they_cost(path: Path) -> None:
    header = path.read_text(encoding="utf-8").split("\n\n", 1)[0]
    plan = api.compile(path, environ={})
    calls = re.search(r"^# Cost: .*?(\d+)\)? calls|^# Cost: .*?\((?:n = \d+: )?(\d+)\)", header, re.MULTILINE)

    assert "# Source:" in header
    assert calls, "the header gives no number of calls"
    assert int(calls[1] or calls[2]) == plan.cost.calls.lo
    assert f"depth {plan.depth.lo}" in header
    assert plan.warnings == ()


def test_the_example_of_many_questions_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples" / "many.py"), run_name="__main__")

    assert len(re.findall(r"^\d ok 16 calls", capsys.readouterr().out, re.MULTILINE)) == 10


def test_the_example_of_a_custom_op_works_when_it_is_installed(tmp_path: Path) -> None:
    package = ROOT / "examples" / "custom_op"
    info = tmp_path / "archc_shorten-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: archc-shorten\nVersion: 0.1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[archc.ops]\nshorten = archc_shorten.shorten:Shorten\n", encoding="utf-8")
    command = [sys.executable, "-m", "archc", "run", str(package / "shorten.yaml"), "Why?", "--no-journal", "--json"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(package), str(tmp_path)])}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert '"shorten": {"calls": 1' in done.stdout
