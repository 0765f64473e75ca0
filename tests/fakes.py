"""A world for the runtime: a scripted backend, time that jumps instead of passing, and specs in a line.

backend = Scripted(lambda request, i: f"sample {request.seeds[i]}", takes=1.0)
run = answer(plan_of("- generate: {model: m, n: 4}"), backend)
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from archc import api
from archc.calls import (
    USUAL_LIMITS,
    Backend,
    BackendOptions,
    CallError,
    Capabilities,
    Completion,
    KeyFor,
    Limits,
    Outcome,
    Request,
    Usage,
)
from archc.ir.graph import Model
from archc.planning.plan import Plan
from archc.runtime.engine import World
from archc.runtime.run import Run
from archc.runtime.session import Session
from archc.runtime.trace import Event, Listener
from archc.sandbox.pool import Sandbox
from archc.source import Source
from archc.spec.model import Budget

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """Instead of waiting for a timer, moves the clock on to it."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still while anything can run. Threads must not be waited for beside timers."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


Answer = str | Completion | CallError
Reply = Callable[[Request, int], Answer]
"""From a request and the position of a completion in it to what comes back; an error fails the whole request."""


def echo(request: Request, i: int) -> str:
    """A text that differs for every sample."""
    return f"answer {request.seeds[i] % 97} to {request.messages[-1].content}"


@dataclass(frozen=True)
class Sent:
    """One request as it came."""

    request: Request
    at: float


class Scripted(Backend):
    """Replies as told, after `takes` virtual seconds (for all, or by request), and records everything."""

    Options = BackendOptions
    capabilities: ClassVar = Capabilities(n=True, logprobs=True, schema=True, seed=True)

    def __init__(self, reply: Reply = echo, takes: float | Callable[[Request], float] = 0.0) -> None:
        self._reply, self._takes, self.name = reply, takes, "m"
        self.sent: list[Sent] = []
        self.in_flight = self.most_in_flight = self.finished = self.cancelled = 0
        self.started = self.closed = False
        self._changed = asyncio.Event()
        self.takes = self.capabilities

    @property
    def able(self) -> Capabilities:
        return self.takes

    @property
    def fingerprint(self) -> str:
        return f"scripted:{self.name}"

    @property
    def requests(self) -> list[Request]:
        return [sent.request for sent in self.sent]

    @property
    def completions(self) -> int:
        """How many were asked for."""
        return sum(request.n for request in self.requests)

    async def start(self) -> None:
        self.started = True

    async def close(self) -> None:
        self.closed = True

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for something to be true of this backend."""
        while not condition():
            self._changed = asyncio.Event()
            await self._changed.wait()

    async def complete(self, request: Request) -> tuple[Completion, ...]:
        assert self.started
        assert not self.closed
        self.sent.append(Sent(request, now()))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self._changed.set()
        try:
            takes = self._takes(request) if callable(self._takes) else self._takes
            await (asyncio.sleep(takes) if takes < float("inf") else asyncio.Event().wait())
            self.finished += 1
            return tuple(self._completion(request, i) for i in range(request.n))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
            self._changed.set()

    def _completion(self, request: Request, i: int) -> Completion:
        answer = self._reply(request, i)
        if isinstance(answer, CallError):
            raise answer
        return answer if isinstance(answer, Completion) else Completion(answer, usage=usage_of(request, answer, i))


class ScriptedSandbox(Sandbox):
    """Says of each test what `verdict` says, after `takes` virtual seconds; runs nothing, and counts."""

    workers = 2

    def __init__(self, verdict: Callable[[str, str], str] | None = None, takes: float = 0.0) -> None:
        self._verdict, self._takes = verdict or by_chance, takes
        self.tested: list[tuple[str, str]] = []
        self.cancelled = self.running = self.most_running = 0
        self.begun = asyncio.Event()
        """That a test runs."""

    async def start(self) -> None:
        """Is there."""

    async def close(self) -> None:
        assert self.running == 0

    async def test(
        self, program: str, test: str, entry: str | None = None, limits: Limits = USUAL_LIMITS, trusted: str = ""
    ) -> Outcome:
        self.tested.append((program, test))
        self.running += 1
        self.begun.set()
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self._takes)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        said = self._verdict(program, test)
        return Outcome("failed", said) if said else Outcome("passed")


def by_chance(program: str, test: str) -> str:
    """A verdict that the texts decide."""
    return "no" if sha256(f"{program}|{test}".encode(errors="replace")).digest()[0] % 2 else ""


def usage_of(request: Request, text: str, i: int) -> Usage:
    """What an honest server counts: four bytes a token, never above `max_tokens`; the prompt once."""
    written = min(-(-len(text.encode(errors="replace")) // 4), request.sampling.max_tokens)
    prompt = sum(len(m.content.encode(errors="replace")) // 4 + 4 for m in request.messages) if i == 0 else 0
    return Usage(prompt, written)


def plan_of(pipeline: str, *, model: str = "", budget: str = "", n: bool = True) -> Plan:
    """A plan over the models `m` and `other`; `n`: whether they take several completions in one request."""
    shared = f"backend: simulated{', ' if model else ''}{model}"
    lines = "\n".join(f"  {line}" for line in pipeline.strip().splitlines())
    text = f"name: test\nmodels:\n  m: {{{shared}}}\n  other: {{{shared}, model: other}}\n"
    text += (f"budget: {{{budget}}}\n" if budget else "") + f"pipeline:\n{lines}\n"
    return with_n(api.compile(Source("test.yaml", text)), n)


def with_n(plan: Plan, n: bool) -> Plan:
    """The plan for models that take, or do not take, several completions in one request."""
    models = tuple(replace(m, capabilities=replace(m.capabilities, n=n)) for m in plan.graph.models)
    return replace(plan, graph=replace(plan.graph, models=models))


def with_concurrency(plan: Plan, concurrency: int) -> Plan:
    """The plan with at most so many requests in flight per model."""
    models = tuple(
        replace(m, shared=m.shared.model_copy(update={"concurrency": concurrency})) for m in plan.graph.models
    )
    return replace(plan, graph=replace(plan.graph, models=models))


def world(backend: Backend | Mapping[str, Backend], sandbox: Sandbox | None = None) -> World:
    """A world of virtual time with one backend for all models, or one by name, and a sandbox that runs nothing."""

    def connect(model: Model, key_for: KeyFor) -> Backend:
        one = backend if isinstance(backend, Backend) else backend[model.name]
        if isinstance(one, Scripted):
            one.takes = model.capabilities
            if one is not backend:
                one.name = model.name  # another model, and so other calls
        return one

    return World(
        now, asyncio.sleep, lambda place, variable: None, connect, sandbox=lambda: sandbox or ScriptedSandbox()
    )


def session(
    plan: Plan,
    backend: Backend | Mapping[str, Backend],
    *,
    seed: int = 0,
    journal: Path | None = None,
    budget: Budget | None = None,
    listeners: Iterable[Listener] = (),
    name: str = "",
    sandbox: Sandbox | None = None,
) -> Session:
    """A session in that world."""
    return Session(
        plan, world(backend, sandbox), seed=seed, journal=journal, budget=budget, listeners=tuple(listeners), name=name
    )


def answer(plan: Plan, backend: Backend | Mapping[str, Backend], question: str = "What is 2 + 2?", **kw: Any) -> Run:
    """Runs one question from start to end, in virtual time."""

    async def main() -> Run:
        async with session(plan, backend, **kw) as open_session:
            return await open_session.answer(question)

    return run(main())


class Events:
    """A listener that keeps all it hears."""

    def __init__(self) -> None:
        self.all: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.all.append(event)

    def named(self, name: str) -> list[Event]:
        return [event for event in self.all if event["event"] == name]
