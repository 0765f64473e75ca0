"""A scene: some questions asked of a hostile server under random limits, then of an honest one from the same journal.

Everything in it follows from its seed. What an undisturbed run comes to is found first, on a server of its own.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import ClassVar, cast

import pytest

from archc import api
from archc.backends.openai import OpenAI
from archc.calls import Backend, BackendOptions, CallError, Capabilities, Completion, KeyFor, Request
from archc.ir.graph import Model
from archc.planning.plan import Plan
from archc.runtime import engine as engines
from archc.runtime.engine import World
from archc.runtime.journal import Journal
from archc.runtime.run import Run
from archc.runtime.session import Session
from archc.runtime.trace import Event
from archc.source import Source
from archc.spec.model import Budget
from tests.fakes import Events, now
from tests.faults.bodies import FAULTS
from tests.faults.hostile import Hostile, hostile
from tests.faults.patient import PatientLoop
from tests.faults.truth import Sample, samples_of

PRICE = (1.0, 3.0)
"""USD for a million tokens of the prompt, and of the completion."""

TIMEOUT_S = 20.0
"""Of one request; virtual seconds, as all here."""

LONGEST_S = 500_000.0
"""No scene may take longer: then something waits for ever."""


@dataclass(frozen=True)
class Template:
    """A pipeline; `fixed`: whether the same answers always give the same result, however late or dear they were."""

    pipeline: str
    fixed: bool = True


TEMPLATES = (
    Template("- generate: {model: m, n: 4}\n- critique: {model: m, by: each}\n- rank: m\n- fuse: m"),
    Template("- generate: {model: m, n: 6, logprobs: true}\n- score: {by: logprob}\n- select: score"),
    Template("- generate: {model: m, n: 3}\n- verify: {model: m, votes: 3}\n- fuse: {model: m, n: 2}"),
    Template("- generate: {model: m, n: 9, max_tokens: 40}\n- extract: number\n- vote"),
    Template("- - generate: {model: m, n: 2}\n  - generate: {model: m, n: 3, max_tokens: 200}\n- fuse: m"),
    Template("- write_tests: {model: m, n: 2}\n- generate: {model: m, n: 3}\n- evaluate: m"),
    Template("- generate: {model: m, n: 2}\n- repeat: {times: 2, do: [critique: m, refine: m]}"),
    Template(
        "- until: {condition: agreement > 60%, max: 8, batch: 2, do: [generate: m, extract: number]}\n- vote\n- fuse: m"
    ),
    Template(
        "- generate: {model: m, n: 4}\n- extract: number\n"
        "- when: {condition: agreement > 60%, then: [vote], else: [score: m, select: score]}"
    ),
    Template("- generate: {model: m, n: 3}\n- each: {do: [critique: m, refine: m]}\n- score: m\n- select: score"),
    Template("- generate: {model: m, n: 5}\n- fold: {window: 2, do: [fuse: {model: m}]}"),
    Template("- deadline: {seconds: 40, do: [generate: {model: m, n: 4}, critique: m, fuse: m]}"),
    Template("- budget: {calls: 6, do: [generate: {model: m, n: 4}, critique: {model: m, by: each}, fuse: m]}", False),
    Template("- race: {branches: [[generate: {model: m, n: 3}, fuse: m], [generate: {model: m, n: 2}]]}", False),
)

BUDGETS: tuple[dict[str, tuple[float, float]], ...] = (
    {},
    {"calls": (3, 60)},
    {"tokens": (3_000, 60_000)},
    {"usd": (0.004, 0.1)},
    {"calls": (5, 60), "tokens": (3_000, 60_000), "usd": (0.004, 0.1)},
    {"seconds": (5, 200)},
)


SINGLE = "stale second reply, later"
"""It comes when the next request is on its way: only a connection for each request is safe from it."""


@dataclass(frozen=True)
class Setting:
    """What a scene's seed decides."""

    seed: int
    template: Template
    own: Budget
    """Of each question."""
    shared: Budget | None
    """Of all of them."""
    concurrency: int
    retries: int
    n: bool
    dead: bool
    """Whether there is a second replica, at which nobody listens."""
    questions: int
    rate: float
    mix: tuple[str, ...]
    bytes_per_token: int
    stopped: float | None
    """When everything is cancelled, as Ctrl-C does."""

    @classmethod
    def of(cls, seed: int) -> Setting:
        """The setting of a seed."""
        rng = Random(seed)
        names = sorted(FAULTS if seed % 3 == 0 else FAULTS.keys() - {SINGLE})
        mixes = [names, names, [n for n in names if n.startswith("429")], rng.sample(names, 6)]
        return cls(
            seed,
            rng.choice(TEMPLATES),
            _budget(rng),
            rng.choice([None, _budget(rng)]),
            rng.choice([1, 3, 16, 64]),
            rng.randint(0, 6),
            rng.random() < 0.7,
            rng.random() < 0.3,
            rng.randint(2, 6),
            rng.choice([0.3, 0.6, 0.9]),
            tuple(rng.choice(mixes)),
            rng.choice([4, 4, 1]),
            rng.uniform(0.5, 60.0) if rng.random() < 0.15 else None,
        )

    @property
    def keep_alive(self) -> bool:
        """Whether a connection serves several requests: no with the fault that nobody could see then."""
        return SINGLE not in self.mix

    def plan(self, *urls: str, limited: bool) -> Plan:
        """The plan against these servers, with or without the questions' own budget."""
        model = f"backend: openai, model: m, base_url: {list(urls)}, n: {str(self.n).lower()}, timeout: {TIMEOUT_S}"
        model += f", keep_alive: {str(self.keep_alive).lower()}"
        model += f", concurrency: {self.concurrency}, retries: {self.retries}"
        model += f", price: {{prompt: {PRICE[0]}, completion: {PRICE[1]}}}"
        limits = self.own.model_dump(exclude_none=True, include={"calls", "tokens", "usd", "seconds"})
        budget = f"budget: {limits}\n" if limited and limits else ""
        lines = "\n".join(f"  {line}" for line in self.template.pipeline.splitlines())
        return api.compile(Source("s.yaml", f"name: s\nmodels:\n  m: {{{model}}}\n{budget}pipeline:\n{lines}\n"))


def _budget(rng: Random) -> Budget:
    limits = rng.choice(BUDGETS)
    drawn = {unit: rng.uniform(*ends) for unit, ends in limits.items()}
    return Budget.model_validate({u: v if u in ("usd", "seconds") else int(v) for u, v in drawn.items()})


@dataclass(frozen=True)
class Attempt:
    """One request as the backend's caller saw it."""

    samples: tuple[Sample, ...]
    outcome: str
    """`ok`, the kind of failure, or `aborted`."""
    charged: bool
    """Whether archc must count it as paid."""
    seconds: float
    completions: tuple[Completion, ...] = ()


class Recorder(Backend):
    """The openai backend, with every attempt written down. Its fingerprint is the same on any port."""

    Options = BackendOptions
    capabilities: ClassVar = Capabilities()

    def __init__(self, inner: Backend, server: Hostile, attempts: list[Attempt], table: Counter[tuple[str, str]]):
        self._inner, self._server, self._attempts, self._table = inner, server, attempts, table

    @property
    def fingerprint(self) -> str:
        return "hostile"

    @property
    def able(self) -> Capabilities:
        return self._inner.able

    async def start(self) -> None:
        await self._inner.start()

    async def close(self) -> None:
        await self._inner.close()

    async def complete(self, request: Request) -> tuple[Completion, ...]:
        began, samples = now(), tuple(samples_of(request))

        def note(outcome: str, charged: bool, completions: tuple[Completion, ...] = ()) -> None:
            self._attempts.append(Attempt(samples, outcome, charged, now() - began, completions))
            for fault in [fault for sample in samples for fault in self._server.met.pop(sample, [])]:
                self._table[fault, outcome] += 1

        try:
            done = await self._inner.complete(request)
        except CallError as error:
            note(error.failed.kind, error.billed)
            raise
        except BaseException as error:
            note("aborted" if isinstance(error, asyncio.CancelledError) else repr(error), True)
            raise
        note("ok", True, done)
        return done


@dataclass
class Act:
    """One session's questions: what came of them, and what both ends saw."""

    runs: dict[str, Run] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What must never happen, and did."""


@dataclass
class Scene:
    """All that the checker needs."""

    setting: Setting
    calm: Act = field(default_factory=Act)
    disturbed: Act = field(default_factory=Act)
    again: Act = field(default_factory=Act)
    """After the disturbance, from its journal, with an honest server and no limits."""
    table: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often a fault led to an outcome of its attempt."""
    server: Hostile = field(init=False)
    """Of the last two acts."""
    journal: Path = Path()
    leaks: list[str] = field(default_factory=list)


Wrap = Callable[[Backend], Backend]
"""Something put around a backend."""


def bare(backend: Backend) -> Backend:
    """Nothing around it."""
    return backend


async def play(setting: int | Setting, folder: Path, within: Wrap = bare, around: Wrap = bare) -> Scene:
    """Plays a scene, or that of a seed, in an empty folder, on a `PatientLoop`.

    For tests of the checker: `within` spoils what the recorder sees of the disturbed act, `around` what archc does.
    """
    setting = setting if isinstance(setting, Setting) else Setting.of(setting)
    scene, seed = Scene(setting, journal=folder / "journal"), setting.seed
    tasks, files = asyncio.all_tasks(), _descriptors()
    with _patient_journal(), _dead_port() as dead:
        async with hostile(folder / "calm.jsonl", seed) as server:
            await _act(scene, scene.calm, server, setting.plan(server.url, limited=False), folder / "calm")
        async with hostile(folder / "ledger.jsonl", seed, setting.mix, setting.bytes_per_token) as scene.server:
            server = scene.server
            server.rate = setting.rate
            plan = setting.plan(server.url, *([dead] if setting.dead else []), limited=True)
            await _act(scene, scene.disturbed, server, plan, scene.journal, within, around)
            await asyncio.sleep(60)  # of virtual time: the server bills what was given up
            server.rate = 0.0
            await _act(scene, scene.again, server, setting.plan(server.url, limited=False), scene.journal)
            await asyncio.sleep(60)
    await asyncio.sleep(0.1)

    def left() -> list[str]:
        known = {"calm.jsonl", "ledger.jsonl"}
        known |= {journal + end for journal in ("calm", "journal") for end in ("", "-wal", "-shm")}
        return [
            *(f"task {task}" for task in asyncio.all_tasks() - tasks),
            *(f"descriptor {name}" for name in _descriptors() - files),
            *(f"file {path.name}" for path in folder.iterdir() if path.name not in known),
        ]

    if left():
        gc.collect()  # it takes its time: only where something is there that may be garbage
    scene.leaks = left()
    return scene


async def _act(
    scene: Scene,
    act: Act,
    server: Hostile,
    plan: Plan,
    journal: Path,
    within: Wrap = bare,
    around: Wrap = bare,
) -> None:
    events, setting = Events(), scene.setting
    act.events = events.all
    budget, stopped = (setting.shared, setting.stopped) if act is scene.disturbed else (None, None)

    def connect(model: Model, key_for: KeyFor) -> Backend:
        options = cast(OpenAI.Options, model.options)
        inner = OpenAI(model.shared.model, options, key_for, clock=now)
        return around(Recorder(within(inner), server, act.attempts, scene.table))

    world = World(now, asyncio.sleep, lambda place, variable: None, connect)
    session = Session(plan, world, seed=setting.seed, journal=journal, budget=budget, listeners=(events,))

    async def ask(id: str) -> None:
        act.runs[id] = await session.answer(f"What is {id} + 1?", id)

    try:
        async with asyncio.timeout(LONGEST_S), session:
            with suppress(TimeoutError):
                async with asyncio.timeout(stopped), asyncio.TaskGroup() as tasks:
                    for i in range(setting.questions):
                        tasks.create_task(ask(str(i)))
            if stopped is None and len(act.runs) < setting.questions:
                act.wrong.append("hung")
            act.wrong += held(session)
    except Exception:  # noqa: BLE001, that is what is looked for
        act.wrong.append(traceback.format_exc())


def held(session: Session) -> list[str]:
    """Reservations that are left when nothing is under way."""
    scope = session._engine.scope
    return (
        [f"{scope.reserved} is still reserved"] if scope and round(scope.reserved.usd, 9) + scope.reserved.calls else []
    )


@contextmanager
def _patient_journal() -> Iterator[None]:
    """Virtual time stands still while the journal writes."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, PatientLoop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "Journal", loop.with_thread(Journal))
        yield


@contextmanager
def _dead_port() -> Iterator[str]:
    """The URL of a port that nobody else can take and that refuses every connection."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def _descriptors() -> set[str]:
    """The open files of this process, each with its number."""
    open_now = set()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            open_now.add(f"{path.name} {path.readlink()}")
    return open_now
