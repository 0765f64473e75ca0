"""Reranking: how good an order of passages is that an answer writes down, as RankGPT reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from archc.bench.graders import Grade
from archc.bench.metrics.ranking import ndcg

CUTS: Final = (1, 5, 10)


def order_in(answer: str, count: int) -> list[int]:
    """All places from 0, in the order of an answer such as `[2] > [1]`; those that it leaves out come last, as given.

    If it has several lines, the last one with `>` in it counts.
    """
    lines = [line for line in answer.splitlines() if ">" in line]
    text = lines[-1] if lines else answer
    named = re.findall(r"\[(\d{1,6})\]", text) or re.findall(r"\d{1,6}", text)
    places = [int(number) - 1 for number in named]
    return list(dict.fromkeys([*(place for place in places if 0 <= place < count), *range(count)]))


def graded_order(answer: str, passages: Any, gains: Any) -> Grade:
    """nDCG at 1, 5 and 10; the score is that at 10, and right is what no order beats."""
    if not isinstance(passages, Sequence) or not isinstance(gains, Mapping):
        return Grade(False, 0.0, why="the data has no passages, or not what they are worth")
    ids = [str(one.get("docid")) if isinstance(one, Mapping) else str(place) for place, one in enumerate(passages)]
    try:
        worth = {str(id): float(gain) for id, gain in gains.items()}
        ranked = [worth.get(ids[place], 0.0) for place in order_in(answer, len(ids))]
        values = {f"ndcg@{k}": [ndcg(ranked, k, list(worth.values()))] for k in CUTS}
    except (TypeError, ValueError):
        return Grade(False, 0.0, why="the data does not say in numbers what the passages are worth")
    best = values["ndcg@10"][0]
    return Grade(best > 1 - 1e-9, min(1.0, best), values)
