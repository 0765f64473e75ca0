"""Order: what is searched, on what, for what, and with how much."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from archc import api, errors
from archc.bench.data import Data, Item, Selection
from archc.bench.judging import Judge
from archc.bench.task import Task
from archc.diagnostics import SpecError
from archc.planning.plan import Plan
from archc.searching.domain import Domain
from archc.searching.objective import Aim
from archc.searching.samplers import DEFAULT
from archc.source import Source
from archc.spec.model import Budget
from archc.spec.space.hole import Value
from archc.spec.space.points import Point, Space

LEAST_ITEMS = 10
"""Fewer items than this tell nothing."""
_APART = 1_000_003
USUAL_ITEMS = 50
"""So many items the search has at least, if the task has twice as many."""


@dataclass(frozen=True)
class Order:
    """A search. Its results depend on all of it but for what limits it, which may be raised later."""

    source: Source
    task: Task
    data: Data
    selection: Selection
    aim: Aim
    folder: Path
    journal: Path
    version: str
    """Of archc."""
    overrides: tuple[str, ...] = ()
    choices: Mapping[str, Value] = field(default_factory=dict)
    """Choices that are closed for all trials."""
    sampler: str = DEFAULT
    seed: int = 0
    budget: Budget | None = None
    """For all of it: the search, the confirmation and the baselines."""
    trials: int | None = None
    """How many architectures to try, at most."""
    abreast: int = 4
    """Trials that are proposed and measured at once."""
    parallel: int = 32
    """Items at work at once."""
    share: float = 0.2
    """The part of the items that the search sees; the rest is held out."""
    reserve: float = 0.4
    """The part of the budget that is kept for the confirmation and the baselines."""
    first: int = 6
    """Items of the first rung."""
    eta: float = 3.0
    alpha: float = 0.05
    top: int = 3
    """How many of the best are confirmed on held-out items."""
    confirm: int | None = None
    """Held-out items to confirm on, at most."""
    start: Sequence[Point] = ()
    """Points to try first."""
    judge: Judge | None = None
    """For tasks whose answers are compared."""
    adviser: str = ""
    """The model, by its name in the spec, that the `llm` sampler asks."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What it was made of, JSON-ready."""

    @cached_property
    def space(self) -> Space:
        """The points. Raises SpecError if there is nothing to choose."""
        space = api.space(self.source, overrides=self.overrides, choices=self.choices)
        if not space.holes:
            problem, hint = "the spec leaves nothing open", "write a choice, such as `n={1 | 4 | 16}`"
            raise SpecError(errors.NothingToSearch(problem=problem, hint=hint))
        return space

    @cached_property
    def domain(self) -> Domain:
        """The points that may be tried: no constraint is broken by what is known before."""
        return Domain(self.space, lambda point: (plan := self.plan(point)) is not None and self.aim.allows(plan))

    @cached_property
    def _plans(self) -> dict[tuple[tuple[str, Value], ...], Plan | None]:
        return {}

    def plan(self, point: Point) -> Plan | None:
        """What a point means; None if it means nothing, so that it cannot be tried."""
        key = tuple(point.items())
        if key not in self._plans:
            try:
                self._plans[key] = self.compiled(point)
            except SpecError:
                self._plans[key] = None
        return self._plans[key]

    def compiled(self, point: Point, pipeline: str = "") -> Plan:
        """A point's plan, with another pipeline if one is given as JSON. Raises SpecError."""
        choices, overrides = {**self.choices, **point}, self.overrides
        if pipeline:
            overrides = (*overrides, f"pipeline={pipeline}")
            choices = api.left_of(choices, self.source, overrides)
        return api.compile(self.source, overrides=overrides, choices=choices)

    def seed_of(self, trial: int) -> int:
        """The seed of a trial: one for all, that they share samples, but where it matters how long calls take."""
        return self.seed + trial * _APART if self.aim.is_timed else self.seed

    @cached_property
    def split(self) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
        """The items of the search in the order of the race, and those that are held out, in a random order.

        Raises SpecError if there are too few.
        """
        items = list(self.data.items)
        if len(items) < 2 * LEAST_ITEMS:
            raise SpecError(errors.TooFewItems(items=len(items)))
        Random(f"split {self.seed}").shuffle(items)
        seen = max(math.ceil(self.share * len(items)), min(USUAL_ITEMS, len(items) // 2))
        seen = min(seen, len(items) - LEAST_ITEMS)
        return tuple(items[:seen]), tuple(items[seen:])

    def kept(self) -> dict[str, Any]:
        """What its results depend on, JSON-ready; a folder goes on with the same only."""
        return {
            "spec": {"name": self.source.name, "sha256": digest(self.source.text)},
            "set": list(self.overrides),
            "choose": dict(self.choices),
            "task": self.task.model_dump(mode="json", exclude={"slices", "about", "licence", "source", "noise"}),
            "data": {"sha256": self.data.digest, "items": len(self.data.items)},
            "maximise": [goal.text for goal in self.aim.goals if goal.sign > 0],
            "minimise": [goal.text for goal in self.aim.goals if goal.sign < 0],
            "subject_to": [one.text for one in self.aim.constraints],
            "sampler": self.sampler,
            "seed": self.seed,
            "abreast": self.abreast,
            "share": self.share,
            "race": {"first": self.first, "eta": self.eta, "alpha": self.alpha},
            "start": [dict(point) for point in self.start],
            "adviser": self.adviser,
            **({"judge": self.judge.key} if self.judge else {}),
        }

    def manifest(self) -> dict[str, Any]:
        """All that one needs to do it again, JSON-ready."""
        seen, held_out = self.split
        return {
            **self.kept(),
            "versions": {"archc": self.version, "python": platform.python_version(), "system": sys.platform},
            "asked": dict(self.asked),
            "text": self.source.text,
            "form": self.source.form,
            "points": self.space.count(),
            "data_path": str(self.data.path),
            "slice": self.selection.slice,
            "budget": self.budget.model_dump(mode="json", exclude_none=True) if self.budget else None,
            "trials": self.trials,
            "reserve": self.reserve,
            "journal": str(self.journal),
            "split": {"search": [item.id for item in seen], "held_out": [item.id for item in held_out]},
        }


def digest(text: str) -> str:
    """SHA-256 of a text, in hex."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
