"""Faults within the body of a reply that is whole, as HTTP goes; with those of `replies.py` they make up `FAULTS`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from archc.backends._reading import MAX_BYTES
from tests.faults.replies import DECOY, FAULTS, Answer, Part, fault, http

__all__ = ["FAULTS"]

# ---- bodies that are no answer


@fault("truncated JSON", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    body = answer.body()
    return [http(body[: rng.randint(0, len(body) - 1)])]


@fault("HTML with 200", 0.5)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [http(b"<html><h1>Welcome</h1></html>", headers={"Content-Type": "text/html"})]


@fault("wrong schema", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    choices: list[Any] = [None, {}, "text", [None], [{}], [{"message": "text"}], [{"message": {"content": 3}}]]
    bodies: list[Any] = [*({"choices": c, "usage": answer.usage} for c in choices), {}, [], None, 7, {"data": []}]
    return [http(json.dumps(rng.choice(bodies)).encode())]


@fault("an error with 200", 0.5)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    code = rng.choice([500, 502, "overloaded", None])
    return [http(json.dumps({"error": {"message": "upstream failed", "code": code}}).encode())]


@fault("empty choices", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [http(answer.body(choices=[]))]


@fault("null content", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    # With `length` it would be what a reasoning model says that used all its tokens for thinking.
    return [http(answer.body(choices=[{**c, "finish_reason": "stop"} for c in _changed(answer, content=None)]))]


@fault("tool call", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    calls = [{"id": "1", "type": "function", "function": {"name": "rm", "arguments": "{}"}}]
    choices = _changed(answer, content=rng.choice([None, "half a"]), tool_calls=calls)
    return [http(answer.body(choices=[{**c, "finish_reason": "tool_calls"} for c in choices]))]


@fault("gave up within the text", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    choices = _changed(answer, content="half a")
    return [http(answer.body(choices=[{**c, "finish_reason": rng.choice(["error", "abort"])} for c in choices]))]


def _changed(answer: Answer, **changes: Any) -> list[dict[str, Any]]:
    return [{**choice, "message": {**choice["message"], **changes}} for choice in answer.choices]


@fault("fewer choices than asked", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    kept = list(answer.drawn)[: rng.randint(1, max(1, len(answer.drawn) - 1))]
    answer.billed = {sample: answer.drawn[sample].tokens for sample in kept}
    return [http(answer.body(choices=answer.choices[: len(kept)]))]


@fault("more choices than asked", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    more = [{**answer.choices[0], "index": len(answer.choices) + i} for i in range(rng.randint(1, 5))]
    return [http(answer.body(choices=answer.choices + more))]


@fault("an index twice", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    twice = {**answer.choices[0], "message": {"role": "assistant", "content": DECOY}}
    return [http(answer.body(choices=[*answer.choices, twice]))]


@fault("choices out of order", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [http(answer.body(choices=answer.choices[::-1]))]


@fault("huge body", 1, 0.25)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [http(answer.body() + b" " * (MAX_BYTES + 1))]


_BOMB = gzip.compress(b" " * (MAX_BYTES * 4), 9)


@fault("decompression bomb", 1, 0.25)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [http(_BOMB, headers={"Content-Encoding": "gzip"})]


@fault("wrong Content-Encoding", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    return [http(answer.body(), headers={"Content-Encoding": rng.choice(["gzip", "deflate", "br"])})]


@fault("invalid UTF-8", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    bad = rng.choice([b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\x80"])
    return [http(answer.body(choices=_changed(answer, content="good until @@@")).replace(b"@@@", bad))]


@fault("a key twice", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    body, decoy = answer.body(), json.dumps(DECOY).encode()
    where = rng.choice(["first", "last", "choices"])
    if where == "choices":
        return [http(body[:-1] + b', "choices": ' + json.dumps(_changed(answer, content=DECOY)).encode() + b"}")]
    if where == "first":
        return [http(body.replace(b'"content": ', b'"content": ' + decoy + b', "content": '))]
    return [http(body.replace(b'}, "finish_reason"', b', "content": ' + decoy + b'}, "finish_reason"'))]


# ---- usage and log-probabilities


def _usage(name: str, usages: Callable[[Answer], list[Any]]) -> None:
    @fault(name, 1)
    def _(answer: Answer, rng: Random) -> Sequence[Part]:
        return [http(answer.body(usage=rng.choice(usages(answer))))]


_usage("usage missing", lambda answer: [None, {}, [], "7"])
_usage("usage negative", lambda answer: [{"prompt_tokens": -5, "completion_tokens": -(10**9)}])
_usage("usage is no number", lambda answer: [{"prompt_tokens": float("nan"), "completion_tokens": "many"}])
_usage("usage in fractions", lambda answer: [{"prompt_tokens": 1.5, "completion_tokens": True}])


@fault("usage beyond all that was allowed", 1, 0.3)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    """The provider lies and bills it."""
    more = answer.asked.max_tokens * len(answer.drawn) * rng.randint(2, 10)
    first = next(iter(answer.billed))
    answer.billed[first] += more
    answer.excess = more
    return [http(answer.body())]


@fault("log-probabilities that are none", 1)
def _(answer: Answer, rng: Random) -> Sequence[Part]:
    values = [float("nan"), float("-inf"), float("inf"), 1e308, -9999.0, None, "low"]
    content = [{"token": "x", "logprob": rng.choice(values)} for _ in range(3)]
    odd = rng.choice([{"content": content}, {"content": {}}, [], {"content": [None]}])
    return [http(answer.body(choices=[{**choice, "logprobs": odd} for choice in answer.choices]))]
