"""What the documentation says is run: every spec in it compiles, every program in it works."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from archc import api
from archc.source import Source

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def fences(language: str) -> list[object]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 2
            found.append(pytest.param(match[1], id=f"{page.name}:{line}"))
    return found


@pytest.mark.parametrize("text", fences("yaml"))
def test_specs_in_the_documentation_compile(text: str) -> None:
    plan = api.compile(Source("documentation", text), environ={})

    assert plan.warnings == ()


@pytest.mark.parametrize("text", fences("python"))
def test_programs_in_the_documentation_run(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    exec(compile(text, "documentation", "exec"), {"__name__": "documentation"})


@pytest.mark.parametrize("path", sorted((ROOT / "specs").glob("*.yaml")), ids=lambda path: path.stem)
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
