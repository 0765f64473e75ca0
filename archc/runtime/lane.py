"""Lane: the way to one model, with its limits on concurrency and rate, its circuit breaker and its retries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any

from asyncio_throttle import Throttler  # type: ignore[attr-defined]

from archc.calls import RETRYABLE, Backend, CallError, Completion, Failed, FailureKind, Spend
from archc.ir.graph import Model
from archc.runtime.budget import priced, used
from archc.runtime.circuit import Circuit
from archc.runtime.fair_queue import FairQueue, Turn, Waiter
from archc.runtime.limits import RETRY_SHARE, AdaptiveLimit, RetryBudget, TokenWindow

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
LONGEST_RETRY_AFTER_S = 300.0
ANSWERED_S = 60.0
"""How long an answer shows that the server is well, since most rates are by the minute."""
SHORTEST_SLEEP_S = 1e-3
"""A timer may be early by a rounding error: what is left then is no reason to wake up at once again and again."""

_UNWELL = {FailureKind.RATE_LIMIT, FailureKind.OVERLOAD, FailureKind.CONNECTION, FailureKind.TIMEOUT}


class Unsent(CallError):
    """The failure of the probe, for a request that waited for it and was not sent."""


@dataclass(slots=True)
class Place:
    """One request's place among those in flight: waits on entry, and learns on exit what came of it."""

    lane: Lane
    turn: Turn
    number: int = 0
    sent_at: float = 0.0
    probe: bool = False
    unused: bool = False
    """To be set where nothing was sent: then its end says nothing of the server."""

    async def __aenter__(self) -> Place:
        await self.lane._enter(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lane._leave(self, error)


@dataclass
class Lane:
    """One model's backend behind its limits. `clock`, `sleep` and `random` are handed in.

    Whoever may go takes a place. What has to be waited for by the clock (a rate, a server's Retry-After, an open
    circuit) is waited for at a gate, by one alone: all others stay in the queue, where their order is kept.
    """

    model: Model
    backend: Backend
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    random: random.Random
    _queue: FairQueue = field(default_factory=FairQueue)
    _circuit: Circuit = field(default_factory=Circuit)
    _limit: AdaptiveLimit = field(init=False)
    _retries: RetryBudget = field(init=False)
    _throttle: AbstractAsyncContextManager[Any] | None = None
    _tokens: TokenWindow | None = None
    _taken: int = 0
    """Places."""
    _at_gate: bool = False
    """Whether one of them is that of somebody at the gate."""
    _held_until: float | None = None
    """A server's Retry-After, on the clock."""
    _answered_at: float = float("-inf")

    @cached_property
    def fingerprint(self) -> str:
        """Names what changes the model's answers. Every call's identity has it, so it is found out once."""
        return self.backend.fingerprint

    def __post_init__(self) -> None:
        shared = self.model.shared
        self._limit = AdaptiveLimit(shared.concurrency)
        self._retries = RetryBudget(shared.concurrency)
        if shared.rate and shared.rate.requests:
            self._throttle = Throttler(rate_limit=shared.rate.requests, period=shared.rate.per)
        if shared.rate and shared.rate.tokens:
            self._tokens = TokenWindow(shared.rate.tokens, shared.rate.per)

    def price(self, completions: Sequence[Completion]) -> Spend:
        """What completions cost when they were bought."""
        return priced(len(completions), used(completions), self.model.shared.price)

    def slot(self, turn: Turn) -> Place:
        """To be entered: waits until one more request may be sent, and holds its place; sees a CallError that passes.

        Entering raises CallError where the circuit is open and the probe, for which it waited, failed.
        """
        return Place(self, turn)

    async def pause(self, attempt: int, error: CallError, excused: int = 0) -> bool:
        """Waits before the next try; False if there should be none, with the reason added where it is the lane's.

        `attempt` counts the call's tries from 0; so many of them were excused. Exponential backoff with jitter between
        half and the whole, or what the server asked for.
        """
        if error.failed.kind not in RETRYABLE:
            return False
        if not error.excused and (attempt - excused >= self.model.shared.retries or not self._may_retry(error)):
            return False
        if error.retry_after is not None:
            delay = min(error.retry_after, LONGEST_RETRY_AFTER_S)
        else:
            delay = min(FIRST_BACKOFF_S * 2.0 ** min(attempt, 10), LONGEST_BACKOFF_S) * self.random.uniform(0.5, 1)
        await self.sleep(delay)
        return True

    def _may_retry(self, error: CallError) -> bool:
        """Whether the lane can afford another try, which for what was not sent costs nothing."""
        if error.failed.kind is FailureKind.RATE_LIMIT or isinstance(error, Unsent) or self._retries.take():
            return True
        often = f"not tried again: more than {RETRY_SHARE:.0%} of this model's requests failed"
        error.failed = Failed(error.failed.kind, f"{error.failed.reason} ({often})")
        return False

    # ---- coming in

    async def _enter(self, place: Place) -> None:
        if self._queue or self._is_full():
            gated = await self._wait_for_turn(place.turn)
        else:
            gated = self._take()
        if gated:
            await self._pass_gate(place)
        place.sent_at = self.clock()
        place.number = self._limit.sent(place.sent_at)
        self._retries.sent()

    async def _wait_for_turn(self, turn: Turn) -> bool:
        """Whether it has to go through the gate; it has a place then. Raises CallError."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._queue.push(turn, waiter)
        try:
            called = await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and isinstance(gated := waiter.result(), bool):
                self._give_back(gated)
            raise
        if isinstance(called, CallError):
            raise called
        return called

    def _is_full(self) -> bool:
        return self._at_gate or self._circuit.probing or self._taken >= self._limit.places

    def _take(self) -> bool:
        """Takes a place; whether it leads through the gate."""
        self._taken += 1
        self._at_gate = bool(
            self._throttle
            or self._tokens
            or self._limit.paced
            or self._held_until is not None
            or self._circuit.until is not None
        )
        return self._at_gate

    def _give_back(self, gated: bool) -> None:
        self._taken -= 1
        self._at_gate = self._at_gate and not gated
        self._call()

    def _call(self) -> None:
        """Lets in whom there is room for."""
        while self._queue and not self._is_full():
            if waiter := self._queue.pop():
                waiter.set_result(self._take())

    async def _pass_gate(self, place: Place) -> None:
        tokens = place.turn.tokens
        try:
            while True:
                while (wait := self._seconds_to_wait(tokens)) > 0:
                    await self.sleep(max(wait, SHORTEST_SLEEP_S))
                if not self._throttle:
                    break
                async with self._throttle:  # it polls and keeps no order, but only one is ever here
                    pass
                if self._seconds_to_wait(tokens) <= 0:
                    break
        except BaseException:
            self._give_back(gated=True)
            raise
        if self._tokens:
            self._tokens.take(self.clock(), tokens)
        place.probe = self._circuit.probe()
        self._held_until, self._at_gate = None, False
        self._call()

    def _seconds_to_wait(self, tokens: int) -> float:
        now = self.clock()
        return (
            max(
                self._limit.opens_at() if self._limit.paced else now,
                self._tokens.opens_at(now, tokens) if self._tokens else now,
                self._held_until or now,
                self._circuit.until or now,
            )
            - now
        )

    # ---- going out

    def _leave(self, place: Place, error: BaseException | None) -> None:
        self._taken -= 1
        if place.probe:
            self._circuit.probing = False
        if isinstance(error, CallError):
            self._learn(place, error)
        elif error is None and not place.unused:
            self._answered_at = self.clock()
            self._circuit.answered()
            self._limit.answered(self._answered_at - place.sent_at)
        self._call()

    def _learn(self, place: Place, error: CallError) -> None:
        """What a failure says of the server, and of the other requests that it is to get."""
        now, kind = self.clock(), error.failed.kind
        if error.retry_after and kind in RETRYABLE:
            self._held_until = max(self._held_until or now, now + min(error.retry_after, LONGEST_RETRY_AFTER_S))
        if kind is FailureKind.RATE_LIMIT:
            self._limit.rejected(place.number, now)
        elif kind is FailureKind.OVERLOAD:
            self._limit.overloaded(place.number, now)
        if kind not in _UNWELL:
            self._circuit.answered()
        elif kind is FailureKind.RATE_LIMIT and self._serves_others(now):
            error.excused = True
        else:
            self._circuit.failed(now, place.probe)
            if place.probe:
                for waiter in self._queue.drain():
                    waiter.set_result(Unsent(kind, error.failed.reason))

    def _serves_others(self, now: float) -> bool:
        """Whether the server has just answered somebody, or may be about to."""
        return self._taken > self._at_gate or now - self._answered_at < ANSWERED_S
