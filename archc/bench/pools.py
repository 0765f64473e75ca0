"""Pools: what the candidates of each item would come to, if fewer of them were drawn or another rule picked one.

An item that ends with several candidates keeps them graded; one that ends with fewer than others counts as though the
rest were wrong and gave no answer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from typing import Any, Final

from archc.bench.metrics.confidence import aurc, auroc, brier, calibration, ece, risk_coverage
from archc.bench.metrics.coverage import beta_binomial, coverage, power_law
from archc.bench.metrics.intervals import Estimate, bootstrap, wilson
from archc.bench.metrics.pool import best_of_k, majority_at_k, pass_at_k, pass_hat_k
from archc.bench.task import Task
from archc.values import Candidate

Entry = Mapping[str, Any]
"""One candidate of a pool: `answer` (equal answers share it, None if there is none), `correct`, and what is known of
it: `score`, `approval` (the share of votes for it), `logprob`."""
Pool = Sequence[Entry]

MISSING: Final[Entry] = {"answer": None, "correct": False}
"""Stands for a candidate that is not there."""
RULES: Final = {"score": "score", "approval": "verdict", "logprob": "logprob"}
"""What a rule that picks the best one may go by, and how people call it."""
BEYOND: Final = (4, 16)
"""For how many times as many candidates the fits say what to expect."""
POINTS: Final = 50
"""Of a risk-coverage curve, at most."""
_DRAWS, _WORK, _FEWEST = 2000, 1_000_000, 200
"""Resamples for an interval: fewer for many items, whose mean is near to normal anyway."""
_LONGEST: Final = 200
"""Characters of an answer, a program for example, beyond which its digest stands for it."""
_RANKED: Final = 2000
"""Items up to which what depends on their order gets an interval: it takes time that grows with their square."""


def ungraded(candidates: Sequence[Candidate], task: Task) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """For each candidate the text to grade (None if it has no answer) and the rest of its entry.

    Nothing for one candidate of which nothing is known: the item says all there is.
    """
    entries = [_ungraded(one, task) for one in candidates]
    if len(entries) > 1 or any(len(entry) > 1 for _, entry in entries):
        yield from entries


def _ungraded(candidate: Candidate, task: Task) -> tuple[str | None, dict[str, Any]]:
    verdict = candidate.verdict
    known = {
        "score": candidate.score,
        "approval": verdict.approvals / max(1, verdict.votes) if verdict else None,
        "logprob": candidate.logprob,
    }
    entry = {name: value for name, value in known.items() if value is not None}
    if candidate.abstained:
        return None, {"answer": None, **entry}
    found = candidate.answer or (task.extraction.answer(candidate.text) if task.extraction else None)
    key = found.key if found else None if task.extraction else candidate.text.strip()
    if key and len(key) > _LONGEST:
        key = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return task.found(found.text if found else candidate.text), {"answer": key, **entry}


def pooled(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What the pools of the records come to, JSON-ready; None where items end with one answer and nothing more."""
    if not any(record.get("pool") for record in records):
        return None
    found = [record.get("pool") or [{"answer": record["answer"], "correct": record["correct"]}] for record in records]
    n = max(map(len, found))
    pools = [[*pool, *[MISSING] * (n - len(pool))] for pool in found]
    told: dict[str, Any] = {"items": len(pools), "n": n}
    if n > 1:
        ks = [*(2**i for i in range((n - 1).bit_length())), n]
        told["curves"] = {name: _curve(pools, ks, of) for name, of in _measures(pools)}
        told["fits"] = _fits(pools, ks, n)
    told["confidence"] = {name: _judged(pairs) for name, pairs in _confidences(pools, n)}
    return told


Measure = Callable[[Pool, int], float]


def _measures(pools: Sequence[Pool]) -> Iterator[tuple[str, Measure]]:
    """What is measured of one pool for each k, by name."""
    yield "pass@k", lambda pool, k: pass_at_k(len(pool), _right(pool), k)
    yield "pass^k", lambda pool, k: pass_hat_k(len(pool), _right(pool), k)
    yield "maj@k", lambda pool, k: majority_at_k([e["answer"] for e in pool], [e["correct"] for e in pool], k)
    for key in RULES:
        if _tells(pools, key):
            yield f"best-of-k by {RULES[key]}", _best_by(key)


def _best_by(key: str) -> Measure:
    return lambda pool, k: best_of_k([_worth(e, key) for e in pool], [e["correct"] for e in pool], k)


def _tells(pools: Sequence[Pool], key: str) -> bool:
    return any(key in entry for pool in pools for entry in pool)


def _right(pool: Pool) -> int:
    return sum(entry["correct"] for entry in pool)


def _worth(entry: Entry, key: str) -> float:
    value = entry.get(key)
    return -math.inf if value is None else float(value)


def _curve(pools: Sequence[Pool], ks: Sequence[int], of: Measure) -> list[dict[str, float]]:
    return [{"k": k, **asdict(_mean([of(pool, k) for pool in pools]))} for k in ks]


def _mean(values: Sequence[float]) -> Estimate:
    if all(value in (0, 1) for value in values):
        return wilson(round(sum(values)), len(values))
    return bootstrap(values, seed=0, draws=max(_FEWEST, min(_DRAWS, _WORK // len(values))))


def _fits(pools: Sequence[Pool], ks: Sequence[int], n: int) -> dict[str, Any]:
    """Curves through the coverage, and what they give for more candidates; without those that the data cannot have."""
    counts = [(len(pool), _right(pool)) for pool in pools]
    fits: dict[str, Any] = {}
    with suppress(ValueError):  # one curve only, or no item with a right candidate
        law = power_law(ks, coverage(counts, ks))
        fits["power_law"] = {**asdict(law), "at": {str(n * times): law.at(n * times) for times in BEYOND}}
    with suppress(ValueError):  # all candidates are right, or all are wrong
        fitted = beta_binomial(counts)
        fits["beta_binomial"] = {**asdict(fitted), "at": {str(n * times): fitted.at(n * times) for times in BEYOND}}
    return fits


Judged = Sequence[tuple[float, bool]]
"""Of each item, how sure its answer is, and whether it is right."""


def _confidences(pools: Sequence[Pool], n: int) -> Iterator[tuple[str, Judged]]:
    """What may tell how sure an answer is, by name: how many agree on it, or what the best one has."""
    if n > 1:
        yield "agreement", [_agreed(pool) for pool in pools]
    for key, name in RULES.items():
        if _tells(pools, key):
            best = [max(pool, key=lambda entry: _worth(entry, key)) for pool in pools]
            yield name, [(_share(_worth(entry, key), key), bool(entry["correct"])) for entry in best]


def _agreed(pool: Pool) -> tuple[float, bool]:
    votes = Counter(entry["answer"] for entry in pool if entry["answer"] is not None)
    if not votes:
        return 0.0, False
    most, count = votes.most_common(1)[0]
    return count / len(pool), next(bool(entry["correct"]) for entry in pool if entry["answer"] == most)


def _share(value: float, key: str) -> float:
    """As a share: a log-probability as the probability that it is; what has none is not sure at all."""
    if value == -math.inf:
        return 0.0
    return math.exp(value) if key == "logprob" else value


def _judged(pairs: Judged) -> dict[str, Any]:
    """How well a confidence tells right from wrong answers; what the data cannot say is None."""
    sure, right = [share for share, _ in pairs], [one for _, one in pairs]
    curve, last = risk_coverage(sure, right), len(pairs)
    places = sorted({max(1, round(last * i / POINTS)) for i in range(1, POINTS + 1)})
    told: dict[str, Any] = {
        "accuracy": sum(right) / last,
        "auroc": _ranked(pairs),
        "aurc": aurc(sure, right),
        "risk_coverage": [[place / last, curve[place - 1]] for place in places],
    }
    if all(0 <= share <= 1 for share in sure):
        bins = [asdict(one) for one in calibration(sure, right)]
        told |= {"ece": ece(sure, right), "brier": brier(sure, right), "calibration": bins}
    return told


def _ranked(pairs: Judged) -> dict[str, float | None] | None:
    def area(some: Sequence[tuple[float, bool]]) -> float:
        return auroc([share for share, _ in some], [one for _, one in some])

    with suppress(ValueError):  # all are right, or all are wrong
        value = area(pairs)
        if len(pairs) > _RANKED:
            return {"value": value, "low": None, "high": None}
        with suppress(ValueError):  # nearly all
            estimate: Estimate = bootstrap(pairs, seed=0, of=area, draws=500)
            return asdict(estimate)
        return {"value": value, "low": None, "high": None}
    return None
