"""Ranking: how good an order of passages is."""

from __future__ import annotations

import math
from collections.abc import Sequence


def ndcg(ranked: Sequence[float], k: int, judged: Sequence[float] | None = None) -> float:
    """nDCG@k of one question: Σ gainᵢ/log₂(i + 1) over places i = 1 … k, as a share of that of the best order.

    `ranked` are the gains of the passages in their order, `judged` those of all that might have been found (those
    ranked, if not said). Gains are taken as they are, as trec_eval does (Järvelin and Kekäläinen, 2002): give 2**grade
    − 1 for the other common form. 0 if nothing is worth finding. ValueError unless k is at least 1 and no gain is
    negative.
    """
    worth = ranked if judged is None else judged
    if k < 1 or not all(gain >= 0 for gain in (*ranked, *worth)):
        raise ValueError(f"gains {list(ranked)} of {list(worth)} at {k}")
    best = _discounted(sorted(worth, reverse=True)[:k])
    return _discounted(ranked[:k]) / best if best else 0.0


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(place) for place, gain in enumerate(gains, 2))
