"""Asserts: executable tests in what a model wrote, and those that a question gives. Pure functions."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from archc.ops._programs import MOST_READ, asked_for, blocks, called, parsed, written

LONGEST = 1_000
"""Of a test, in characters."""
_LINE = re.compile(r"^\s*(?:>>>|[-*•]|\d{1,3}[.):])?\s*`?(assert\b.*?)`?\s*$", re.MULTILINE)
_EXAMPLE = re.compile(r"^[ \t]*>>> (?!print\b)(.+)\n[ \t]*(?!>>>)(\S.*)$", re.MULTILINE)


def written_asserts(text: str, entry: str) -> list[str]:
    """The asserts in a reply, each a test of its own with the imports that it uses; equal ones once.

    They stand on the top level or in the body of a test function, and call `entry` (any function if that is empty).
    Those of a function `check(candidate)` call `entry` by the name of its argument.
    """
    found: dict[str, None] = {}
    for code in blocks(text) or [text[:MOST_READ]]:
        module = parsed(code)
        tests = _of(module, entry) if module else (_alone(line) for line in _LINE.findall(code))
        found |= dict.fromkeys(test for test in tests if test and len(test) <= LONGEST and _calls(test, entry))
    return list(found)


def given_asserts(question: str) -> list[str]:
    """The tests that a question gives: asserts, and examples as in Python's documentation whose result is a value."""
    text = question[-MOST_READ:]
    examples = (f"assert {call} == {value}" for call, value in _EXAMPLE.findall(text) if _is_value(value))
    tests = (_alone(line) for line in (*_LINE.findall(text), *examples))
    entry = asked_for(question)
    return list(dict.fromkeys(test for test in tests if test and len(test) <= LONGEST and _calls(test, entry)))


def most_called(tests: Iterable[str]) -> str:
    """The function that most tests call; empty if none calls any."""
    first = [names[0] for test in tests if (module := parsed(test)) and (names := called(module))]
    return Counter(first).most_common(1)[0][0] if first else ""


def _of(module: ast.Module, entry: str) -> Iterator[str | None]:
    imports = [node for node in module.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    for node in module.body:
        body = [node]
        if isinstance(node, ast.FunctionDef):
            body = node.body
            if entry and node.name == "check" and node.args.args:
                _renamed(node, node.args.args[0].arg, entry)
        for one in body:
            if isinstance(one, ast.Assert):
                yield _test(one, imports)


def _renamed(function: ast.FunctionDef, old: str, new: str) -> None:
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id == old:
            node.id = new


def _test(node: ast.Assert, imports: Iterable[ast.Import | ast.ImportFrom] = ()) -> str | None:
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    used = [one for one in imports if names & {alias.asname or alias.name for alias in one.names}]
    return written(*used, ast.Assert(node.test, None))


def _alone(line: str) -> str | None:
    module = parsed(line)
    node = module.body[0] if module and len(module.body) == 1 else None
    return _test(node) if isinstance(node, ast.Assert) else None


def _calls(test: str, entry: str) -> bool:
    module = parsed(test)
    names = called(module) if module else []
    return entry in names if entry else bool(names)


def _is_value(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return False
    return True
