"""Limits: how many requests are in flight, how many tokens go in a time, how much is tried again."""

from __future__ import annotations

from collections import deque
from math import ceil

CUT = 0.7
"""What is left of the limit when the server has had too much."""
SMOOTH = 16
"""Over how many requests the share of those that fail is smoothed."""
SLOWEST = 1 / 16
"""The least limit: a request is sent every 16 times as long as one takes."""
STEADY = 16
"""An answer raises the limit by no more than its 16th, so that a small one is not over the server's in a moment."""
RETRY_SHARE = 0.2
"""Retries for each request that is sent, at most."""
RETRY_ALLOWANCE = 10
"""Retries that are free beside one for each request in flight, so that a server may go away and come back."""


class AdaptiveLimit:
    """How many requests may be in flight: additive increase, multiplicative decrease, up to a ceiling.

    A limit below 1 means one request at a time, and a gap between two, by how long a request takes.
    """

    def __init__(self, ceiling: int) -> None:
        self.places = ceiling
        """Requests that may be in flight at once."""
        self._ceiling = ceiling
        self._limit = float(ceiling)
        self._borne = float(ceiling)
        """Up to where it grows fast: what a cut of a limit that the server knew left, as slow start does in TCP."""
        self._takes = 0.0
        """Seconds that a request takes, smoothed."""
        self._failing = 0.0
        """The share of requests that overload the server, smoothed."""
        self._sent = 0
        self._cut_after = 0
        """The last request that was sent under an older limit, and so says nothing of this one."""
        self._cut_at = float("-inf")
        self._last = float("-inf")

    @property
    def paced(self) -> bool:
        """Whether there is a gap between two requests."""
        return self._limit < self._ceiling

    def opens_at(self) -> float:
        """When the next request may go, on the clock."""
        return self._last + self._takes / self._limit if self.paced else self._last

    def sent(self, now: float) -> int:
        """Counts a request; gives its number."""
        self._last = now
        self._sent += 1
        return self._sent

    def answered(self, seconds: float) -> None:
        """A request was answered after so many seconds."""
        self._takes += (seconds - self._takes) / 8 if self._takes else seconds
        self._failing -= self._failing / SMOOTH
        if self._limit < self._ceiling:
            step = 1 if self._limit < self._borne else 1 / self._limit
            self._set(min(self._limit + min(step, self._limit / STEADY), self._ceiling))

    def rejected(self, number: int, now: float) -> None:
        """The server wants fewer requests than when it got the one of that number. One cut for each round trip."""
        self._cut(number, now, CUT, SLOWEST)

    def overloaded(self, number: int, now: float) -> None:
        """The server failed under the request of that number, for which there may be other reasons than too much work:
        the cut is as deep as the share of requests that fail, as in DCTCP (Alizadeh et al. 2010).
        """
        self._failing += (1 - self._failing) / SMOOTH
        self._cut(number, now, 1 - (1 - CUT) * self._failing, min(1.0, self._limit))

    def _cut(self, number: int, now: float, part: float, least: float) -> None:
        if number > self._cut_after and now >= self._cut_at + self._takes:
            self._cut_after, self._cut_at = self._sent, now
            self._set(max(self._limit * part, least))
            if self._takes:
                self._borne = self._limit

    def _set(self, limit: float) -> None:
        self._limit = limit
        self.places = ceil(limit)


class TokenWindow:
    """At most so many tokens in any `per` seconds. A request that alone is more goes when nothing else is in them."""

    def __init__(self, tokens: int, per: float) -> None:
        self._tokens = tokens
        self._per = per
        self._used = 0
        self._log: deque[tuple[float, int]] = deque()

    def opens_at(self, now: float, tokens: int) -> float:
        """When there will be room for so many, on the clock; `now` or before, if there is."""
        while self._log and self._log[0][0] + self._per <= now:
            self._used -= self._log.popleft()[1]
        used, opens = self._used, now
        for at, leaving in self._log:
            if used + tokens <= self._tokens:
                break
            used, opens = used - leaving, at + self._per
        return opens

    def take(self, now: float, tokens: int) -> None:
        """Notes a request."""
        self._log.append((now, tokens))
        self._used += tokens


class RetryBudget:
    """A token bucket: each request that is sent puts in a share of a retry, each retry takes one out."""

    def __init__(self, in_flight: int) -> None:
        self._most = float(in_flight + RETRY_ALLOWANCE)
        self._left = self._most

    def sent(self) -> None:
        """Counts a request."""
        self._left = min(self._left + RETRY_SHARE, self._most)

    def take(self) -> bool:
        """Takes a retry; False if there is none."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
