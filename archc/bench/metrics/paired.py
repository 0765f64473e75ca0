"""Paired tests: whether two that answered the same items differ by more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mcnemar(b: int, c: int) -> float:
    """The exact two-sided p-value of McNemar's test (1947): `b` items only one got right, `c` only the other.

    If neither is better, each of the b + c items is a fair coin: p = min(1, 2·P(X ≤ min(b, c))), X ~ Bin(b + c, 1/2).
    Items that both got right or wrong say nothing. 1 if there are no others. ValueError if a count is negative.
    """
    if min(b, c) < 0:
        raise ValueError(f"{b} and {c} items")
    term = tail = 1
    for i in range(min(b, c)):
        term = term * (b + c - i) // (i + 1)
        tail += term
    return min(1.0, 2 * tail / (1 << (b + c)))


def sign_test(differences: Sequence[float]) -> float:
    """The exact two-sided p-value that positive and negative differences are as likely. Zeros are left out.

    The binomial test of `mcnemar` on the signs (Dixon and Mood, 1946). ValueError if a difference is not a number.
    """
    if any(math.isnan(one) for one in differences):
        raise ValueError("a difference is not a number")
    return mcnemar(sum(one > 0 for one in differences), sum(one < 0 for one in differences))
