"""The command line: exit codes, JSON for machines, no traceback for anybody."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import archc
from archc import ops
from archc.cli import main

ROOT = Path(__file__).parents[2]
QUICKSTART = str(ROOT / "specs" / "quickstart.yaml")

HEAD = "models: {m: {backend: simulated}}\npipeline:\n"
GOOD = f"{HEAD}  - generate: {{model: m, n: 3}}\n  - extract: {{kind: number}}\n  - vote\n"
WARNED = f"{HEAD}  - generate: {{model: m, n: 3}}\n  - critique: {{model: m}}\n"
BAD = f"{HEAD}  - generat: {{model: m, n: 3}}\n  - votes\n"


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: object
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Archc = Callable[..., Ended]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Archc:
    """Runs a command in an empty folder with three specs."""
    for name, text in (("good.yaml", GOOD), ("warned.yaml", WARNED), ("bad.yaml", BAD)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "binary.yaml").write_bytes(b"\x00\xff\xfe")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARCHC_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setattr(sys, "argv", ["archc"])

    def run(*words: str) -> Ended:
        with pytest.raises(SystemExit) as end:
            main(list(words))
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        assert "bug in archc" not in printed.err
        return Ended(end.value.code or 0, printed.out, printed.err)

    return run


def test_check_says_ok(cli: Archc) -> None:
    ended = cli("check", "good.yaml")

    assert (ended.code, ended.out, ended.err) == (0, "good.yaml: ok, 3 steps, 3 calls\n", "")


def test_check_shows_warnings_and_passes(cli: Archc) -> None:
    ended = cli("check", "warned.yaml")

    assert ended.code == 0
    assert ended.out.endswith("1 step, 3 calls, 1 warning\n")
    assert ended.err.startswith("warning[unread-critique]: ")


def test_check_shows_every_mistake(cli: Archc) -> None:
    ended = cli("check", "bad.yaml")

    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.count("error[unknown-op]: ") == 2


def test_check_speaks_json(cli: Archc) -> None:
    good, warned, bad = (cli("check", f"{name}.yaml", "--json") for name in ("good", "warned", "bad"))

    assert good.json == {"ok": True, "diagnostics": []}
    assert [d["name"] for d in warned.json["diagnostics"]] == ["unread-critique"]
    assert (bad.code, bad.err, bad.json["ok"]) == (2, "", False)
    assert [d["places"][0]["line"] for d in bad.json["diagnostics"]] == [3, 4]


def test_set_changes_the_spec(cli: Archc) -> None:
    assert "5 calls" in cli("check", "good.yaml", "--set", "generate.n=5").out
    assert cli("check", "good.yaml", "--set", "generate.n=0").code == 2
    assert cli("check", "good.yaml", "--set", "nonsense").code == 2
    assert cli("check", "bad.yaml", "--set", "pipeline=[{generate: {model: m}}]").code == 0


@pytest.mark.parametrize("command", ["check", "explain", "run"])
@pytest.mark.parametrize(
    ("path", "problem"),
    [("missing.yaml", "No such file"), (".", "directory"), ("binary.yaml", "UTF-8"), ("good.yaml/x", "irectory")],
)
def test_what_cannot_be_read_is_the_users_mistake(cli: Archc, command: str, path: str, problem: str) -> None:
    question = ("why?",) if command == "run" else ()
    ended = cli(command, path, *question)

    assert ended.code == 2
    assert "error[no-such-file]: cannot read" in ended.err
    assert problem in ended.err
    assert cli(command, path, *question, "--json").json["diagnostics"][0]["name"] == "no-such-file"


def test_a_path_need_not_be_text(cli: Archc, tmp_path: Path) -> None:
    path = tmp_path / "\udcff.yaml"
    path.write_text(GOOD, encoding="utf-8")

    assert "\\xdcff.yaml: ok" in cli("check", str(path)).out
    assert cli("check", "\udcfe.yaml", "--json").json["diagnostics"][0]["message"].startswith("cannot read `\udcfe")


def test_a_spec_cannot_write_to_the_terminal(cli: Archc, tmp_path: Path) -> None:
    evil = r'"a\e[31m\nb"'
    text = f"name: {evil}\nmodels: {{{evil}: {{backend: simulated}}}}\npipeline: [generate: {{model: {evil}}}]\n"
    (tmp_path / "evil.yaml").write_text(text, encoding="utf-8")
    ended = cli("explain", "evil.yaml")

    assert ended.code == 0
    assert r"graph of a\x1b[31m" in ended.out
    assert "\x1b" not in ended.out


def test_explain_shows_graph_passes_and_bounds(cli: Archc) -> None:
    ended = cli("explain", "warned.yaml")

    assert ended.code == 0
    assert "after drop_dead (without critique)" in ended.out
    assert "after drop_dead" not in cli("explain", "warned.yaml", "--skip", "drop_dead").out
    assert cli("explain", "good.yaml", "--json").json["total"]["calls"] == [3, 3]
    assert cli("explain", "good.yaml", "--json", "--question-tokens", "7").json["question_tokens"] == 7
    assert cli("explain", "bad.yaml").code == 2


def test_a_pass_that_does_not_exist_is_a_mistake(cli: Archc) -> None:
    ended = cli("explain", "good.yaml", "--skip", "drop_ded")

    assert ended.code == 2
    assert "did you mean `drop_dead`?" in ended.err


def test_explain_helps_with_a_misspelt_name(cli: Archc) -> None:
    ended = cli("explain", "unread-critiqe")

    assert ended.code == 2
    assert "did you mean `unread-critique`?" in ended.err


def test_ops_lists_what_there_is(cli: Archc) -> None:
    assert [page["name"] for page in cli("ops", "--json").json] == list(ops.names())
    assert "temperature" in cli("ops", "generate").out
    assert {"llamacpp", "openai", "simulated"} <= {p["name"] for p in cli("ops", "--backends", "--json").json}
    assert cli("ops", "generat").code == 2
    assert "did you mean `generate`?" in cli("ops", "generat").err


def test_schema_is_json(cli: Archc) -> None:
    assert cli("schema").json["title"] == "archc spec"


def test_keys_are_bound_and_listed(cli: Archc) -> None:
    assert cli("keys", "bind", "llm.example.com", "EXAMPLE_KEY").code == 0
    assert cli("keys", "list", "--json").json["llm.example.com"] == {"variable": "EXAMPLE_KEY", "set": False}
    assert "api.openai.com" in cli("keys", "list").out
    assert cli("keys", "bind", "not a host", "EXAMPLE_KEY").code == 2


def test_version(cli: Archc) -> None:
    assert cli("--version").out == f"archc {archc.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["--nonsense"],
        ["check"],
        ["check", "good.yaml", "more.yaml"],
        ["check", "good.yaml", "--nonsense"],
        ["check", "good.yaml", "--set"],
        ["explain", "good.yaml", "--question-tokens", "none"],
        ["explain", "good.yaml", "--question-tokens", "0"],
        ["schema", "more"],
        ["keys", "nonsense"],
        ["keys", "bind", "api.openai.com"],
        ["run", "good.yaml"],
        ["run", "good.yaml", "why?", "--seed", "-1"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(cli: Archc, words: list[str]) -> None:
    ended = cli(*words)

    assert ended.code == 2
    assert ended.out == ""
    assert ended.err


@pytest.mark.parametrize("command", ["check", "explain", "keys", "ops", "run", "schema", "trace"])
def test_every_command_has_help(cli: Archc, command: str) -> None:
    ended = cli(command, "--help")

    assert ended.code == 0
    assert "completion" not in ended.out


HEAVY = ("networkx", "aiohttp", "yaml", "xllamacpp", "asyncio", "apsw", "opentelemetry")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["keys", "list"]], ids=" ".join)
def test_light_commands_import_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    program = (
        "import sys\nfrom archc.cli import main\n"
        f"try:\n    main({words!r})\n"
        f"finally:\n    print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    environ = {"PYTHONPATH": str(ROOT), "ARCHC_CONFIG": str(tmp_path / "none.toml"), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_a_whole_process(tmp_path: Path) -> None:
    environ = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "archc", "check", QUICKSTART, "--set", "models.small.backend=simulatd"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean `simulated`?" in done.stderr


OPEN = f"""params: {{k: !choice 1..3, w: !choice [0, 2]}}
require: [k * w <= 4]
{HEAD}  - generate: {{model: m, n: !choice [1, 2]}}
  - !choice [critique: {{model: m, max_tokens: !choice 8..9}}, []]
"""


def test_space_lists_choices_and_counts(cli: Archc, tmp_path: Path) -> None:
    (tmp_path / "open.yaml").write_text(OPEN, encoding="utf-8")
    ended = cli("space", "open.yaml")

    assert ended.code == 0
    assert ended.out == (
        "open.yaml: 5 choices, 36 points, 30 of them valid\n"
        "    k                    1..3\n"
        "    w                    0 | 2\n"
        "    generate.n           1 | 2\n"
        "    critique.on          true | false\n"
        "    critique.max_tokens  8..9          where critique.on=true\n"
    )
    assert "2 choices, 4 points\n" not in cli("space", "open.yaml", "--choose", "critique.on=false").out
    assert cli("space", "good.yaml").out == "good.yaml: 0 choices, 1 point\n"


def test_space_prints_points_to_be_pasted(cli: Archc, tmp_path: Path) -> None:
    (tmp_path / "open.yaml").write_text(OPEN, encoding="utf-8")
    first, second = cli("space", "open.yaml", "--list", "2").out.splitlines()
    drawn = cli("space", "open.yaml", "--sample", "3", "--seed", "1").out.splitlines()
    page = cli("space", "open.yaml", "--json", "--sample", "1").json

    assert first.split()[1::2] == ["k=1", "w=0", "generate.n=1", "critique.on=true", "critique.max_tokens=8"]
    assert second != first
    assert len(drawn) == 3
    assert cli("space", "open.yaml", *drawn[0].split()).out.startswith("open.yaml: 0 choices, 1 point, 1 of them valid")
    assert (page["raw"], page["valid"], len(page["choices"]), len(page["points"])) == (36, 30, 5, 1)
    assert page["choices"][4]["under"] == [{"path": "critique.on", "option": 1}]


def test_open_choices_are_refused_and_chosen(cli: Archc, tmp_path: Path) -> None:
    (tmp_path / "n.yaml").write_text(f"{HEAD}  - generate: {{model: m, n: !choice 1..4}}\n", encoding="utf-8")

    assert "4 points, 4 of them looked at, 1..4 calls" in cli("check", "n.yaml").out
    for words in (("explain", "n.yaml"), ("run", "n.yaml", "why?")):
        assert "the spec leaves 1 choice open: `generate.n`" in cli(*words).err
    assert "3 calls" in cli("check", "n.yaml", "--choose", "generate.n=3").out
    assert cli("check", "n.yaml", "--choose", "generate.n").code == 2
    assert "it offers 1..4" in cli("check", "n.yaml", "--choose", "generate.n=5").err
