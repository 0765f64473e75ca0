"""Records: what the journal keeps, as values; completions and outcomes of executions as bytes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic_core import PydanticSerializationError, from_json, to_json

from archc import calls
from archc.calls import Completion, Conversation, Failed, Finish, Spend, Usage

State = Literal["sent", "ok", "free", "billed", "doubt"]
"""Of an attempt: under way; paid for; failed without cost; paid for in vain; nobody knows, and it counts in full."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request about to be sent."""

    run: str
    query: str
    node: str
    model: str
    blocks: tuple[str, ...]
    """The blocks with budgets of their own that it lies in, the innermost last."""
    each: Spend
    """What one completion may cost."""
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """What an attempt may buy; what is missing is there already, or being bought elsewhere."""

    id: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    state: State
    spent: Spend
    samples: Mapping[str, Completion]
    fingerprint: str = ""
    kind: str = "aborted"
    """Why there are no samples."""
    reason: str = ""
    server: str = ""
    """Which one answered."""


@dataclass(frozen=True, slots=True)
class Past:
    """What an earlier start of the same run left behind."""

    run: str
    spent: Sequence[tuple[str, tuple[str, ...], Spend]]
    """By query and the blocks within which it was spent."""
    doubts: int
    """Attempts that were under way when it was killed: they count in full, and may be bought again."""


@dataclass(frozen=True, slots=True)
class Told:
    """A query of a run that is told again."""

    question: Conversation
    result: str | None
    """`Run.digest`; None if it never ended."""
    failures: Mapping[str, Failed]
    """What stood in the place of samples, by identity."""
    whole: frozenset[str]
    """Those of them for which the budget of the whole question had no room."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run that can be told again, with the same journal."""

    recipe: Mapping[str, Any] | None
    """What its plan was made of; None if that was not known."""
    fingerprints: Mapping[str, str]
    """Of its models, by the spec's names."""
    seed: int
    queries: Mapping[str, Told]


SMALL = 1024
"""Bodies below so many bytes are kept as they are: setting up a compressor costs more than it saves."""


def packed(completion: Completion) -> bytes:
    """A completion as it is kept."""
    body = as_bytes(content_of(completion))
    return body if len(body) < SMALL else zlib.compress(body, 1)


def checksum(key: bytes, body: bytes) -> int:
    """CRC-32 of a sample, with its identity: a flipped bit in either must not give one call's answer to another."""
    return zlib.crc32(body, zlib.crc32(key))


def unpacked(key: bytes, body: bytes | None, crc: int | None) -> Completion | None:
    """What was kept; None if it is not there or damaged."""
    if body is None or checksum(key, body) != crc:
        return None
    plain = body if body.startswith(b"{") else zlib.decompress(body)
    try:
        content = from_json(plain)
    except ValueError:
        content = json.loads(plain.decode("utf-8", "surrogatepass"))
    return completion_of(content)


def content_of(completion: Completion) -> dict[str, Any]:
    """A completion, JSON-ready."""
    usage = completion.usage
    return {
        "text": completion.text,
        "finish": completion.finish,
        "usage": [usage.prompt, usage.completion, usage.cached, usage.reasoning],
        "logprob": completion.logprob,
    }


def completion_of(content: Mapping[str, Any]) -> Completion:
    """The completion that such content is. Raises KeyError, TypeError or ValueError if it is none."""
    logprob = content["logprob"]
    usage = Usage(*map(int, content["usage"]))
    return Completion(
        str(content["text"]), Finish(content["finish"]), usage, None if logprob is None else float(logprob)
    )


def as_bytes(content: object) -> bytes:
    """JSON in UTF-8, with half surrogate pairs as they are."""
    try:
        return to_json(content)
    except PydanticSerializationError:
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")


def executed(outcome: calls.Outcome) -> bytes:
    """What came of an execution, as it is kept."""
    return as_bytes([outcome.status, outcome.message, outcome.seconds, outcome.stdout])


def execution(key: bytes, body: bytes, crc: int) -> calls.Outcome | None:
    """What was kept; None if it is damaged."""
    if checksum(key, body) != crc:
        return None
    return outcome_of(json.loads(body.decode("utf-8", "surrogatepass")))


def outcome_of(content: Sequence[Any]) -> calls.Outcome:
    """The outcome that such content is. Raises TypeError or ValueError if it is none."""
    status, message, seconds, stdout = content
    if status not in get_args(calls.ExecutionStatus):
        raise ValueError(f"no outcome is called {status!r}")
    return calls.Outcome(status, str(message), float(seconds), str(stdout))
