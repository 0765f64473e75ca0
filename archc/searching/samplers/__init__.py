"""Samplers: which points to try next. One file each, found by name.

A sampler is told of every trial in order and asked for the next points. It is deterministic: the same seed and the same
trials give the same points, so that a search that was killed does again what it did.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from random import Random
from typing import ClassVar

from archc import errors
from archc.diagnostics import SpecError, did_you_mean
from archc.searching.domain import Domain, Key
from archc.spec.space.points import Point

DEFAULT = "gp"
"""The sampler where none is named: the one with the fewest evaluations in `benchmarks/search.py`."""


@dataclass(frozen=True, slots=True)
class Told:
    """A point that was tried."""

    number: int
    point: Point
    values: tuple[float, ...]
    """What is to be made as large as possible, one for each objective; measured, so with noise."""
    items: int
    """On how many items it was measured; fewer where the trial was stopped early."""
    violations: tuple[float, ...] = ()
    """By constraint, how far it is beyond its limit, as a share of the limit; 0 or less where it holds."""

    @property
    def is_feasible(self) -> bool:
        """Whether it meets every constraint."""
        return all(violation <= 0 for violation in self.violations)


@dataclass(frozen=True)
class Setting:
    """What every sampler gets."""

    domain: Domain
    seed: int
    objectives: int = 1
    advise: Callable[[str], Awaitable[str]] | None = None
    """Asks a model, for samplers that take advice."""
    about: str = ""
    """The task and the objective in words, for a model that advises."""


class Sampler(abc.ABC):
    """Proposes points that were not tried before."""

    name: ClassVar[str]
    one_objective: ClassVar[bool] = False
    """Whether it can't make several things large at once."""
    takes_advice: ClassVar[bool] = False
    """Whether it asks a model what to propose."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.domain = setting.domain
        self.told: list[Told] = []
        self.pending: dict[Key, Point] = {}
        """What it proposed and was not told of yet."""
        self.taken: set[Key] = set()
        """What was tried or proposed."""
        self.notes: list[str] = []
        """What went otherwise than it should, in words, for people."""

    def tell(self, trial: Told) -> None:
        """Takes what a trial came to; also of points that it did not propose."""
        key = self.domain.key(trial.point)
        self.told.append(trial)
        self.taken.add(key)
        self.pending.pop(key, None)

    async def ask(self, count: int) -> list[Point]:
        """So many new points at once; fewer where there are no more."""
        found: list[Point] = []
        while len(found) < count and (point := self.propose()) is not None:
            found.append(self.take(point))
        return found

    def take(self, point: Point) -> Point:
        """Remembers that a point is proposed."""
        key = self.domain.key(point)
        self.taken.add(key)
        self.pending[key] = point
        return point

    @abc.abstractmethod
    def propose(self) -> Point | None:
        """The next point, which is allowed and not taken; None if there is none."""

    def rng(self, purpose: str = "") -> Random:
        """Chance that depends on the seed and on how much was tried and proposed, and on nothing else."""
        return Random(f"{self.setting.seed} {len(self.told)} {len(self.pending)} {purpose}")


@cache
def names() -> tuple[str, ...]:
    """The names of all samplers, sorted; imports none of them."""
    return tuple(sorted(p.stem.replace("_", "-") for p in Path(__file__).parent.glob("[!_]*.py")))


def sampler_class(name: str) -> type[Sampler]:
    """The sampler of that name. Raises SpecError if there is none."""
    if name not in names():
        raise SpecError(errors.UnknownSampler(sampler=name, hint=did_you_mean(name, names()) or _listed()))
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    return next(
        v
        for v in vars(module).values()
        if isinstance(v, type) and issubclass(v, Sampler) and v.__module__ == module.__name__
    )


def sampler(name: str, setting: Setting) -> Sampler:
    """A sampler by name. Raises SpecError if there is none, or if it can't do what is wanted of it."""
    kind = sampler_class(name)
    if kind.one_objective and setting.objectives > 1:
        raise SpecError(errors.OneObjective(sampler=name, objectives=setting.objectives))
    return kind(setting)


def _listed() -> str:
    return "there are " + ", ".join(f"`{name}`" for name in names())
