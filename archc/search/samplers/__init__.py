"""Samplers: which points to try next. One file each, found by name.

A sampler is told of every trial in order and asked for the next points. It is deterministic: the same seed and the same
trials give the same points, so that a search that was killed does again what it did.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from archc.search.domain import Domain
from archc.spec.space.points import Point


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

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    @abc.abstractmethod
    def tell(self, trial: Told) -> None:
        """Takes what a trial came to; also of points that it did not propose."""

    @abc.abstractmethod
    async def ask(self, count: int) -> list[Point]:
        """So many new points at once; fewer where there are no more."""
