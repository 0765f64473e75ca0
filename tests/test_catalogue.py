"""The catalogue of diagnostics: every class has a page, and every example on it does what it says.

`pytest --update-cases` writes what archc says to each example into the pages, and `docs/errors.md` from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archc import catalogue
from archc.catalogue import Page, kinds
from tests.examples import SPECS, Prompt, Told, options

BOOK = Path(__file__).parent.parent / "docs" / "errors.md"
NAMES = sorted(kinds())
FILES = sorted(set(map(catalogue.file_of, kinds().values())))

NOT_RUN = {
    ("missing-model", "right"),
    ("unloadable-model", "right"),
    ("unfetched-weights", "right"),
    ("not-recorded", "wrong"),
    ("not-recorded", "right"),
    ("no-such-run", "right"),
    ("unreachable-server", "right"),
    ("unstartable-server", "right"),
    ("no-judgement", "wrong"),
    ("no-hub-data", "wrong"),
    ("no-hub-data", "right"),
}
NOT_RUN |= {
    (name, word)
    for name in ("missing-extra", "not-delivered", "no-sandbox", "unloadable-engine", "port-taken")
    for word in ("wrong", "right")
}
NOT_RUN |= {(name, "right") for name in ("unknown-sampler", "one-objective", "unknown-figure", "unfit-constraint")}
NOT_RUN |= {(name, "right") for name in ("no-task", "no-search-limit", "nothing-to-search", "too-few-items")}
NOT_RUN |= {
    ("no-adviser", "right"),
    ("not-a-search", "right"),
    ("foreign-search", "wrong"),
    ("foreign-search", "right"),
}
"""Examples that cannot be tried; the page says why."""


@pytest.fixture
def prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Prompt:
    return Prompt(tmp_path, capsys)


def page_of(name: str) -> Page:
    found = catalogue.pages(catalogue.file_of(kinds()[name])).get(name)
    if found is None:
        pytest.fail(f"write a section `## {name}` in {catalogue.file_of(kinds()[name]).name}")
    return found


def names(told: Told) -> list[str]:
    return [d.name for d in told.diagnostics]


@pytest.mark.parametrize("name", NAMES)
def test_the_wrong_example_is_told_so(name: str, prompt: Prompt) -> None:
    one = page_of(name)
    if options(one.wrong).not_run:
        return
    told = prompt(one.wrong)

    assert set(names(told)) == {name, *options(one.wrong).also}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_told_of_the_right_example(name: str, prompt: Prompt) -> None:
    one = page_of(name)
    if options(one.right).not_run:
        return
    told = prompt(one.right)

    assert names(told) == options(one.right).also
    assert told.code == 0


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_is_json_for_machines(name: str, prompt: Prompt) -> None:
    one = page_of(name)
    if options(one.wrong).not_run:
        return
    if one.wrong.language in SPECS and not options(one.wrong).to_archon:
        told = json.loads(prompt(one.wrong, "--json").out)["diagnostics"]
    else:
        told = json.loads(json.dumps([d.as_json() for d in prompt(one.wrong).diagnostics]))

    assert name in {d["name"] for d in told}
    for diagnostic in told:
        assert_is_whole(diagnostic)


def assert_is_whole(diagnostic: dict[str, Any]) -> None:
    assert list(diagnostic) == ["name", "severity", "message", "help", "places"]
    assert diagnostic["severity"] in ("error", "warning")
    assert diagnostic["message"]
    for place in diagnostic["places"]:
        assert list(place) == ["file", "line", "column", "start", "end", "label"]
        assert place["file"]
        assert place["label"]
        assert place["line"] >= 1
        assert place["column"] >= 1
        assert 0 <= place["start"] <= place["end"]


@pytest.mark.parametrize("name", NAMES)
def test_explain_shows_the_page(name: str, prompt: Prompt) -> None:
    one = page_of(name)
    said = prompt(replace(one.wrong, language="console", options="", text=f"$ archc explain {name}"))
    assert said.out == one.as_text() + "\n"
    assert not {"{op}", "{hint}", "{{", "}}"} & set(said.out.split("\n")[0].split())
    said = prompt(replace(one.wrong, language="console", options="", text=f"$ archc explain {name} --json"))
    assert json.loads(said.out) == one.as_json()


def test_few_examples_are_not_tried() -> None:
    found = {
        (name, word)
        for name in NAMES
        for word, example in (("wrong", page_of(name).wrong), ("right", page_of(name).right))
        if options(example).not_run
    }

    assert found == NOT_RUN


# ---- the files


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_pages_are_written_in_their_form(path: Path, prompt: Prompt, pytestconfig: pytest.Config) -> None:
    pages = catalogue.pages(path).values()
    if pytestconfig.getoption("--update-cases"):
        path.write_text(written(path, [replace(p, said=said(p, prompt)) for p in pages]), encoding="utf-8")
        catalogue.pages.cache_clear()
        return

    assert path.read_text(encoding="utf-8") == written(path, [replace(p, said=said(p, prompt)) for p in pages])
    assert [p.name for p in pages] == [n for n, kind in kinds().items() if catalogue.file_of(kind) == path]


def written(path: Path, pages: list[Page]) -> str:
    """A file of pages in the order of their classes, after what it says of them all."""
    order = list(kinds())
    parts = [p.as_markdown() for p in sorted(pages, key=lambda p: order.index(p.name))]
    return "\n\n".join([catalogue.head_of(path), *parts]) + "\n"


def said(one: Page, prompt: Prompt) -> str:
    return one.said if options(one.wrong).not_run else prompt(one.wrong).text


def test_the_documentation_holds_all_pages(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--update-cases"):
        BOOK.write_text(catalogue.book(), encoding="utf-8")
        return

    assert BOOK.read_text(encoding="utf-8") == catalogue.book()


# ---- the wording


def templates() -> Iterator[Any]:
    for name, kind in kinds().items():
        for part in ("title", "label", "help"):
            if text := getattr(kind, part):
                yield pytest.param(text, id=f"{name}: {part}")


@pytest.mark.parametrize("text", [*templates()])
def test_the_wording_is_one_lower_case_sentence(text: str) -> None:
    assert not text.endswith(".")
    assert text[0].islower() or text[0] in "`'{" or text.split()[0] in ("Archon", "USD")
