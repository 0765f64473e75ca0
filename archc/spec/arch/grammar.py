"""Grammar: texts to trees of tokens by `grammar/archc.lark`, and trees to values without recursion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

Start = Literal["start", "continuation", "condition"]

STATEMENTS = ("architecture", "rules", "param", "model", "budget", "require", "search", "let")
"""The words that begin a statement."""
CONTROL = ("repeat", "each", "until", "race", "cascade", "deadline", "budget", "fold", "optional")
"""The words that begin a step with a block."""
_OTHERS = ("use", "when", "do", "then", "else", "step", "or", "and", "not", "true", "false", "null")
KEYWORDS = frozenset({*STATEMENTS, *CONTROL, *_OTHERS})
"""What a bare word can't be."""


class Unexpected(Exception):
    """The text does not follow the grammar.

    `offset` is of the first character that does not fit, the end of the text where something is missing there;
    `expected` are the terminals that would fit.
    """

    def __init__(self, offset: int, expected: frozenset[str]) -> None:
        super().__init__(offset, expected)
        self.offset = offset
        self.expected = expected


def parse(text: str, start: Start) -> Any:
    """The tree of a text, whose leaves are tokens. Raises Unexpected."""
    import lark

    try:
        return _parser("condition" if start == "condition" else "start").parse(text, start=start)
    except lark.exceptions.UnexpectedToken as error:
        offset = len(text) if error.token.type == "$END" else error.token.start_pos or 0
        raise Unexpected(offset, frozenset(error.expected)) from None
    except lark.exceptions.UnexpectedCharacters as error:
        raise Unexpected(error.pos_in_stream or 0, frozenset(error.allowed or ())) from None


@cache
def _parser(start: Start) -> Any:
    """Built once: that takes 90 ms for files, and 40 ms for conditions alone."""
    import lark

    starts = ["condition"] if start == "condition" else ["start", "continuation"]
    return lark.Lark(grammar(), parser="lalr", start=starts, maybe_placeholders=False)


def grammar() -> str:
    """The text of the grammar, which lies beside this file in a wheel and in `grammar/` in the repository."""
    here = Path(__file__)
    shipped = here.with_name("archc.lark")
    path = shipped if shipped.exists() else here.parents[3] / "grammar" / "archc.lark"
    return path.read_text(encoding="utf-8")


def fold(tree: Any, rules: Mapping[str, Callable[[list[Any]], Any]]) -> Any:
    """What the rules make of a tree: each is given what was made of its children, inner ones first."""
    branch = type(tree)
    branches = [tree]
    for one in branches:
        branches += [child for child in one.children if child.__class__ is branch]
    made: dict[int, Any] = {}
    for one in reversed(branches):
        pieces = [made[id(child)] if child.__class__ is branch else child for child in one.children]
        made[id(one)] = rules[one.data](pieces)
    return made[id(tree)]
