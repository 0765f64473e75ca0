"""Hedge: a request that is slow is sent once more, and the first answer counts (Dean and Barroso 2013)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from archc.calls import CallError, Completion, Request
from archc.runtime.fair_queue import Turn
from archc.runtime.lane import Lane

Drawn = tuple[Completion, ...]


class Second:
    """What became of the request that did not win."""

    sent = False
    """Whether it left: then it may have to be paid for."""
    drawn: Drawn = ()
    """What it brought, if it came in at the same moment."""
    billed = True
    """Whether it may have been billed, where it brought nothing."""


async def hedged(
    lane: Lane, request: Request, turn: Turn, after: float, sleep: Callable[[float], Awaitable[None]], other: Second
) -> Drawn:
    """The completions of whichever request answers first; the second one leaves after so many seconds, in a place of
    its own. `other` is told of the loser. Raises CallError if both fail, or the first does before the second has left.
    """

    async def again() -> Drawn:
        async with lane.slot(turn):
            other.sent = True
            return await lane.backend.complete(request)

    first: asyncio.Task[Drawn] = asyncio.ensure_future(lane.backend.complete(request))
    waiting = asyncio.ensure_future(sleep(after))
    second: asyncio.Task[Drawn] | None = None
    try:
        await asyncio.wait({first, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if first.done():
            return first.result()
        second = asyncio.ensure_future(again())
        await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
        if _failed(first) or _failed(second):
            await asyncio.wait({first, second})
        if _failed(first) and _failed(second):
            raise _worse(first.exception(), second.exception())
        winner, loser = (first, second) if first.done() and not _failed(first) else (second, first)
        if loser.done():
            failure = loser.exception()
            other.drawn = () if failure else loser.result()
            other.billed = not isinstance(failure, CallError) or failure.billed
        return winner.result()
    finally:
        running = [task for task in (first, waiting, second) if task and not task.done()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


def _worse(one: BaseException | None, other: BaseException | None) -> BaseException:
    """The failure to tell, which may have been billed if either was."""
    assert one
    if isinstance(one, CallError) and isinstance(other, CallError):
        one.billed = one.billed or other.billed
    return other if other and not isinstance(other, CallError) else one


def _failed(task: asyncio.Future[Any]) -> bool:
    return task.done() and task.exception() is not None
