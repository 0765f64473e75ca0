"""Mutated replies of servers: whatever the bytes, the reader gives whole answers or a `CallError`, without the key.

python -m tests.fuzz.replies 200000 1      # so many of each kind; the seed
"""

from __future__ import annotations

import gzip
import json
import math
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

from archc.backends._openai_reply import LONGEST_WAIT, Peer, read_completions, read_failure
from archc.backends._reading import MAX_BYTES
from archc.backends._wire import _inflated
from archc.calls import CallError, Finish, Message
from archc.secret import Secret
from tests.fuzz.mutation import mutated

KEY = "sk-canary-0123456789"
PEER = Peer("m", "https://h.example/v1", Secret(KEY))
MESSAGES = (Message("system", "x" * 20), Message("user", "é\ud800" * 5))


def _reply(*choices: dict[str, Any], **fields: Any) -> bytes:
    body = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, **fields}
    return json.dumps(body, ensure_ascii=False).encode()


def _choice(text: str | None, i: int = 0, finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    return {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": finish, **more}


_USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 12,
    "total_tokens": 19,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
_LOGPROBS = {"content": [{"token": "a", "logprob": -0.5, "top_logprobs": []}, {"token": "b", "logprob": -9999.0}]}
_TOOL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
}

BODIES: Sequence[bytes] = [
    _reply(_choice("The answer is 4.", logprobs=_LOGPROBS), usage=_USAGE),
    _reply(_choice("a", 2), _choice("日本 é", 0, "length"), _choice("", 1, "content_filter"), usage=_USAGE),
    _reply(_choice(None, finish="length"), usage={"completion_tokens_details": {"reasoning_tokens": 99}}),
    _reply({"index": 0, "message": _TOOL, "finish_reason": "tool_calls"}),
    _reply({"message": {"content": None, "refusal": "no"}}),
    _reply(_choice(f"your key is {KEY}, in base64 c2stY2FuYXJ5LTAxMjM0NTY3ODk=")),
    json.dumps({"error": {"message": f"bad key {KEY}", "type": "auth", "param": None, "code": "invalid"}}).encode(),
    json.dumps({"error": {"message": "too long: maximum context length is 8", "code": 400}}).encode(),
    json.dumps({"detail": [{"loc": ["body", "n"], "msg": "n must be 1"}], "object": "error"}).encode(),
    json.dumps({"error": KEY, "code": "content_filter"}).encode(),
    b"<html><body>502 Bad Gateway " + KEY.encode() + b"</body></html>",
    b'{"choices": [{"message": {"content": "twice"}}], "choices": [{"message": {"content": "dup"}}]}',
    b'{"choices": [{"message": {"content": "x"}, "logprobs": {"content": [{"logprob": NaN}, {"logprob": -1e999}]}}]}',
    b"",
]
_ODD: Sequence[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**40, 2**63, 2**64, 10**40, -(10**40), 0.5, 1e308, -0.0),
    *(math.nan, math.inf, -math.inf, "", "stop", "length", "error", "7", KEY, "\ud800", "\x00\x1b[31m", "é" * 500),
    *([], {}, [[]], [None], {"content": None}, [{"logprob": None}], {"message": {"content": "x"}}, "x" * 5000),
]
_FIELDS = [
    "choices",
    "message",
    "content",
    "index",
    "finish_reason",
    "logprobs",
    "logprob",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
    "cached_tokens",
    "reasoning_tokens",
    "error",
    "code",
    "type",
    "param",
    "detail",
    "refusal",
    "tool_calls",
]


def bent(rng: Random) -> bytes:
    """A good body with some of its values replaced, added or taken out."""
    body = json.loads(rng.choice([b for b in BODIES if b.startswith(b"{")]))
    for _ in range(rng.choice((1, 1, 2, 4))):
        place: Any = body
        while True:
            keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = rng.choice(keys) if keys and rng.random() < 0.9 else rng.choice(_FIELDS)
            if isinstance(place, list) and not isinstance(key, int):
                place.append(deepcopy(rng.choice(_ODD)))
                break
            inner = place.get(key) if isinstance(place, dict) else place[key]
            if not isinstance(inner, dict | list) or rng.random() < 0.2:
                place[key] = deepcopy(rng.choice(_ODD))
                break
            place = inner
    return json.dumps(body, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _headers(rng: Random) -> dict[str, str]:
    texts = (
        KEY,
        "5",
        "-1",
        "9" * 400,
        "nan",
        "1e3",
        "\x1b]0;",
        "Tue, 24 Nov 2026 03:00:30 GMT",
        "0x1",
        "é",
        "",
        "12.5.1",
    )
    names = ("retry-after", "retry-after-ms", "date", "x-request-id", "location")
    return {name: rng.choice(texts) for name in names if rng.random() < 0.5}


def read(raw: bytes, n: int) -> str:
    """What came of reading it as an answer."""
    try:
        drawn = read_completions(raw, MESSAGES, n, PEER)
    except CallError as error:
        checked(error)
        return error.failed.kind
    assert 1 <= len(drawn) <= n
    for one in drawn:
        one.text.encode()
        assert isinstance(one.finish, Finish)
        assert KEY not in one.text
        assert one.logprob is None or (math.isfinite(one.logprob) and one.logprob <= 1.0)
        numbers = (one.usage.prompt, one.usage.completion, one.usage.cached, one.usage.reasoning)
        assert all(type(number) is int and 0 <= number < 2**41 for number in numbers)
        assert one.usage.cached <= one.usage.prompt
        assert one.usage.reasoning <= one.usage.completion
    return "ok"


def refused(raw: bytes, status: int, headers: dict[str, str]) -> str:
    """What came of reading it as a failure."""
    error = read_failure(status, headers, raw, PEER)
    checked(error)
    return error.failed.kind


def checked(error: CallError) -> None:
    assert KEY not in str(error) + repr(error) + repr(vars(error))
    assert len(error.failed.reason) < 700
    assert error.failed.reason.isprintable()
    assert error.retry_after is None or 0 <= error.retry_after <= LONGEST_WAIT
    assert error.__context__ is None or error.__suppress_context__


def unpacked(raw: bytes) -> str:
    try:
        assert len(_inflated(raw, "gzip")) <= MAX_BYTES + 1
    except (ValueError, zlib.error):
        return "not gzip"
    return "ok"


PACKED: Sequence[bytes] = [gzip.compress(body) for body in BODIES] + [zlib.compress(body) for body in BODIES]
STATUSES = (100, 199, 300, 307, 400, 401, 404, 408, 413, 422, 429, 499, 500, 502, 503, 504, 529, 599, 999)

KINDS: dict[str, Callable[[Random], str]] = {
    "answers, bytes": lambda rng: read(mutated(rng, BODIES), rng.randint(1, 4)),
    "answers, values": lambda rng: read(bent(rng), rng.randint(1, 4)),
    "failures": lambda rng: refused(
        bent(rng) if rng.random() < 0.5 else mutated(rng, BODIES), rng.choice(STATUSES), _headers(rng)
    ),
    "compressed": lambda rng: unpacked(mutated(rng, PACKED)),
}


def campaign(kind: str, runs: int, seed: int) -> Counter[str]:
    """How often what came of it. A crash says which input made it."""
    found: Counter[str] = Counter()
    for i in range(runs):
        name = f"{seed} {i}"
        try:
            found[KINDS[kind](Random(name))] += 1
        except Exception as error:
            error.add_note(f"{kind}: Random({name!r})")
            raise
    return found


def main() -> None:
    runs, seed = int(sys.argv[1]), int(sys.argv[2])
    for kind in KINDS:
        began = time.process_time()
        found = campaign(kind, runs, seed)
        shares = ", ".join(f"{what} {100 * count / runs:.1f}%" for what, count in found.most_common())
        print(f"{kind}: {runs:,} in {time.process_time() - began:.0f} CPU s; {shares}", flush=True)


if __name__ == "__main__":
    main()
