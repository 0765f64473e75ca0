"""Confidence: whether an answer's confidence tells if it is right. Lists have one entry for each item."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean


def risk_coverage(confidence: Sequence[float], right: Sequence[bool]) -> list[float]:
    """The share of wrong answers among the i most confident, for i = 1 … n: entry i − 1 is the risk at coverage i/n.

    Of equally confident answers any may come first; the curve is the mean over their orders. From El-Yaniv and Wiener
    (2010). Confidence may have any unit. ValueError without items, and if a confidence is not a number.
    """
    risks: list[float] = []
    wrong = 0
    for group in _groups(confidence, right):
        missed, before = len(group) - sum(group), len(risks)
        risks += [(wrong + missed * i / len(group)) / (before + i) for i in range(1, len(group) + 1)]
        wrong += missed
    return risks


def aurc(confidence: Sequence[float], right: Sequence[bool]) -> float:
    """The area under the risk-coverage curve, the mean of its points (arXiv 1805.08206): 0 is best.

    A confidence that says nothing has the error rate on average. ValueError as `risk_coverage`.
    """
    return fmean(risk_coverage(confidence, right))


def auroc(confidence: Sequence[float], right: Sequence[bool]) -> float:
    """The probability that a right answer has more confidence than a wrong one, ties counted half: 0.5 says nothing.

    The Mann-Whitney statistic, which is the area under the ROC curve (Hanley and McNeil, 1982). ValueError as
    `risk_coverage`, and unless some answer is right and some is wrong.
    """
    twice = above = 0
    for group in _groups(confidence, right):
        hits = sum(group)
        twice += (len(group) - hits) * (2 * above + hits)
        above += hits
    if above in (0, len(right)):
        raise ValueError(f"{above} of {len(right)} answers are right")
    return twice / (2 * above * (len(right) - above))


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers whose confidence is near to each other."""

    count: int
    confidence: float
    """The mean of it."""
    accuracy: float
    """The share that is right."""


def calibration(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> list[Bin]:
    """The reliability diagram: answers by their confidence, in equal bins (i/bins, (i + 1)/bins], 0 in the first.

    Bins without answers are left out. ValueError as `risk_coverage`, for a confidence outside of 0 to 1, and without
    bins.
    """
    _check(confidence, right, shares=True)
    if bins < 1:
        raise ValueError(f"{bins} bins")
    filled: dict[int, list[tuple[float, bool]]] = {}
    for share, one in zip(confidence, right, strict=True):
        filled.setdefault(max(0, math.ceil(share * bins) - 1), []).append((share, one))
    return [Bin(len(f), fmean(s for s, _ in f), fmean(r for _, r in f)) for _, f in sorted(filled.items())]


def ece(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """The expected calibration error, Σ (answers of the bin / n)·|accuracy − confidence| (arXiv 1706.04599).

    From 0 to 1, 0 is best. It is biased upwards where bins hold few answers. ValueError as `calibration`.
    """
    table = calibration(confidence, right, bins)
    return math.fsum(one.count * abs(one.accuracy - one.confidence) for one in table) / len(right)


def brier(confidence: Sequence[float], right: Sequence[bool]) -> float:
    """The mean of (confidence − right)², right being 0 or 1 (Brier, 1950): from 0 to 1, 0 is best, and no bins.

    ValueError as `risk_coverage`, and for a confidence outside of 0 to 1.
    """
    _check(confidence, right, shares=True)
    return fmean((share - one) ** 2 for share, one in zip(confidence, right, strict=True))


def _check(confidence: Sequence[float], right: Sequence[bool], shares: bool = False) -> None:
    if not right or len(confidence) != len(right):
        raise ValueError(f"{len(confidence)} confidences of {len(right)} answers")
    if any(math.isnan(one) or (shares and not 0 <= one <= 1) for one in confidence):
        raise ValueError(f"confidences {list(confidence)}")


def _groups(confidence: Sequence[float], right: Sequence[bool]) -> list[list[bool]]:
    """Which are right, of each group that is equally confident, the most confident first."""
    _check(confidence, right)
    ordered = sorted(zip(confidence, right, strict=True), key=lambda pair: -pair[0])
    return [[one for _, one in group] for _, group in groupby(ordered, key=lambda pair: pair[0])]
