"""What commands that ask models have in common: how they are stopped, what they say of earlier starts, their budget."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from signal import SIGINT
from typing import Any, Protocol, TypeVar

from rich.console import Console

from archc import api
from archc.backends.weights import progress
from archc.cli._screen import downloading
from archc.runtime.session import Session
from archc.spec.model import Budget
from archc.spec.validation import as_options

T = TypeVar("T")


class Stoppable(Protocol):
    """What Ctrl-C stops."""

    @property
    def stopped(self) -> bool:
        """Whether nothing more is sent."""

    def stop(self) -> None:
        """Sends nothing more."""


def shown(text: str) -> str:
    """The text with control characters, which could steer a terminal, and half surrogate pairs as escapes."""
    return _CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}", text).encode("utf-8", "backslashreplace").decode()


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


async def to_its_end(work: Coroutine[Any, Any, T], session: Stoppable, console: Console) -> T:
    """What the work comes to; the first Ctrl-C only ends the sending, the second one cancels everything."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

    def interrupted() -> None:
        if session.stopped:
            task.cancel()
        else:
            session.stop()
            console.print(
                "stopping when what is under way is there; Ctrl-C again stops now", markup=False, soft_wrap=True
            )

    loop.add_signal_handler(SIGINT, interrupted)
    try:
        return await task
    finally:
        loop.remove_signal_handler(SIGINT)


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """`api.run_loop`, with a second Ctrl-C as KeyboardInterrupt."""
    try:
        return api.run_loop(work)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def tell_past(session: Session, console: Console) -> None:
    """What an earlier start of the same command left in doubt."""
    if doubts := session.past.doubts:
        attempts = "1 call was" if doubts == 1 else f"{doubts:,} calls were"
        console.print(
            f"run {session.run} goes on: {attempts} under way when it was killed, so nobody knows whether they were "
            "paid for; they count in full, and may be bought again",
            markup=False,
            soft_wrap=True,
        )


@contextmanager
def fetching(console: Console) -> Iterator[None]:
    """Shows the download of the embedded model's weights, if there is one."""
    bar, moved = downloading(console, "fetching the embedded model")
    token = progress.set(moved)
    try:
        yield
    finally:
        progress.reset(token)
        bar.stop()


def budget_of(words: list[str]) -> Budget | None:
    """What `--budget` says. Raises SpecError."""
    if not words:
        return None
    return as_options(Budget, dict(word.partition("=")[::2] for word in words), "--budget ")
