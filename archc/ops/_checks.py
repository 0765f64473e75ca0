"""Checks: programs by which a model checks an answer. They decide only by asserts that are reached."""

from __future__ import annotations

import ast
from string import Template

from archc.ops._programs import MOST_READ, blocks, parsed, written

_AROUND = Template("""\
__name__ = '__main__'
_seen = []
def _holds(value):
    _seen.append(bool(value))
    return value
answer = $answer
$code
if not _seen:
    raise RuntimeError('no assert was reached')
assert all(_seen), 'an assert before did not hold'
""")


def checking(reply: str, answer: str) -> str | None:
    """The program in a reply, ready to run on an answer; None if it is not Python or asserts nothing.

    It passes if it reaches an assert and all that it reaches hold, even those whose failure it catches.
    """
    for code in reversed(blocks(reply) or [reply[:MOST_READ]]):
        module = parsed(code)
        if module and any(isinstance(node, ast.Assert) for node in ast.walk(module)):
            for node in ast.walk(module):
                if isinstance(node, ast.Assert):
                    node.test = ast.Call(ast.Name("_holds"), [node.test], [])
            text = written(*module.body)
            return None if text is None else _AROUND.substitute(answer=repr(answer), code=text)
    return None
