"""Loop: the event loop in which commands run."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` in an event loop of its own: uvloop's where it is installed, which is faster."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner, _spared():
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


@contextmanager
def _spared() -> Iterator[None]:
    """Spares what is loaded by now: looking for garbage in it again and again takes a tenth of what a call takes."""
    if gc.get_freeze_count():  # whoever runs this spares something of their own
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
