"""Summary: what the items of a run come to, with intervals of 95 %."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from archc.bench.figures import figures
from archc.bench.metrics.intervals import Estimate, bootstrap, percentile, wilson
from archc.bench.pools import pooled

Record = Mapping[str, Any]
"""One line of `items.jsonl`."""

_TROUBLES = 5
"""How many kinds of what went wrong are told."""


def percent(share: Estimate) -> str:
    """An estimate as people read it."""
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def estimated(successes: int, n: int) -> Estimate:
    """A share and its interval; of nothing, everything is possible."""
    return wilson(successes, n) if n else Estimate(0.0, 0.0, 1.0)


def accuracy(records: Sequence[Record]) -> Estimate:
    """The share of right answers among all items; one that failed is not right."""
    return estimated(sum(record["correct"] for record in records), len(records))


def summarised(records: Sequence[Record], items: int, metrics: Sequence[str] = ()) -> dict[str, Any]:
    """What the records come to, JSON-ready; `items` is how many there should be."""
    asked = [record for record in records if record["status"] != "unasked"]
    n = max(1, len(asked))
    scores = [record["score"] for record in asked]
    parts = {"score": asdict(bootstrap(scores, seed=0))} if any(0 < score < 1 for score in scores) else {}
    pool = pooled(asked)
    fresh = [record["seconds"] for record in asked if not record["cached"]]  # the journal takes no time
    judged = [record["judge"] for record in records if "judge" in record]
    judge = {unit: sum(spent[unit] for spent in judged) for unit in ("calls", "tokens", "usd")}
    return {
        "items": items,
        "answered": len(asked),
        "accuracy": asdict(accuracy(asked)),
        **parts,
        **({"metrics": figures(asked, metrics)} if metrics else {}),
        **({"judge": judge} if judged else {}),
        "status": dict(sorted(Counter(record["status"] for record in records).items())),
        "errors": dict(Counter(record["error"] for record in records if record["error"]).most_common(10)),
        **({"troubles": found} if (found := troubles(asked)) else {}),
        "per_item": {unit: sum(record[unit] for record in asked) / n for unit in ("calls", "tokens", "usd")},
        "total": {unit: sum(record[unit] for record in asked) for unit in ("calls", "cached", "tokens", "usd")},
        "seconds": {f"p{q}": percentile(fresh, q / 100) if fresh else None for q in (50, 90, 99)},
        **({"pool": pool} if pool else {}),
    }


def told(trouble: Mapping[str, Any], of: int) -> str:
    """A trouble for people, of so many answers."""
    return f"in {trouble['items']} of {of} items, {trouble['what']}: {trouble['reason']}"


def troubles(records: Sequence[Record]) -> list[dict[str, Any]]:
    """What went wrong without ending an answer: in how many of them, the commonest first, and once why."""
    each = [(what, reason) for record in records for what, reason in record.get("troubles", {}).items()]
    reasons = dict(reversed(each))
    counts = Counter(what for what, _ in each).most_common(_TROUBLES)
    return [{"what": what, "items": count, "reason": reasons[what]} for what, count in counts]
