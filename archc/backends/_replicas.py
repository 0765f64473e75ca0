"""Replicas: which of several servers of one model gets a request.

The one that has most of its prompt in its prefix cache, as far as what was sent there tells, unless it is busier than
another. One that fails is left out for a while, and must say that it is well before it is back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from archc.address import Address
from archc.backends._openai_reply import Peer
from archc.backends.probe import UNKNOWN, Known
from archc.calls import CallError, Conversation, FailureKind

AVOID_S = 5.0
"""How long a server that failed gets nothing, the first time; then twice as long each time."""
LONGEST_AVOID_S = 60.0
SLACK = 4
"""How many requests more than the least busy one a server may have, and still get what it has the prefix of."""
CHUNK = 256
"""Characters of a prompt that are remembered as one; prefix caches work by blocks of tokens."""
REMEMBERED = 20_000
"""Chunks that are remembered of each server: 5 MB of prompts."""

UNWELL = {FailureKind.CONNECTION, FailureKind.OVERLOAD, FailureKind.TIMEOUT}


@dataclass(eq=False, slots=True)
class Replica:
    """One server and how it is doing."""

    peer: Peer
    url: Address
    known: Known = UNKNOWN
    outstanding: int = 0
    avoid_until: float = 0.0
    failures: int = 0
    """In a row."""
    sent: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    """The beginnings of prompts that it got, those of late last."""

    def has(self, beginnings: Sequence[bytes]) -> int:
        """How many chunks of a prompt it has read before."""
        return next((i for i, one in enumerate(beginnings) if one not in self.sent), len(beginnings))

    def gets(self, beginnings: Sequence[bytes]) -> None:
        """Notes a prompt."""
        for one in beginnings:
            self.sent[one] = None
            self.sent.move_to_end(one)
        while len(self.sent) > REMEMBERED:
            self.sent.popitem(last=False)


class Replicas:
    """All servers of one model. `clock` is handed in."""

    def __init__(self, replicas: Sequence[Replica], clock: Callable[[], float]) -> None:
        self._all = tuple(replicas)
        self._clock = clock

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Replica]:
        return iter(self._all)

    def choose(self, messages: Conversation, without: Collection[Replica] = ()) -> Replica:
        """Where a request goes, which the server is noted to have then. One of `without` only if there is no other."""
        if len(self._all) == 1:
            return self._all[0]
        left = [r for r in self._all if r not in without] or self._all
        well = [r for r in left if not self.is_avoided(r)] or left
        least = min(r.outstanding for r in well)
        beginnings = _beginnings(messages)
        near = (r for r in well if r.outstanding <= least + SLACK)
        chosen = max(near, key=lambda r: (r.has(beginnings), -r.outstanding))
        chosen.gets(beginnings)
        return chosen

    def is_avoided(self, replica: Replica) -> bool:
        """Whether it gets nothing while others are well."""
        return replica.avoid_until > self._clock()

    def has_other(self, tried: Collection[Replica]) -> bool:
        """Whether there is a well one that was not tried."""
        return any(r not in tried and not self.is_avoided(r) for r in self._all)

    def answered(self, replica: Replica) -> None:
        """It is well; one that is avoided may only have ended what it had begun before."""
        if not self.is_avoided(replica):
            replica.failures = 0

    def back(self, replica: Replica) -> None:
        """It has said that it is well."""
        replica.avoid_until = self._clock()

    def failed(self, replica: Replica, error: CallError | None = None) -> None:
        """It is left out for a while; as long as it says, where it is about to stop (503) and says so."""
        wait = min(AVOID_S * 2.0**replica.failures, LONGEST_AVOID_S)
        replica.failures += 1
        replica.avoid_until = self._clock() + max(wait, (error.retry_after or 0.0) if error else 0.0)
        replica.sent.clear()  # a server that is started anew has an empty cache


def _beginnings(messages: Conversation) -> list[bytes]:
    """One hash for each whole chunk of a prompt, of all from its start to there."""
    text = "\0".join(f"{m.role}\0{m.content}" for m in messages).encode(errors="surrogatepass")
    running, hashes = blake2b(digest_size=8), []
    for start in range(0, len(text) - CHUNK + 1, CHUNK):
        running.update(text[start : start + CHUNK])
        hashes.append(running.digest())
    return hashes
