"""Figures: what the parts of graded answers come to, for tasks that have more than right and wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from archc.bench.metrics.intervals import Estimate, bootstrap
from archc.bench.metrics.preference import length_controlled, win_rate

Parts = Mapping[str, Sequence[float]]


def figures(records: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> dict[str, Any]:
    """Each metric over these records, JSON-ready; one of which no answer has parts is left out."""
    found: dict[str, Any] = {}
    for metric in metrics:
        parts = [record["parts"] for record in records if _NEEDS.get(metric, metric) in record.get("parts", ())]
        if parts:
            found[metric] = asdict(_FIGURES[metric](parts) if metric in _FIGURES else _mean(parts, metric))
    return found


def _mean(parts: Sequence[Parts], name: str) -> Estimate:
    """The mean over the parts of all items, with an interval for drawing items, whose parts are not independent."""
    sums = [(sum(one[name]), len(one[name])) for one in parts]
    ratio = sum(total for total, _ in sums) / sum(n for _, n in sums)
    each = sum(n for _, n in sums) / len(sums)
    spread = bootstrap([ratio + (total - ratio * n) / each for total, n in sums], seed=0)
    return Estimate(ratio, max(0.0, spread.low), min(1.0, spread.high))


def _preferences(parts: Sequence[Parts]) -> list[float]:
    return [one["preference"][0] for one in parts]


def _length_controlled(parts: Sequence[Parts]) -> Estimate:
    ours, theirs = ([one["lengths"][place] for one in parts] for place in (0, 1))
    return length_controlled(_preferences(parts), ours, theirs)


_FIGURES: Final[Mapping[str, Callable[[Sequence[Parts]], Estimate]]] = {
    "win_rate": lambda parts: win_rate(_preferences(parts), seed=0),
    "win_rate_length_controlled": _length_controlled,
}
_NEEDS: Final = dict.fromkeys(_FIGURES, "preference")
