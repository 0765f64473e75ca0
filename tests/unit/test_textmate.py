"""The TextMate grammar of `.arch`: the words are those of the language, and each gets its scope."""

from __future__ import annotations

import json
import plistlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archc.ir.statistics import UNITS
from archc.schema import WORDS
from archc.spec.arch.grammar import CONTROL, KEYWORDS, STATEMENTS, grammar

FOLDER = Path(__file__).parents[2] / "grammar"
TEXTMATE = json.loads((FOLDER / "archc.tmLanguage.json").read_text(encoding="utf-8"))

TEXT = r'''# a comment "and" no string
architecture demo
rules open
param writer
param k = 4
param w = {0 | 2_000 | 1e-3}
model small = openai("Q\n", base_url="${URL:-a}", price={prompt: 0.1})
budget calls=64 tokens=200_000
require k * w <= 24 or not false
search maximise=accuracy
let drafts = generate(small, n=8)
drafts
  -> generate($writer, n={1..4}, prompt="""
a "quoted" #no \"""
""", temperature={0.2..1.0 step 0.1})
  -> (vote & keep -> fuse(small))
  -> {verify(small) | evaluate(big) -> vote | }
  -> repeat (times=3, until=agreement >= 80%) { budget(calls=10) { abstain } }?
  -> when spent.calls < 0.5 and count > 2 { nothing } else { rank }
  -> use "refine.yaml" (writer=null)
'''


def patterns(rule: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rules inside of one, what is included in its place."""
    for part in rule.get("patterns", ()):
        if "include" in part:
            yield from patterns(TEXTMATE["repository"][part["include"].removeprefix("#")])
        else:
            yield part


def every(rule: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in patterns(rule):
        yield part
        yield from every(part)


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """Each piece that has a scope, with the innermost one; as an editor goes over the lines."""
    inside: list[dict[str, Any]] = [TEXTMATE]
    for line in text.split("\n"):
        at = 0
        while at <= len(line):
            ends = [{"match": inside[-1]["end"], "name": inside[-1]["name"]}] if "end" in inside[-1] else []
            found = [(p, m) for p in [*ends, *patterns(inside[-1])] if (m := _search(p, line, at))]
            if not found:
                break
            rule, match = min(found, key=lambda one: one[1].start())
            yield from _scopes(rule, match)
            if ends and rule is ends[0]:
                inside.pop()
            elif "begin" in rule:
                inside.append(rule)
            at = match.end() if match.end() > at or rule in ends else match.end() + 1


def _search(rule: dict[str, Any], line: str, at: int) -> re.Match[str] | None:
    return re.compile(rule.get("match") or rule["begin"]).search(line, at)


def _scopes(rule: dict[str, Any], match: re.Match[str]) -> Iterator[tuple[str, str]]:
    captures = rule.get("captures", {})
    named = [(match[int(group)], scope["name"]) for group, scope in captures.items() if match[int(group)]]
    yield from ((text, scope.removesuffix(".archc")) for text, scope in named or [(match[0], rule["name"])])


def words_of(scope: str) -> set[str]:
    """The words that get a scope."""
    found: set[str] = set()
    for rule in every(TEXTMATE):
        if rule.get("name") == f"{scope}.archc":
            listed = re.search(r"\(\?:([\w|\\.]+)\)|\]\)([a-z]+)\(", rule["match"])
            assert listed
            found |= set((listed[1] or listed[2]).replace("\\", "").split("|"))
    return found


def test_the_words_are_those_of_the_language() -> None:
    assert words_of("keyword.control.statement") == set(STATEMENTS)
    assert words_of("keyword.control.flow") == {*CONTROL, "when", "do", "then", "else", "use"}
    assert words_of("keyword.operator.logical") == {"and", "or", "not"}
    assert words_of("constant.language") == {"true", "false", "null"}
    assert words_of("support.constant.step") == WORDS.keys() - {"use"}
    assert words_of("support.variable.statistic") == UNITS.keys()
    scopes = ("keyword.control.statement", "keyword.control.flow", "keyword.operator.logical", "constant.language")
    assert set().union(*map(words_of, scopes)) | {"step"} == KEYWORDS


def test_every_terminal_of_the_grammar_has_a_scope() -> None:
    """The words and marks that `archc.lark` spells out."""
    words = re.findall(r"^[A-Z]+: /(?:\(\?:)?([a-z|]+)\)?/ _END$", grammar(), re.MULTILINE)
    marks = re.findall(r'^[A-Z]+: "(.+)"$', grammar(), re.MULTILINE)
    plain = {word for line in words for word in line.split("|")} | set(marks)

    assert plain >= KEYWORDS | {"->", "(", ","}
    first = {word: next(tokens(f" {word} "), ("", ""))[0] for word in plain}
    assert first == {word: word for word in plain}


SCOPES = {
    "comment.line.number-sign": '# a comment "and" no string',
    "keyword.control.statement": "architecture rules param param param model budget require search let",
    "entity.name.section": "demo",
    "constant.language.rules": "open",
    "entity.name.type.model": "small",
    "variable.other.param": "writer k w $writer",
    "variable.other.value": "drafts",
    "variable.other.environment": "${URL:-a}",
    "variable.parameter": "base_url price calls tokens maximise n n prompt temperature times until calls writer",
    "variable.parameter.field": "prompt",
    "entity.name.function": "openai generate generate fuse verify evaluate vote",
    "keyword.control.flow": "repeat budget when else use",
    "support.constant.step": "keep nothing",
    "support.variable.statistic": "agreement spent.calls count",
    "constant.numeric": "4 0 2_000 1e-3 0.1 64 200_000 24 8 1 4 0.2 1.0 0.1 3 80% 10 0.5 2",
    "constant.language": "false null",
    "constant.character.escape": '\\n \\"""',
    "keyword.operator.arrow": "-> -> -> -> -> -> -> ->",
    "keyword.operator.range": ".. .. step",
    "keyword.operator.parallel": "&",
    "keyword.operator.optional": "?",
    "keyword.operator.alternative": "| | | |",
    "keyword.operator.comparison": "<= >= < >",
    "keyword.operator.logical": "or not and",
    "string.quoted.double": '" " " " " "',
    "string.quoted.triple": '""" """',
}


@pytest.mark.parametrize("scope", SCOPES)
def test_words_get_their_scope(scope: str) -> None:
    assert " ".join(text for text, name in tokens(TEXT) if name == scope) == SCOPES[scope]


def test_strings_end_with_their_line() -> None:
    assert [*tokens('"open\nvote -> rank(x)')][-4:-2] == [
        ("->", "keyword.operator.arrow"),
        ("rank", "entity.name.function"),
    ]


def test_the_folder_is_an_extension_and_a_property_list() -> None:
    package = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
    [language], [colours] = package["contributes"]["languages"], package["contributes"]["grammars"]
    settings = json.loads((FOLDER / language["configuration"]).read_text(encoding="utf-8"))

    assert (language["id"], language["extensions"]) == (colours["language"], [".arch"])
    assert json.loads((FOLDER / colours["path"]).read_text(encoding="utf-8")) == TEXTMATE
    assert colours["scopeName"] == TEXTMATE["scopeName"]
    assert settings["comments"] == {"lineComment": "#"}
    assert {tuple(pair) for pair in settings["brackets"]} == {("{", "}"), ("[", "]"), ("(", ")")}
    assert plistlib.loads(plistlib.dumps(TEXTMATE)) == TEXTMATE


def test_the_words_of_vim_are_those_of_the_language() -> None:
    page = (FOLDER.parent / "docs" / "editors.md").read_text(encoding="utf-8")
    words = re.findall(r"^syn keyword \w+ (.*)$", page, re.MULTILINE)

    assert set(" ".join(words).split()) == KEYWORDS
