"""What the hostile server would say if it were honest: a function of what is asked and the seed, and nothing else.

The same asked again, alone or beside others, gives the same text, the same end and as many tokens. So what an
undisturbed run comes to is known, and any other text is one that nobody may believe.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from random import Random
from typing import Any

from archc.backends._world import Judge, Scene
from archc.calls import Message, Purpose, Request, Sampling


@dataclass(frozen=True)
class Sample:
    """One completion that was asked for, as both ends know it."""

    key: str
    """Of everything that was asked but for the number of samples and the seed."""
    seed: int


@dataclass(frozen=True)
class Drawn:
    """The true completion."""

    text: str
    finish: str
    tokens: int


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    body: dict[str, Any]
    bytes_per_token: int

    @cached_property
    def key(self) -> str:
        """See `Sample`."""
        return key_of([(m["role"], m["content"]) for m in self.body["messages"]], self.max_tokens, self.schema)

    @property
    def max_tokens(self) -> int:
        """For each completion."""
        return int(self.body["max_tokens"])

    @property
    def schema(self) -> dict[str, Any] | None:
        """What the reply must follow."""
        given = self.body.get("response_format", {}).get("json_schema", {}).get("schema")
        return given if given is None or isinstance(given, dict) else None

    @property
    def samples(self) -> list[Sample]:
        """Seeds count on from the one that was sent."""
        first = int(self.body["seed"])
        return [Sample(self.key, first + i) for i in range(self.body.get("n", 1))]

    @property
    def prompt_tokens(self) -> int:
        """At most what archc must assume: a token of each byte, and 16 for a message."""
        return sum(len(m["content"].encode()) // self.bytes_per_token + 16 for m in self.body["messages"])

    def drawn(self, sample: Sample) -> Drawn:
        """The true completion. One of eleven texts is cut off."""
        digest = sha256(f"{sample.key} {sample.seed}".encode()).digest()
        rng = Random(digest)
        text = self._text(rng)
        raw = text.encode()
        most = self.max_tokens * self.bytes_per_token
        if digest[0] < 24 and self.schema is None:
            most = min(most, len(raw) // 2)
        if len(raw) <= most:
            return Drawn(text, "stop", -(-len(raw) // self.bytes_per_token))
        cut = raw[:most].decode(errors="ignore")
        return Drawn(cut, "length", min(self.max_tokens, -(-most // self.bytes_per_token)))

    def _text(self, rng: Random) -> str:
        if self.schema is None:
            return f"Step by step, {rng.getrandbits(64):x}. " * rng.randint(1, 6) + f"The answer is {rng.randint(1, 3)}"
        schema = json.dumps(self.schema, sort_keys=True)
        messages = tuple(Message(m["role"], m["content"]) for m in self.body["messages"])
        shown = Request(messages, Sampling(), (), Purpose("", ""), schema)
        return Judge(schema, Scene.of(shown, {}), 0.7, rng).write()


def key_of(messages: list[tuple[str, str]], max_tokens: int, schema: dict[str, Any] | None) -> str:
    """The key of what is asked."""
    content = [[list(m) for m in messages], max_tokens, schema]
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def samples_of(request: Request) -> list[Sample]:
    """The same, as the client knows it."""
    messages: list[tuple[str, str]] = [(m.role, m.content) for m in request.messages]
    schema = json.loads(request.schema) if request.schema else None
    key = key_of(messages, request.sampling.max_tokens, schema)
    return [Sample(key, seed) for seed in request.seeds]
