"""Budget: nothing is sent whose worst case does not fit; what was reserved and not used comes back.

Several scopes may hold at once (this question, this run): a call needs room in all of them.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from archc.calls import MESSAGE_TOKENS, NOTHING, Completion, Conversation, Sampling, Spend, Usage
from archc.spec.model import Budget, Price


def worst_case(messages: Conversation, sampling: Sampling, price: Price | None) -> Spend:
    """The most that one completion can cost. A byte-level tokeniser makes at most a token of every byte."""
    prompt = sum(len(m.content.encode("utf-8", "surrogatepass")) + MESSAGE_TOKENS for m in messages)
    return priced(1, Usage(prompt, sampling.max_tokens), price)


def priced(calls: int, usage: Usage, price: Price | None) -> Spend:
    """What a usage costs; `usd` stays 0 without a price, which lowering refuses where USD are limited."""
    usd = (usage.prompt * price.prompt + usage.completion * price.completion) / 1e6 if price else 0.0
    return Spend(calls, usage.prompt, usage.completion, usd)


def used(completions: Iterable[Completion]) -> Usage:
    """The tokens of all of them."""
    usages = [one.usage for one in completions]
    return usages[0] if len(usages) == 1 else sum(usages, Usage())


@dataclass
class Scope:
    """One budget and what has been spent and reserved of it."""

    name: str
    limit: Budget
    spent: Spend = field(default_factory=Spend)
    reserved: Spend = field(default_factory=Spend)
    deadline: float | None = None
    """When its seconds are over, on the clock."""
    block: str = ""
    """The block it is that of, if it is one's: then its end is no end of the run."""
    shared: bool = False
    """Whether several questions spend from it: then what is left is no one's to count with."""
    base: Spend = NOTHING
    """What had led to its begin."""
    refused: bool = False
    """Whether something was not sent for want of it."""

    @cached_property
    def limited(self) -> bool:
        """Whether anything but time is limited."""
        return bool(self.limit.limited)

    @cached_property
    def meters(self) -> bool:
        """Whether it limits what only the answer tells: tokens or money."""
        return bool(self.limit.limited - {"calls"})

    def lacks(self, more: Spend) -> str:
        """What there is too little of for `more` beside what is spent; empty if it fits."""
        after, limits = self.spent + more, self.limit
        for unit, used, limit in (
            ("calls", after.calls, limits.calls),
            ("tokens", after.tokens, limits.tokens),
            ("prompt tokens", after.prompt, limits.prompt_tokens),
            ("completion tokens", after.completion, limits.completion_tokens),
            ("USD", round(after.usd, 12), limits.usd),  # three times 0.1 is 0.3 here
        ):
            if limit is not None and used > limit:
                return f"{limit:,} {unit} for {self.name} are not enough"
        return ""

    def left(self, drawn: Spend) -> Spend:
        """What is left of its limits after what has led here; nothing where it has none."""
        used = drawn - self.base
        return Spend(
            max(0, (self.limit.calls or 0) - used.calls),
            max(0, (self.limit.tokens or 0) - used.tokens),
            0,
            max(0.0, (self.limit.usd or 0.0) - used.usd),
        )


@dataclass(slots=True)
class _Waiter:
    order: int
    scopes: Sequence[Scope]
    each: Spend
    count: int
    granted: asyncio.Future[int | Scope]


class Ledger:
    """Reserves and settles in several scopes at once. One per session; scopes may be shared between questions.

    Who waits is served in order: a question that began earlier first, so that some are answered before all is spent.
    """

    def __init__(self) -> None:
        self._waiting: list[_Waiter] = []

    async def reserve(self, scopes: Sequence[Scope], each: Spend, count: int, order: int = 0) -> int | Scope:
        """Reserves as many of `count` times `each` as fit, at least one; waits while other reservations are in the way.

        Gives their number; or the scope in which not even one will fit, whatever comes back. The least `order` goes
        first among those that wait.
        """
        if not any(scope.limited for scope in scopes):
            return count
        waiter = _Waiter(order, scopes, each, count, asyncio.get_running_loop().create_future())
        insort(self._waiting, waiter, key=lambda one: one.order)
        self._serve()
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.done() and not waiter.granted.cancelled():
                fit = waiter.granted.result()
                self.settle(scopes, NOTHING if isinstance(fit, Scope) else each * fit, NOTHING)
            raise

    def settle(self, scopes: Sequence[Scope], reserved: Spend, spent: Spend) -> None:
        """Gives a reservation back and books what was really spent."""
        for scope in scopes:
            if scope.limited:
                scope.reserved -= reserved
            scope.spent += spent
        self._serve()

    def _serve(self) -> None:
        """Grants in order until somebody must wait for what all share; who waits for its own holds up nobody."""
        for waiter in self._waiting:
            if waiter.granted.done():
                continue
            if fit := _fitting(waiter.scopes, waiter.each, waiter.count):
                for scope in waiter.scopes:
                    if scope.limited:
                        scope.reserved += waiter.each * fit
                waiter.granted.set_result(fit)
            elif lacking := next((scope for scope in waiter.scopes if scope.lacks(waiter.each)), None):
                waiter.granted.set_result(lacking)
            elif any(scope.shared and scope.lacks(scope.reserved + waiter.each) for scope in waiter.scopes):
                break
        if self._waiting:
            self._waiting = [waiter for waiter in self._waiting if not waiter.granted.done()]


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
