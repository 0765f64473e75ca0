"""Spending: how many samples a baseline may draw so that it costs as much as what it is compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean


def matched_k(per_sample: Sequence[float], target: float, once: float = 0.0) -> int:
    """The most samples k whose expected spend is not more than `target`: the greatest k with once + k·mean ≤ target.

    `per_sample` is what measured samples cost, `target` what the other one spent on an item on average, `once` what is
    paid for an item however many samples it has (a prompt that is billed once); all in one unit, tokens, USD or
    seconds. 0 if not even one sample fits. ValueError without measured samples, if one is negative or all are 0, and if
    target or once is negative or not finite.
    """
    if not per_sample or any(not 0 <= one < math.inf for one in (*per_sample, target, once)) or not any(per_sample):
        raise ValueError(f"samples of {list(per_sample)} and {once} once, for {target}")
    mean, room = fmean(per_sample), target - once
    k = max(0, math.floor(room / mean))
    # sums of prices like 0.1 are not exact: what is as much but for rounding, fits
    return k + 1 if math.isclose(once + (k + 1) * mean, target, rel_tol=1e-9) else k
