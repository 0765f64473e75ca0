"""Racing: which trials are measured on more items, and which are stopped because they cannot be worth it.

Items come in one order for all trials. After each rung of items two questions are asked of a trial:

- Does it lose against the best one so far? The evidence is an e-process: with d the difference on an item (trial minus
  best, cut at ±1), the mean over bets λ of Π(1 − λ·d). If the trial is at least as good on average, whatever the
  number of items and however often one looks, it reaches 1/α with a chance of at most α (Ville's inequality; betting as
  in Waudby-Smith and Ramdas, arXiv 2010.09686). So at most a share α of the trials that are as good is stopped by it.
- Is it among the best 1/η of all that reached this rung (asynchronous successive halving, arXiv 1810.05934)? That saves
  most and promises nothing; η = 1 turns it off. On few items many trials are equal; a lot, drawn once for each trial,
  puts these in an order. If all of them went on, most of the saving would be lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

Values = tuple[float, ...]

BETS = tuple((i + 0.5) / 16 for i in range(16))
"""What is staked on a loss, as a share of what there is: all equally, since nobody knows how large the loss is."""


def evidence(differences: Sequence[float]) -> float:
    """The e-value against "its mean is 0 or more"; 1 says nothing, 20 is as strong as p = 0.05."""
    logs = [sum(math.log1p(-bet * max(-1.0, min(1.0, d))) for d in differences) for bet in BETS]
    most = max(logs)
    return math.exp(min(700.0, most)) * sum(math.exp(one - most) for one in logs) / len(BETS)


def rungs(items: int, first: int, eta: float) -> list[int]:
    """After how many items trials are compared: `first`, then `eta` times as many each, at last all."""
    sizes = {items}
    size = float(min(first, items))
    while size < items * 0.75:  # a last step that adds little is no step
        sizes.add(round(size))
        size *= max(1.5, eta)
    return sorted(sizes)


@dataclass
class Race:
    """Remembers what trials were worth at each rung."""

    rungs: Sequence[int]
    eta: float = 3.0
    alpha: float = 0.05
    seed: int = 0
    _reached: dict[int, dict[int, Values]] = field(default_factory=dict)

    def enter(self, rung: int, values: Mapping[int, Values]) -> None:
        """Says what the trials of a round, by number, are worth at a rung, before any of them is judged."""
        self._reached.setdefault(rung, {}).update(values)

    def is_promoted(self, rung: int, trial: int) -> bool:
        """Whether it is among the best share of all that reached this rung: few enough are better in everything."""
        known = self._reached[rung]
        own, lot = known[trial], self._lot(trial)
        before = sum(
            dominates(value, own) or (value == own and self._lot(other) < lot) for other, value in known.items()
        )
        return before < math.ceil(len(known) / self.eta)

    def _lot(self, trial: int) -> tuple[float, int]:
        return Random(f"lot {self.seed} {trial}").random(), trial

    def has_lost(self, differences: Sequence[float]) -> bool:
        """Whether it is worse than the best one, as far as these items tell."""
        return evidence(differences) >= 1 / self.alpha


def dominates(one: Values, other: Values) -> bool:
    """Whether it is nowhere less than the other and somewhere more; of single numbers, whether it is more."""
    return all(a >= b for a, b in zip(one, other, strict=True)) and one != other
