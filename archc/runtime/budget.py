"""Budget: nothing is sent whose worst case does not fit; what was reserved and not used comes back.

Several scopes may hold at once (this question, this run): a call needs room in all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from archc.calls import MESSAGE_TOKENS, Conversation, Sampling, Usage
from archc.spec.model import Budget, Price


@dataclass(frozen=True, slots=True)
class Spend:
    """An amount of everything that is limited. Also a count of what was spent."""

    calls: int = 0
    prompt: int = 0
    completion: int = 0
    usd: float = 0.0

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            self.calls + other.calls,
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.usd + other.usd,
        )

    def __sub__(self, other: Spend) -> Spend:
        return self + Spend(-other.calls, -other.prompt, -other.completion, -other.usd)

    def __mul__(self, factor: int) -> Spend:
        return Spend(self.calls * factor, self.prompt * factor, self.completion * factor, self.usd * factor)

    @property
    def tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt + self.completion


def worst_case(messages: Conversation, sampling: Sampling, price: Price | None) -> Spend:
    """The most that one completion can cost. A byte-level tokeniser makes at most a token of every byte."""
    prompt = sum(len(m.content.encode("utf-8", "surrogatepass")) + MESSAGE_TOKENS for m in messages)
    return priced(1, Usage(prompt, sampling.max_tokens), price)


def priced(calls: int, usage: Usage, price: Price | None) -> Spend:
    """What a usage costs; `usd` stays 0 without a price, which lowering refuses where USD are limited."""
    usd = (usage.prompt * price.prompt + usage.completion * price.completion) / 1e6 if price else 0.0
    return Spend(calls, usage.prompt, usage.completion, usd)


@dataclass
class Scope:
    """One budget and what has been spent and reserved of it."""

    name: str
    limit: Budget
    spent: Spend = field(default_factory=Spend)
    reserved: Spend = field(default_factory=Spend)

    @cached_property
    def limited(self) -> bool:
        """Whether anything but time is limited."""
        return any(limit is not None for limit in (self.limit.calls, self.limit.tokens, self.limit.usd))

    def lacks(self, more: Spend) -> str:
        """What there is too little of for `more` beside what is spent; empty if it fits."""
        after = self.spent + more
        for unit, used, limit in (
            ("calls", after.calls, self.limit.calls),
            ("tokens", after.tokens, self.limit.tokens),
            ("USD", round(after.usd, 12), self.limit.usd),  # three times 0.1 is 0.3 here
        ):
            if limit is not None and used > limit:
                return f"{limit:,} {unit} for {self.name} are not enough"
        return ""


class Ledger:
    """Reserves and settles in several scopes at once. One per session; scopes may be shared between questions."""

    def __init__(self) -> None:
        self._settled = asyncio.Event()

    async def reserve(self, scopes: Sequence[Scope], each: Spend, count: int) -> tuple[int, str]:
        """Reserves as many of `count` times `each` as fit, at least one; waits while other reservations are in the way.

        Gives their number; or 0 and what there is too little of, if not even one will fit whatever comes back.
        """
        while not (fit := _fitting(scopes, each, count)):
            if reason := next(filter(None, (scope.lacks(each) for scope in scopes)), ""):
                return 0, reason
            await self._settled.wait()
        for scope in scopes:
            scope.reserved += each * fit
        return fit, ""

    def settle(self, scopes: Sequence[Scope], reserved: Spend, spent: Spend) -> None:
        """Gives a reservation back and books what was really spent."""
        for scope in scopes:
            scope.reserved -= reserved
            scope.spent += spent
        self._settled.set()
        self._settled = asyncio.Event()


def _fitting(scopes: Sequence[Scope], each: Spend, count: int) -> int:
    def fit(number: int) -> bool:
        return not any(scope.limited and scope.lacks(scope.reserved + each * number) for scope in scopes)

    if fit(count):
        return count
    low, high = 0, count - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fit(middle) else (low, middle - 1)
    return low
