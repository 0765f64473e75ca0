"""Pulse: what goes on at this moment, folded from events: calls in flight, tokens a second, spending."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from archc.calls import Spend
from archc.runtime.trace import Event
from archc.spec.model import Budget

WINDOW_S: Final = 15.0
"""How far back `tokens a second` looks: what ran an hour ago says nothing of now."""


@dataclass
class Pulse:
    """A listener; times are in seconds since the session began."""

    spent: Spend = field(default_factory=Spend)
    before: Spend = field(default_factory=Spend)
    """What earlier starts of the run spent, which counts against its limits."""
    flying: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Calls in flight by question and node."""
    _recent: deque[tuple[float, int]] = field(default_factory=deque)
    """When calls ended, and their tokens."""

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        match event["event"]:
            case "session":
                self.before = Spend(*event.get("spent", ()))
            case "sending":
                self.flying[event["query"], event["node"]] += event["calls"]
            case "call":
                if event.get("sent") is not None:  # else it was called off before it left
                    self._landed((event["query"], event["node"]), len(event["samples"]))
                tokens = event["prompt_tokens"], event["completion_tokens"]
                self.spent += Spend(event["calls"], *tokens, event["usd"])
                if event["outcome"] == "ok":  # of others it is the worst case
                    self._recent.append((event["at"], sum(tokens)))

    def _landed(self, place: tuple[str, str], calls: int) -> None:
        left = self.flying[place] - calls
        if left > 0:
            self.flying[place] = left
        else:
            del self.flying[place]

    def tokens_per_second(self, now: float) -> float:
        """Over the last `WINDOW_S` seconds, or since the begin."""
        while self._recent and self._recent[0][0] < now - WINDOW_S:
            self._recent.popleft()
        return sum(tokens for _, tokens in self._recent) / max(1.0, min(WINDOW_S, now))

    def spending(self, now: float, budgets: Sequence[Budget | None]) -> str:
        """What was spent, against the nearest of the limits that hold for all of it."""
        spent = self.before + self.spent
        parts = [
            _against(f"{spent.calls:,}", _least(budgets, "calls"), " calls"),
            _against(f"{spent.tokens:,}", _least(budgets, "tokens"), " tokens"),
        ]
        for unit, used in (("prompt_tokens", spent.prompt), ("completion_tokens", spent.completion)):
            if (limit := _least(budgets, unit)) is not None:
                parts.append(_against(f"{used:,}", limit, f" {unit.replace('_', ' ')}"))
        if (usd := _least(budgets, "usd")) is not None or spent.usd:
            parts.append(_against(f"{spent.usd:,.4f}", usd, " USD"))
        if (seconds := _least(budgets, "seconds")) is not None:
            parts.append(_against(f"{now:,.0f}", seconds, " s"))
        return ", ".join(parts)

    def line(self, now: float, budgets: Sequence[Budget | None] = ()) -> str:
        """All of it in one line."""
        flying = self.flying.total()
        return f"{flying:,} in flight, {self.tokens_per_second(now):,.0f} tokens/s; {self.spending(now, budgets)}"


def _least(budgets: Sequence[Budget | None], unit: str) -> float | None:
    limits = (getattr(budget, unit) for budget in budgets if budget)
    return min((limit for limit in limits if limit is not None), default=None)


def _against(used: str, limit: float | None, unit: str) -> str:
    return used + unit if limit is None else f"{used} of {limit:,.10g}{unit}"
