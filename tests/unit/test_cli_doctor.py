"""`archc doctor`: what this machine gives, for people and machines."""

from __future__ import annotations

import json
import platform

import pytest

from archc.cli import main


def doctor(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["doctor", *words])
    return int(end.value.code or 0)


def test_a_machine_without_walls_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")

    assert doctor() == 1
    said = capsys.readouterr().out
    assert "can NOT be run safely here" in said
    assert "no filter of system calls for riscv64" in said


def test_json_has_all_facts(capsys: pytest.CaptureFixture[str]) -> None:
    code = doctor("--json")
    facts = json.loads(capsys.readouterr().out)

    assert facts["ok"] == facts["safe"] == (code == 0)
    assert facts["sandbox"].keys() == {"bubblewrap", "landlock"}
    assert {"journal", "cache", "config", "embedded_model", "versions", "architecture"} <= facts.keys()
