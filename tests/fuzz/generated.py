"""Texts that the grammar derives, with random words in the place of its terminals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from random import Random

from archc.spec.arch.grammar import Start, _parser

Rules = Mapping[str, Sequence[Sequence[tuple[bool, str]]]]
"""By rule its expansions: whether a part is a terminal, and its name."""

_NAMES = (
    "m",
    "b",
    "k",
    "small",
    "x",
    "agreement",
    "count",
    "spent.calls",
    "select",
    "vote",
    "keep",
    "nothing",
    "drafts",
)
_OPS = ("generate", "fuse", "rank", "select", "extract", "critique", "refine", "verify", "simulated", "openai", "score")
_KEYS = (
    "n",
    "k",
    "model",
    "temperature",
    "top_k",
    "kind",
    "m",
    "b",
    "x",
    "times",
    "calls",
    "until",
    "prompt",
    "condition",
)
_CONTROL = ("repeat", "each", "until", "race", "cascade", "deadline", "fold")
_WORDS: Mapping[str, Sequence[str]] = {
    "NAME": _NAMES,
    "CALL": [f"{op}(" for op in _OPS],
    "KEY": [f"{key}=" for key in _KEYS],
    "FIELD": ["prompt:", "completion:", '"a b":', "x:"],
    "WITH": ["("],
    "DOLLAR": ["$k", "$model", "$x"],
    "STRING": ['"a"', '"\\n\\u00e9"', '""', '"small"', '"{question}"', '"count > 1"'],
    "LONG_STRING": ['"""a"""', '"""\n  a\n   b\n  """'],
    "NUMBER": ["0", "1", "2", "4", "0.5", "1e-3", "200_000", "99999999999999999999"],
    "PERCENTAGE": ["80%", "0%", "12.5%"],
    "COMPARE": ["==", "!=", "<=", ">=", "<", ">"],
    "CONTROL": _CONTROL,
    "CONTROL_CALL": [f"{word}(" for word in (*_CONTROL, "budget")],
}
_SIGNS = {
    "ARROW": "->", "AND_ALSO": "&", "BAR": "|", "QUESTION": "?", "COMMA": ",", "DOTS": "..", "PLUS": "+", "MINUS": "-",
    "TIMES": "*", "OVER": "/", "LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}",
}  # fmt: skip


@cache
def _rules(start: Start) -> Rules:
    """The grammar as lark compiled it."""
    rules: dict[str, list[list[tuple[bool, str]]]] = {}
    for rule in _parser(start).rules:
        rules.setdefault(rule.origin.name, []).append([(part.is_term, part.name) for part in rule.expansion])
    return rules


@cache
def _least(start: Start) -> Mapping[str, int]:
    """The least depth of what a rule derives."""
    depths: dict[str, int] = {}
    rules = _rules(start)
    while True:
        known = dict(depths)
        for name, expansions in rules.items():
            deep = [_depth(expansion, depths) for expansion in expansions]
            if found := [depth for depth in deep if depth is not None]:
                depths[name] = min(found)
        if depths == known:
            return depths


def _depth(expansion: Sequence[tuple[bool, str]], depths: Mapping[str, int]) -> int | None:
    inner = [0 if is_word else depths.get(name) for is_word, name in expansion]
    return None if None in inner else 1 + max((depth for depth in inner if depth is not None), default=0)


def generated(rng: Random, start: Start, depth: int = 60) -> bytes:
    """A text of at most a few hundred words."""
    rules, least = _rules(start), _least(start)
    words: list[str] = []
    waiting: list[tuple[bool, str, int]] = [(False, start, depth)]
    while waiting:
        is_word, name, left = waiting.pop()
        if is_word:
            words.append(rng.choice(_WORDS[name]) if name in _WORDS else _SIGNS.get(name, name.lower()))
            continue
        left = min(left, depth - len(words) // 3)
        fits = [e for e in rules[name] if (_depth(e, least) or 0) <= left]
        expansion = rng.choice(fits or sorted(rules[name], key=lambda e: _depth(e, least) or 0)[:1])
        waiting += [(is_term, part, left - 1) for is_term, part in reversed(expansion)]
    return (HEAD if start == "start" and rng.random() < 0.8 else "").encode() + " ".join(words).encode()


HEAD = "model m = simulated\nmodel b = simulated\nmodel small = simulated\nparam k = 2\n"
