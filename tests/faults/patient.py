"""An event loop for real sockets in virtual time: an hour of hanging connections passes in a moment.

Time jumps to the next timer only when no socket of this process has anything to say (what goes through the loopback
device is there at once) and no thread is at work for the loop. So nothing depends on how fast the machine is, and a
scene with the same seed goes the same way again.
"""

from __future__ import annotations

import asyncio
import inspect
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")


class _Patient(selectors.DefaultSelector):
    now = 0.0
    at_work = 0
    """How many calls wait for a thread."""

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self.at_work:
            return super().select(10.0)  # real time: the thread wakes the loop
        ready = super().select(0) or super().select(0)
        if not ready:
            self.now += timeout
        return ready


class PatientLoop(asyncio.SelectorEventLoop):
    """Its sockets and both ends of their connections must belong to this process."""

    def __init__(self) -> None:
        self.patient = _Patient()
        super().__init__(self.patient)

    def time(self) -> float:
        return self.patient.now

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        self.patient.at_work += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(lambda _: self._less())
        return future

    def _less(self) -> None:
        self.patient.at_work -= 1

    def with_thread(self, cls: type[T]) -> type[T]:
        """The class, whose futures are those of a thread of its own: time stands still until they are done."""
        methods = {name: self._waited(method) for name, method in vars(cls).items() if inspect.isfunction(method)}
        return type(cls.__name__, (cls,), methods)

    def _waited(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def waited(*args: Any, **named: Any) -> Any:
            given = method(*args, **named)
            if asyncio.isfuture(given):
                self.patient.at_work += 1
                given.add_done_callback(lambda _: self._less())
            return given

        return waited


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in this loop."""
    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        return runner.run(work)
