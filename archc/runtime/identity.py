"""Identity: what makes two calls one. Sample i of `n=4` is sample i of `n=8`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256

from archc.calls import Conversation, Sampling


@dataclass(frozen=True, slots=True)
class CallSet:
    """Everything that changes the answers of a set of samples, but for the sample's index."""

    model: str
    """The model's fingerprint."""
    messages: Conversation
    sampling: Sampling
    schema: str | None
    logprobs: bool
    seed: int
    """The run's seed."""
    site: int
    """The asking node's site."""

    def keys(self, first: int, n: int) -> list[str]:
        """The identity of samples `first` … `first + n - 1`: SHA-256 of canonical JSON, in hex."""
        content = [
            1,  # the version of this scheme
            self.model,
            [[m.role, m.content] for m in self.messages],
            [self.sampling.temperature, self.sampling.max_tokens, self.sampling.top_p, list(self.sampling.stop)],
            self.schema,
            self.logprobs,
            self.seed,
            self.site,
        ]
        common = sha256(json.dumps(content, ensure_ascii=False).encode())
        keys = []
        for index in range(first, first + n):
            one = common.copy()
            one.update(b"\0%d" % index)
            keys.append(one.hexdigest())
        return keys


def seed_of(key: str) -> int:
    """The seed to sample with, from the call's identity; in [0, 2**31)."""
    return int(key[:8], 16) & 0x7FFFFFFF
