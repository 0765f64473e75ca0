"""Effects: how much each choice matters among the trials that were made, and how two of them go together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from archc.spec.space.hole import Value, value_text

Trials = Sequence[tuple[Mapping[str, Value], float]]
"""Points with what they are worth."""

ABSENT = "-"
"""The level of a choice that is not there in a point."""
MOST_LEVELS = 6
"""Of a choice with more numbers the trials are put into so many groups of neighbours."""


@dataclass(frozen=True)
class Effect:
    """What one choice does."""

    path: str
    share: float
    """The share of the trials' variance that lies between its options (eta squared), less what chance alone makes."""
    means: Mapping[str, tuple[float, int]]
    """By option: the mean worth of the trials that took it, and their number."""


def effects(trials: Trials) -> list[Effect]:
    """Of each choice that was made in more than one way, the strongest first.

    Each choice is looked at by itself; a sampler does not try all options alike, so this tells what went together with
    good results, not what caused them. The share is adjusted for the number of options (epsilon squared, Kelley 1935).
    """
    found = []
    values = [value for _, value in trials]
    whole = _spread(values)
    for path in dict.fromkeys(path for point, _ in trials for path in point):
        groups: dict[str, list[float]] = defaultdict(list)
        for level, value in zip(levels(path, [point for point, _ in trials]), values, strict=True):
            groups[level].append(value)
        if len(groups) < 2 or not whole:
            continue
        within = sum(_spread(group) for group in groups.values())
        left = len(values) - len(groups)
        share = 1 - within / whole * (len(values) - 1) / left if left > 0 else 0.0
        found.append(Effect(path, max(0.0, share), {name: (fmean(g), len(g)) for name, g in groups.items()}))
    return sorted(found, key=lambda effect: -effect.share)


def together(trials: Trials, one: str, other: str) -> dict[tuple[str, str], tuple[float, int]]:
    """By option of two choices: the mean worth of the trials that took both, and their number."""
    points = [point for point, _ in trials]
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for a, b, (_, value) in zip(levels(one, points), levels(other, points), trials, strict=True):
        cells[a, b].append(value)
    return {cell: (fmean(values), len(values)) for cell, values in cells.items()}


def levels(path: str, points: Sequence[Mapping[str, Value]]) -> list[str]:
    """The option of a choice in each point, as text; many different numbers become ranges."""
    taken = [point.get(path) if path in point else ABSENT for point in points]
    numbers = sorted({v for v in taken if isinstance(v, (int, float)) and not isinstance(v, bool)})
    if len(numbers) <= MOST_LEVELS:
        return [value_text(value) for value in taken]
    size = -(-len(numbers) // MOST_LEVELS)
    parts = [numbers[i : i + size] for i in range(0, len(numbers), size)]
    names = {n: f"{value_text(part[0])} to {value_text(part[-1])}" for part in parts for n in part}
    return [names.get(v, value_text(v)) if isinstance(v, (int, float)) else value_text(v) for v in taken]


def _spread(values: Sequence[float]) -> float:
    """The sum of squared distances from the mean."""
    mean = fmean(values)
    return sum((value - mean) ** 2 for value in values)
