"""Programs: the Python in a question and in an answer to it. Pure functions; what is read is parsed, never run."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import textwrap
import warnings
from collections.abc import Iterator

MOST_READ = 20_000
"""How many characters of a text are searched for code."""
_MOST_CUTS = 12
_BLOCK = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_FIRST_LINE = re.compile(r"^(?:from \w|import \w|(?:async )?def \w|class \w|@\w)", re.MULTILINE)
LONGEST_NAME = 80
_HEAD = re.compile(
    rf"^[ \t]*(?:async )?def[ \t]+([A-Za-z_]\w{{0,{LONGEST_NAME - 1}}})[ \t]*\(", re.MULTILINE | re.ASCII
)

_FIRST_WORD = re.compile(r"\A(?:[ \t]*(?:#.*)?\n)*[ \t]+\S")
"""Of code that is indented from its begin on."""
_RETURN = re.compile(r"^return\b", re.MULTILINE)
"""In the body of a function without its head."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(code: str) -> ast.Module | None:
    """The syntax tree; None if it is not Python, or nested beyond reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def written(*statements: ast.stmt) -> str | None:
    """Statements as text, in one way of writing; None for those that have none."""
    try:
        return ast.unparse(ast.Module(list(statements), []))
    except (ValueError, RecursionError):
        return None


def blocks(text: str) -> list[str]:
    """What stands in fenced blocks; the last may lack its end."""
    return [textwrap.dedent(m[2]) for m in _BLOCK.finditer(text[:MOST_READ]) if m[2].strip()]


def asked_for(question: str) -> str:
    """The function that a question asks for: the last `def NAME(` in it; empty if there is none."""
    heads = _HEAD.findall(question[-MOST_READ:])
    return heads[-1] if heads and not keyword.iskeyword(heads[-1]) else ""


def called(node: ast.AST) -> list[str]:
    """The functions that code calls by name, the outermost first, without those of Python itself."""
    calls = [n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    return [name for name in calls if not hasattr(builtins, name)]


def program(text: str, question: str, entry: str) -> str | None:
    """The program that an answer gives, in which `entry` is the function asked for; None if there is no Python in it.

    It is the last block that defines `entry`, with the imports and functions that the question gives. Else it is what
    goes on where the question's code ends, and else the longest code with a function, the last of which stands in for
    `entry`. What is cut off at the end, and top-level prints, asserts and main guards, are left out.
    """
    given = _given(question)
    codes = _codes(text)
    for code in codes:
        module = _beginning(code)
        if module and entry in _names(module):
            return written(*_around(given, module, entry), *_kept(module))
    modules = [module for code in codes if (module := _beginning(code))]
    bodies = [code for code in codes if _FIRST_WORD.search(code)] + [
        textwrap.indent(code, "    ") for code in codes if _RETURN.search(code)
    ]
    for code in bodies if given else ():
        if whole := _continued(given, code, entry):
            return written(*_kept(whole))
    longest = max(filter(_functions, modules), key=lambda module: sum(1 for _ in ast.walk(module)), default=None)
    if longest is None:
        return None
    alias = [ast.Assign([ast.Name(entry)], ast.Name(_functions(longest)[-1].name), lineno=0)] if entry else []
    return written(*_around(given, longest, entry), *_kept(longest), *alias)


def _codes(text: str) -> list[str]:
    """Where code may stand in an answer, the likeliest first."""
    found = blocks(text)[::-1]
    first = _FIRST_LINE.search(text)
    return found or ([text[first.start() :][:MOST_READ]] if first else []) + [text[:MOST_READ]]


def _given(question: str) -> str:
    """The code of a question that ends in the function asked for, which may lack its body."""
    for code in reversed(blocks(question)):
        if _HEAD.search(code):
            return code.rstrip()
    first = _FIRST_LINE.search(question)
    return question[first.start() :][:MOST_READ].rstrip() if first else ""


def _beginning(code: str) -> ast.Module | None:
    """As much of a code as is Python, cut before a line on the left margin."""
    if module := parsed(code):
        return module if module.body else None
    lines = code.splitlines(keepends=True)
    starts = [i for i, line in enumerate(lines) if i and not re.match(r"[\s#)\]}]", line)]
    for start in starts[: -_MOST_CUTS - 1 : -1]:
        if (module := parsed("".join(lines[:start]))) and module.body:
            return module
    return None


def _continued(given: str, code: str, entry: str) -> ast.Module | None:
    """The question's code with an answer that goes on where it ends, if it does."""
    module = _beginning(f"{given}\n{code}")
    bodies = [f.body for f in _functions(module) if f.name == entry] if module else []
    before = parsed(given)
    stood = [f.body for f in _functions(before) if f.name == entry] if before else []
    return module if bodies and len(bodies[-1]) > (len(stood[-1]) if stood else 0) else None


def _functions(module: ast.Module) -> list[Function]:
    return [n for n in module.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def _names(module: ast.Module) -> set[str]:
    """What a module defines or imports on its top level."""
    names = set(_bound(module.body))
    return names | {
        t.id for n in module.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)
    }


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name for alias in node.names)


def _around(given: str, module: ast.Module, entry: str) -> list[ast.stmt]:
    """The question's imports and helpers that an answer does not bring itself."""
    whole, own = _beginning(given) if given else None, _names(module) | {entry}
    body = whole.body if whole else []
    return [node for node in body if set(_bound([node])) - own]


def _kept(module: ast.Module) -> list[ast.stmt]:
    return [node for node in module.body if not _is_trial(node)]


def _is_trial(node: ast.stmt) -> bool:
    """Whether it only shows or tries what is defined around it."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Compare):
        return isinstance(node.test.left, ast.Name) and node.test.left.id == "__name__"
    what = node.value.func if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
    return isinstance(node, ast.Assert) or (isinstance(what, ast.Name) and what.id == "print")
