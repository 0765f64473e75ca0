"""Cost: bounds on calls, tokens and money."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from archc.ir.graph import Model
from archc.ir.op import Calls
from archc.planning.flops import eflops
from archc.spec.model import Budget
from archc.values import Interval


@dataclass(frozen=True, slots=True)
class Cost:
    """Bounds of a node or of a whole plan. `usd` is None where a price is not known.

    `calls` are completions drawn. The upper ends hold for every run whose questions have at most the planned tokens
    and whose models count tokens alike; retries of failed attempts come on top. The lower ends hold when no call fails
    and no budget is short.
    """

    calls: Interval
    prompt_tokens: Interval
    completion_tokens: Interval
    usd: tuple[float, float] | None
    eflops: float | None = None
    """Operations at most, with what reading memory is worth (see `flops`); None where a model's shape is not known."""

    @property
    def tokens(self) -> Interval:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Cost) -> Cost:
        if self is FREE or other is FREE:
            return self if other is FREE else other
        usd = None
        if self.usd is not None and other.usd is not None:
            usd = (self.usd[0] + other.usd[0], self.usd[1] + other.usd[1])
        return Cost(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            usd,
            None if self.eflops is None or other.eflops is None else self.eflops + other.eflops,
        )

    def __mul__(self, times: Interval) -> Cost:
        usd = None if self.usd is None else (self.usd[0] * times.lo, self.usd[1] * times.hi)
        eflops = None if self.eflops is None else self.eflops * times.hi
        return Cost(self.calls * times, self.prompt_tokens * times, self.completion_tokens * times, usd, eflops)

    def hull(self, other: Cost) -> Cost:
        """What holds whichever of the two it is."""
        usd = None
        if self.usd is not None and other.usd is not None:
            usd = (min(self.usd[0], other.usd[0]), max(self.usd[1], other.usd[1]))
        return Cost(
            self.calls.hull(other.calls),
            self.prompt_tokens.hull(other.prompt_tokens),
            self.completion_tokens.hull(other.completion_tokens),
            usd,
            None if self.eflops is None or other.eflops is None else max(self.eflops, other.eflops),
        )

    def within(self, limit: Budget) -> Cost:
        """At most what a budget allows."""
        usd = self.usd
        if limit.usd is not None and usd is not None:
            usd = (min(usd[0], limit.usd), min(usd[1], limit.usd))
        kept = self if limit.calls is None else replace(self, calls=self.calls.at_most(limit.calls))
        prompt, completion = kept.prompt_tokens, kept.completion_tokens
        for most in (limit.tokens, limit.prompt_tokens):
            prompt = prompt if most is None else prompt.at_most(most)
        for most in (limit.tokens, limit.completion_tokens):
            completion = completion if most is None else completion.at_most(most)
        return replace(kept, prompt_tokens=prompt, completion_tokens=completion, usd=usd)

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form; intervals are `[lo, hi]`."""
        return {
            "calls": [self.calls.lo, self.calls.hi],
            "prompt_tokens": [self.prompt_tokens.lo, self.prompt_tokens.hi],
            "completion_tokens": [self.completion_tokens.lo, self.completion_tokens.hi],
            "tokens": [self.tokens.lo, self.tokens.hi],
            "usd": list(self.usd) if self.usd is not None else None,
            "eflops": self.eflops,
        }


FREE = Cost(Interval(0, 0), Interval(0, 0), Interval(0, 0), (0.0, 0.0), 0.0)


def cost_of(calls: Calls, model: Model) -> Cost:
    """What one kind of call costs with a model. One that is hedged may be sent twice."""
    if model.shared.hedge is not None:
        calls = replace(calls, count=Interval(calls.count.lo, 2 * calls.count.hi))
    prompt = calls.count * calls.prompt
    completion = Interval(0, calls.count.hi * calls.completion)
    rate = model.shared.price
    usd = None
    if rate:
        at = (rate.prompt / 1e6, rate.completion / 1e6)
        usd = (prompt.lo * at[0] + completion.lo * at[1], prompt.hi * at[0] + completion.hi * at[1])
    elif calls.count.hi == 0:
        usd = (0.0, 0.0)
    shape = model.shared.shape
    each = eflops(shape, calls.prompt.hi, calls.completion) if shape else None
    total = 0.0 if calls.count.hi == 0 else None if each is None else calls.count.hi * each
    return Cost(calls.count, prompt, completion, usd, total)
