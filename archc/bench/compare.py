"""Compare: two runs of a task, item by item."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from archc import errors
from archc.bench.folder import Measured
from archc.bench.metrics.intervals import Estimate, paired_difference, paired_rates
from archc.bench.metrics.paired import mcnemar, sign_test
from archc.bench.summary import accuracy
from archc.diagnostics import SpecError


@dataclass(frozen=True)
class Comparison:
    """What the other run has that the one has not, on the items that both answered."""

    names: tuple[str, str]
    items: int
    left_out: int
    """Items that only one of them answered."""
    accuracy: tuple[Estimate, Estimate]
    difference: Estimate
    """Of accuracy."""
    score: Estimate | None
    """Difference of scores, where answers can be partly right."""
    score_p: float | None
    """How likely so uneven signs of these differences are by chance alone (the sign test)."""
    both: int
    neither: int
    wins: tuple[str, ...]
    """Items that only the other one got right."""
    losses: tuple[str, ...]
    tokens: tuple[float, float]
    """Per item."""
    calls: tuple[float, float]
    usd: tuple[float, float]

    @property
    def p(self) -> float:
        """How likely so uneven wins and losses are by chance alone (McNemar, exact)."""
        return mcnemar(len(self.losses), len(self.wins))

    @property
    def verdict(self) -> str:
        """Who is better, in a sentence."""
        if self.difference.low <= 0 <= self.difference.high:
            return "no difference that this many items can show"
        winner, loser = reversed(self.names) if self.difference.value > 0 else self.names
        return f"{winner} is better than {loser}"

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "runs": list(self.names),
            "items": self.items,
            "left_out": self.left_out,
            "accuracy": [asdict(one) for one in self.accuracy],
            "difference": asdict(self.difference),
            "score_difference": asdict(self.score) if self.score else None,
            "sign_test_p": self.score_p,
            "mcnemar_p": self.p,
            "wins": len(self.wins),
            "losses": len(self.losses),
            "ties": {"both_right": self.both, "both_wrong": self.neither},
            "flipped": {"won": list(self.wins), "lost": list(self.losses)},
            "tokens_per_item": list(self.tokens),
            "calls_per_item": list(self.calls),
            "usd_per_item": list(self.usd),
            "verdict": self.verdict,
        }


def compare(one: Measured, other: Measured, seed: int = 0) -> Comparison:
    """The other run against the one, paired by item; `seed` is that of the bootstrap.

    Raises SpecError if they did not answer the same questions.
    """
    if wrong := _differs(one, other):
        raise SpecError(errors.NotComparable(one=one.name, other=other.name, problem=wrong))
    shared = [id for id in one.records if id in other.records]
    if not shared:
        problem = "they have no item in common"
        raise SpecError(errors.NotComparable(one=one.name, other=other.name, problem=problem))
    ours, theirs = [one.records[id] for id in shared], [other.records[id] for id in shared]
    right = [(id, bool(a["correct"]), bool(b["correct"])) for id, a, b in zip(shared, ours, theirs, strict=True)]
    graded_in_parts = any(0 < record["score"] < 1 for record in (*ours, *theirs))
    scores = [record["score"] for record in ours], [record["score"] for record in theirs]

    def per_item(unit: str) -> tuple[float, float]:
        return sum(r[unit] for r in ours) / len(shared), sum(r[unit] for r in theirs) / len(shared)

    wins = tuple(id for id, a, b in right if b and not a)
    losses = tuple(id for id, a, b in right if a and not b)
    return Comparison(
        names=(one.name, other.name),
        items=len(shared),
        left_out=len(one.records.keys() ^ other.records.keys()),
        accuracy=(accuracy(ours), accuracy(theirs)),
        difference=paired_rates(len(wins), len(losses), len(shared)),
        score=paired_difference(scores[1], scores[0], seed) if graded_in_parts else None,
        score_p=sign_test([b - a for a, b in zip(*scores, strict=True)]) if graded_in_parts else None,
        both=sum(a and b for _, a, b in right),
        neither=sum(not (a or b) for _, a, b in right),
        wins=wins,
        losses=losses,
        tokens=per_item("tokens"),
        calls=per_item("calls"),
        usd=per_item("usd"),
    )


def _differs(one: Measured, other: Measured) -> str:
    """Why their questions are not the same; empty if they are."""
    ours, theirs = one.manifest, other.manifest
    if ours["task"]["name"] != theirs["task"]["name"]:
        return f"one answered `{ours['task']['name']}`, the other `{theirs['task']['name']}`"
    if ours["data"]["sha256"] != theirs["data"]["sha256"]:
        return "the data is not the same"
    if ours["task"]["grader"] != theirs["task"]["grader"]:
        return "their answers were not graded alike"
    return ""
