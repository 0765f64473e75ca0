"""`archc fmt` and `archc convert`: files are changed as a whole, or not at all."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from archc.cli import main

MESSY = "pipeline:\n- generate: {model: m,   n: 3}   # three\n- vote\nmodels: {m: {backend: simulated}}\n"
NEAT = "models:\n  m: {backend: simulated}\npipeline:\n  - generate: {model: m, n: 3}  # three\n  - vote\n"
ARCH = "model m = simulated\n\ngenerate(m, n=3)  # three\n  -> vote\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def archc(*words: str) -> object:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return end.value.code


def test_files_become_canonical_and_keep_their_mode(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").write_text(MESSY)
    (folder / "a.yaml").chmod(0o640)
    (folder / "b.arch").write_text("model m=simulated generate(m,n=3) # three\n->vote")
    (folder / "link.yaml").symlink_to("a.yaml")

    assert archc("fmt", "link.yaml", "b.arch") == 0
    assert capsys.readouterr().out == "formatted link.yaml\nformatted b.arch\n"
    assert (folder / "a.yaml").read_text() == NEAT
    assert (folder / "b.arch").read_text() == ARCH
    assert (folder / "a.yaml").stat().st_mode & 0o777 == 0o640
    assert (folder / "link.yaml").is_symlink()
    assert sorted(path.name for path in folder.iterdir()) == ["a.yaml", "b.arch", "link.yaml"]
    assert archc("fmt", "a.yaml", "b.arch") == 0
    assert capsys.readouterr().out == ""


def test_check_names_what_would_change_and_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").write_text(MESSY)
    (folder / "b.yaml").write_text(NEAT)

    assert archc("fmt", "--check", "a.yaml", "b.yaml") == 1
    assert capsys.readouterr().out == "would change a.yaml\n"
    assert (folder / "a.yaml").read_text() == MESSY
    assert archc("fmt", "--check", "b.yaml") == 0


def test_the_text_can_be_printed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.yaml").write_text(MESSY)

    assert archc("fmt", "--stdout", "a.yaml") == 0
    assert capsys.readouterr().out == NEAT
    assert (folder / "a.yaml").read_text() == MESSY
    monkeypatch.setattr(sys, "stdin", io.StringIO(MESSY))
    assert archc("fmt", "-") == 0
    assert capsys.readouterr().out == NEAT
    monkeypatch.setattr(sys, "stdin", io.StringIO(ARCH))
    assert archc("fmt", "-", "--from", "arch") == 0
    assert capsys.readouterr().out == ARCH


def test_a_broken_file_stays_and_the_others_are_formatted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").write_text("a: [")
    (folder / "b.yaml").write_text(MESSY)
    (folder / "c.json").write_text('{"name": "c", "layers": []}')

    assert archc("fmt", "a.yaml", "b.yaml", "c.json") == 2
    assert (folder / "a.yaml").read_text() == "a: ["
    assert (folder / "b.yaml").read_text() == NEAT
    printed = capsys.readouterr()
    assert "error[not-yaml]" in printed.err
    assert "error[cannot-write]: another system's text cannot be written in this form" in printed.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(folder: Path) -> None:
    (folder / "a.yaml").write_text(MESSY)
    folder.chmod(0o500)

    assert archc("fmt", "a.yaml") == 1
    folder.chmod(0o700)
    assert (folder / "a.yaml").read_text() == MESSY


def test_a_spec_is_converted_there_and_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").write_text(MESSY)

    assert archc("convert", "a.yaml", "--to", "arch") == 0
    assert capsys.readouterr().out == ARCH
    assert archc("convert", "a.yaml", "--to", "arch", "-o", "b.arch") == 0
    assert archc("convert", "b.arch", "--to", "yaml", "--output", "c.yaml") == 0
    assert (folder / "b.arch").read_text() == ARCH
    assert (folder / "c.yaml").read_text() == NEAT
    assert archc("convert", "a.yaml", "--to", "arch", "-o", "nowhere/b.arch") == 1
