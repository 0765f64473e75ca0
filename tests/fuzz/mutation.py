"""Mutations: from good inputs to others, by bytes, by tokens, by splicing and by nesting."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

FULL = 1 << 16
"""No input is longer."""

_PLAIN = """
architecture rules param model budget require let use when do then else step repeat each until race cascade deadline
fold or and not true false null open archon generate critique rank fuse refine verify evaluate score extract vote select
write_tests abstain keep nothing model n temperature max_tokens prompt top_k by k times max batch first window seconds
calls tokens usd condition branches spec with models params pipeline name backend simulated openai agreement margin
count round spent.calls left.tokens number m b $k $model !choice -> & | ? , .. == != <= >= < > + - * / ( ) [ ] { } :
= $ $$ # " search
' \\ \""" {} {|} [] () ~ - ? ! @ ` % & *a &a 0 1 -1 2 4 0.5 80% 1e-3 1e999 200_000 1..10 0.0..1.0
999999999999999999999999999999 0x1F .inf .nan 1_ layers type generator ranker critic fuser verifier unit_test_generator
unit_test_evaluator model_type samples moa bon self_consistency none re2 --model --rounds --reference_models {question}
{{x}} ${A} ${A:-b} \\u00e9 日本 é
"""
_OTHERS = (
    *("\n", "\n  ", "\n- ", "\n  - ", " ", "\t", "\r\n", "\ufeff", "\x00", "\x85", "\u2028", "\ud800", "\x1b]0;"),
    *("=== o.arch\n", '-> use "o.arch"', "{1 | 2}", "{1..4}", "when count > 1 { select }", "else { keep }"),
    *("(keep & select)", "let a = keep ", "param p = [m, b] "),
)
_TOKENS = [word.encode("utf-8", "surrogatepass") for word in (*_PLAIN.split(), *_OTHERS)]
_PAIRS = [
    *((b"(", b")"), (b"[", b"]"), (b"{", b"}"), (b"- ", b""), (b"{a: ", b"}"), (b"each { ", b" }"), (b"not ", b"")),
    *((b"-", b""), (b"repeat(times=3) { ", b" }"), (b"(keep & ", b")"), (b"{select | ", b"}"), (b'{"a":', b"}")),
    *((b"when count > 1 { ", b" } else { keep }"), (b"[each: {do: [", b"]}]"), (b"!choice [", b", 1]")),
    (b"until(count > 1, max=9) { ", b" }"),
]
_TOKEN = re.compile(rb"[A-Za-z_]\w*|\d+|\s+|.", re.DOTALL)


def mutated(rng: Random, pool: Sequence[bytes]) -> bytes:
    """One of the pool after one to a few changes."""
    data = rng.choice(pool)
    for _ in range(1 + int(rng.expovariate(0.7))):
        data = rng.choice(_CHANGES)(rng, data, pool)
    return data[:FULL]


def _cut(rng: Random, data: bytes, _pool: Sequence[bytes]) -> bytes:
    start, end = _range(rng, data)
    return data[:start] + data[end:]


def _doubled(rng: Random, data: bytes, _pool: Sequence[bytes]) -> bytes:
    start, end = _range(rng, data)
    times = rng.choice((1, 1, 1, 2, 8, 40)) if len(data) < 4096 else 1
    return data[:end] + data[start:end] * times + data[end:]


def _token(rng: Random, data: bytes, _pool: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(_TOKENS) + data[at:]


def _retoken(rng: Random, data: bytes, _pool: Sequence[bytes]) -> bytes:
    """One token in the place of another."""
    if not data:
        return data
    match = _TOKEN.match(data, rng.randrange(len(data)))
    assert match
    return data[: match.start()] + rng.choice(_TOKENS) + data[match.end() :]


def _noise(rng: Random, data: bytes, _pool: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 1, 2, 4))) + data[at + rng.randrange(2) :]


def _spliced(rng: Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    other = rng.choice(pool)
    start, end = _range(rng, other)
    at, to = _range(rng, data)
    return data[:at] + other[start:end] + data[to:]


def _lines(rng: Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """Lines of another in the place of some."""
    mine, theirs = data.split(b"\n"), rng.choice(pool).split(b"\n")
    at, start = rng.randrange(len(mine)), rng.randrange(len(theirs))
    mine[at : at + rng.randrange(3)] = theirs[start : start + rng.randrange(1, 4)]
    return b"\n".join(mine)


def _nested(rng: Random, data: bytes, _pool: Sequence[bytes]) -> bytes:
    start, end = _range(rng, data)
    before, after = rng.choice(_PAIRS)
    depth = rng.choice((1, 1, 2, 5, 12, 31, 33, 200))
    return data[:start] + before * depth + data[start:end] + after * depth + data[end:]


def _swapped(rng: Random, data: bytes, _pool: Sequence[bytes]) -> bytes:
    tokens = _TOKEN.findall(data[:8192])
    if len(tokens) < 2:
        return data
    first, second = rng.randrange(len(tokens)), rng.randrange(len(tokens))
    tokens[first], tokens[second] = tokens[second], tokens[first]
    return b"".join(tokens) + data[8192:]


def _range(rng: Random, data: bytes) -> tuple[int, int]:
    """A piece: most often whole tokens, and most often short."""
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + int(rng.expovariate(1 / rng.choice((3, 12, 60)))))
    while rng.random() < 0.9 and 0 < end < len(data) and data[end : end + 1].isalnum():
        end += 1
    while rng.random() < 0.9 and 0 < start < len(data) and data[start - 1 : start].isalnum():
        start -= 1
    return start, end


_CHANGES: Sequence[Callable[[Random, bytes, Sequence[bytes]], bytes]] = (
    *(
        _cut,
        _doubled,
        _token,
        _token,
        _retoken,
        _retoken,
        _retoken,
        _noise,
        _spliced,
        _spliced,
        _lines,
        _nested,
        _swapped,
    ),
)
