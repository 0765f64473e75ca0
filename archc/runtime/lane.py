"""Lane: the way to one model, with its limits on concurrency and rate, and its retries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from asyncio_throttle import Throttler  # type: ignore[attr-defined]

from archc.calls import RETRYABLE, Backend, CallError
from archc.ir.graph import Model

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
LONGEST_RETRY_AFTER_S = 300.0


@dataclass
class Lane:
    """One model's backend behind its limits. `sleep` and `random` are handed in."""

    model: Model
    backend: Backend
    sleep: Callable[[float], Awaitable[None]]
    random: random.Random
    _gate: asyncio.Semaphore = field(init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _throttle: AbstractAsyncContextManager[Any] | None = field(init=False)

    @property
    def fingerprint(self) -> str:
        """Names what changes the model's answers."""
        return self.backend.fingerprint

    def __post_init__(self) -> None:
        self._gate = asyncio.Semaphore(self.model.shared.concurrency)
        rate = self.model.shared.rate
        self._throttle = Throttler(rate_limit=rate.requests, period=rate.per) if rate else None

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Waits until one more request may be sent, and holds its place."""
        async with self._gate:
            if self._throttle:
                # It polls and keeps no order among those who wait, so only one ever waits there.
                async with self._turn, self._throttle:
                    pass
            yield

    async def pause(self, attempt: int, error: CallError) -> bool:
        """Waits before the next try, counted from 0; False if there should be none.

        Exponential backoff with full jitter between half and the whole, or what the server asked for.
        """
        if error.failed.kind not in RETRYABLE or attempt >= self.model.shared.retries:
            return False
        if error.retry_after is not None:
            delay = min(error.retry_after, LONGEST_RETRY_AFTER_S)
        else:
            delay = min(FIRST_BACKOFF_S * 2**attempt, LONGEST_BACKOFF_S) * self.random.uniform(0.5, 1)
        await self.sleep(delay)
        return True
