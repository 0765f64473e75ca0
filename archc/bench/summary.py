"""Summary: what the items of a run come to, with intervals of 95 %."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any, Final

Record = Mapping[str, Any]
"""One line of `items.jsonl`."""

_Z: Final = 1.959963984540054
_DRAWS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the interval in which it lies with 95 %."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """A JSON-ready form."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def wilson(successes: int, n: int) -> Estimate:
    """A share and its interval by Wilson; of nothing, everything is possible."""
    if not n:
        return Estimate(0.0, 0.0, 1.0)
    share, z = successes / n, _Z
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))


def bootstrap(values: Sequence[float], seed: int = 0) -> Estimate:
    """A mean and its interval, by drawing the values again (percentiles)."""
    if not values:
        return Estimate(0.0, 0.0, 0.0)
    rng, n = Random(seed), len(values)
    means = sorted(sum(rng.choices(values, k=n)) / n for _ in range(_DRAWS))
    return Estimate(sum(values) / n, means[round(0.025 * _DRAWS)], means[round(0.975 * _DRAWS) - 1])


def paired_difference(one: Sequence[float], other: Sequence[float], seed: int = 0) -> Estimate:
    """How much more the other has on the mean, item by item."""
    return bootstrap([b - a for a, b in zip(one, other, strict=True)], seed)


def mcnemar(losses: int, wins: int) -> float:
    """How likely so uneven a split is by chance alone: the exact test, on both sides."""
    n = losses + wins
    tail = sum(math.comb(n, k) for k in range(min(losses, wins) + 1))
    return min(1.0, float(Fraction(2 * tail, 2**n)))


def accuracy(records: Sequence[Record]) -> Estimate:
    """The share of right answers among all items; one that failed is not right."""
    return wilson(sum(record["correct"] for record in records), len(records))


def summarised(records: Sequence[Record], items: int) -> dict[str, Any]:
    """What the records come to, JSON-ready; `items` is how many there should be."""
    asked = [record for record in records if record["status"] != "unasked"]
    n = max(1, len(asked))
    scores = [record["score"] for record in asked]
    parts = {"score": bootstrap(scores).as_json()} if any(0 < score < 1 for score in scores) else {}
    fresh = sorted(record["seconds"] for record in asked if not record["cached"])
    return {
        "items": items,
        "answered": len(asked),
        "accuracy": accuracy(asked).as_json(),
        **parts,
        "status": dict(sorted(Counter(record["status"] for record in records).items())),
        "errors": dict(Counter(record["error"] for record in records if record["error"]).most_common(10)),
        "per_item": {unit: sum(record[unit] for record in asked) / n for unit in ("calls", "tokens", "usd")},
        "total": {unit: sum(record[unit] for record in asked) for unit in ("calls", "cached", "tokens", "usd")},
        "seconds": {name: _quantile(fresh, q) for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))},
    }


def _quantile(ordered: Sequence[float], q: float) -> float | None:
    """The value below which that share lies; None where nothing was measured, since the journal takes no time."""
    return ordered[min(len(ordered) - 1, math.ceil(q * len(ordered)) - 1)] if ordered else None
