"""Circuit: after failures in a row nothing is sent for a while, then one request alone: the probe."""

from __future__ import annotations

FAILURES = 5
"""In a row, until it opens."""
FIRST_OPEN_S = 0.5
LONGEST_OPEN_S = 8.0


class Circuit:
    """A circuit breaker. It opens for a time that doubles with each probe that fails; any answer closes it."""

    def __init__(self) -> None:
        self.probing = False
        """Whether the probe is on its way."""
        self.until: float | None = None
        """When the probe may go, on the clock; None while it is closed."""
        self._failures = 0
        self._open_s = FIRST_OPEN_S

    def probe(self) -> bool:
        """Whether the request that now goes is the probe."""
        self.probing = self.until is not None
        return self.probing

    def answered(self) -> None:
        """The server has answered somebody."""
        self.until, self._failures, self._open_s = None, 0, FIRST_OPEN_S

    def failed(self, now: float, probe: bool) -> None:
        """One more failure. Those of requests that went before it opened say nothing new."""
        self._failures += 1
        if probe or (self.until is None and self._failures >= FAILURES):
            self.until = now + self._open_s
            self._open_s = min(2 * self._open_s, LONGEST_OPEN_S)
