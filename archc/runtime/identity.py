"""Identity: what makes two calls one, or two executions. Sample i of `n=4` is sample i of `n=8`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256

from archc.calls import Conversation, Limits, Sampling


@dataclass(frozen=True, slots=True)
class SampleId:
    """One completion's identity."""

    key: str
    """SHA-256 of canonical JSON of everything that changes the answer, in hex."""
    index: int
    seed: int
    """What to sample with, in [0, 2**31)."""


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
    site: tuple[int, ...]
    """The asking node's site, and the turns of the loops around it."""
    labels: tuple[str, ...] = ()

    def samples(self, first: int, n: int) -> list[SampleId]:
        """Samples `first` … `first + n - 1`.

        Their seeds follow each other, as servers count on from the one seed of a request for several completions.
        """
        content = [
            1,  # the version of this scheme
            self.model,
            [[m.role, m.content] for m in self.messages],
            [self.sampling.temperature, self.sampling.max_tokens, self.sampling.top_p, list(self.sampling.stop)],
            self.schema,
            self.logprobs,
            self.seed,
            self.site[0] if len(self.site) == 1 else self.site,
            *self.labels,
        ]
        common = sha256(json.dumps(content).encode())
        base = int.from_bytes(common.digest()[:4]) & 0x3FFFFFFF
        samples = []
        for index in range(first, first + n):
            one = common.copy()
            one.update(b"\0%d" % index)
            samples.append(SampleId(one.hexdigest(), index, (base + index) & 0x7FFFFFFF))
        return samples


def execution_key(program: str, test: str, limits: Limits) -> str:
    """The identity of one test of a program: SHA-256 of all that its outcome depends on, in hex."""
    content = [1, program, test, [limits.seconds, limits.memory, limits.output]]
    return sha256(json.dumps(content).encode()).hexdigest()
