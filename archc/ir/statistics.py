"""Statistics: what conditions may ask of a candidate set, each with its unit and the facets it needs.

All look at the candidates in index order and never at the order of arrival, so that a condition has one value.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from archc.calls import Spend
from archc.spec.conditions import Unit
from archc.values import Candidate, CandidateSet, Facet, Facets, facets

Value = float | bool | str


@dataclass(frozen=True, slots=True)
class Statistic:
    """One name that conditions know."""

    unit: Unit
    about: str
    of: Callable[[CandidateSet], Value]
    needs: Facets = frozenset()


def _counts(candidates: CandidateSet) -> list[int]:
    """How many gave each answer, the most frequent first."""
    return sorted(Counter(c.answer.key for c in candidates.candidates if c.answer).values(), reverse=True)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _agreement(candidates: CandidateSet) -> float:
    counts = _counts(candidates)
    return _share(counts[0] if counts else 0, sum(counts))


def _margin(candidates: CandidateSet) -> float:
    counts = [*_counts(candidates), 0, 0]
    return _share(counts[0] - counts[1], sum(counts))


def _entropy(candidates: CandidateSet) -> float:
    counts = _counts(candidates)
    shares = [count / sum(counts) for count in counts]
    return max(0.0, -math.fsum(share * math.log2(share) for share in shares))


def confidence(first: int, second: int) -> float:
    """The probability that an answer given `first` times is more frequent than one given `second` times.

    P(p > 1/2) for p of Beta(first + 1, second + 1): the stopping rule of Adaptive-Consistency (arXiv 2305.11860).
    """
    draws = first + second + 1
    if draws > _EXACT:  # the normal distribution, which does not differ any more
        return 0.5 * (1 + math.erf((first + 0.5 - draws / 2) / math.sqrt(draws / 2)))
    return float(sum(math.comb(draws, k) for k in range(first + 1)) / 2**draws)


_EXACT = 1000


def _confidence(candidates: CandidateSet) -> float:
    counts = [*_counts(candidates), 0, 0]
    return confidence(counts[0], counts[1])


def _valid(candidates: CandidateSet) -> list[Candidate]:
    return [c for c in candidates.candidates if not c.abstained]


def _scores(candidates: CandidateSet) -> list[float]:
    return [c.score for c in candidates.candidates if c.score is not None]


_ANSWER, _VERDICT, _SCORE = facets(Facet.ANSWER), facets(Facet.VERDICT), facets(Facet.SCORE)

STATISTICS: Mapping[str, Statistic] = {
    "agreement": Statistic(Unit.SHARE, "the share of the most frequent answer", _agreement, _ANSWER),
    "margin": Statistic(Unit.SHARE, "how far that share is above the second's", _margin, _ANSWER),
    "entropy": Statistic(Unit.BITS, "the entropy of the answers", _entropy, _ANSWER),
    "confidence": Statistic(
        Unit.SHARE, "how sure it is that the first answer beats the second (Beta rule)", _confidence, _ANSWER
    ),
    "distinct": Statistic(Unit.CANDIDATES, "how many different answers", lambda c: len(_counts(c)), _ANSWER),
    "answered": Statistic(
        Unit.SHARE,
        "the share of candidates in which an answer was found",
        lambda c: _share(sum(one.answer is not None for one in c.candidates), len(c)),
        _ANSWER,
    ),
    "count": Statistic(Unit.CANDIDATES, "how many candidates, without abstentions", lambda c: len(_valid(c))),
    "abstained": Statistic(Unit.SHARE, "the share of abstentions", lambda c: _share(len(c) - len(_valid(c)), len(c))),
    "verified": Statistic(
        Unit.CANDIDATES,
        "how many have a positive verdict",
        lambda c: sum(one.verdict is not None and one.verdict.passed for one in c.candidates),
        _VERDICT,
    ),
    "best_score": Statistic(Unit.SHARE, "the highest score", lambda c: max(_scores(c), default=0.0), _SCORE),
    "mean_score": Statistic(
        Unit.SHARE, "the mean score", lambda c: _share(math.fsum(_scores(c)), len(_scores(c))), _SCORE
    ),
}
"""What is known from the candidates alone."""

ROUND = "round"

_SPENT: Mapping[str, tuple[Unit, Callable[[Spend], float]]] = {
    "calls": (Unit.CALLS, lambda spend: spend.calls),
    "tokens": (Unit.TOKENS, lambda spend: spend.tokens),
    "usd": (Unit.USD, lambda spend: spend.usd),
}

UNITS: Mapping[str, Unit] = {
    **{name: statistic.unit for name, statistic in STATISTICS.items()},
    ROUND: Unit.ROUNDS,
    **{f"{kind}.{name}": unit for kind in ("spent", "left") for name, (unit, _) in _SPENT.items()},
}
"""The unit of every name."""

ABOUT: Mapping[str, str] = {
    **{name: statistic.about for name, statistic in STATISTICS.items()},
    ROUND: "rounds done so far",
    **{f"spent.{name}": f"{name} that led here, whoever paid for them" for name in _SPENT},
    **{f"left.{name}": f"{name} left of the nearest budget around" for name in _SPENT},
}
"""What every name means."""


def needed(names: Iterable[str]) -> Facets:
    """The facets that the candidates must have for these names."""
    return frozenset().union(*(STATISTICS[name].needs for name in names if name in STATISTICS))


def values(names: Iterable[str], candidates: CandidateSet, rounds: int, spent: Spend, left: Spend) -> dict[str, Value]:
    """The value of each name."""
    made: dict[str, Value] = {}
    for name in names:
        kind, _, unit = name.partition(".")
        if name in STATISTICS:
            made[name] = STATISTICS[name].of(candidates)
        elif name == ROUND:
            made[name] = float(rounds)
        elif unit in _SPENT:
            made[name] = _SPENT[unit][1](spent if kind == "spent" else left)
    return made
