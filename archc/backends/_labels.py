"""Labels: which of a few words a model would say, by the log-probabilities of its first token."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

LIKELIEST: Final = 20
"""So many tokens a server tells of: the most that OpenAI and vLLM allow."""


def said(
    text: str, mean: float | None, labels: Sequence[str], first: Iterable[tuple[str, float]]
) -> tuple[str, float | None]:
    """What was written, with its mean log-probability; with labels the likeliest of them, with the log of its share.

    `first` are the tokens that could have come first. One stands for the label that it spells, whatever its case, with
    blanks and quotes around it; without any that does, the text has no log-probability.
    """
    if not labels:
        return text, mean
    sums = dict.fromkeys(labels, 0.0)
    for token, logprob in first:
        word = token.strip(" \t\n\"'*.\u2581\u0120").lower()
        if word in sums:
            sums[word] += math.exp(max(-700.0, logprob))
    best = max(sums, key=lambda label: sums[label])
    return (best, math.log(sums[best] / sum(sums.values()))) if sums[best] > 0 else (text, None)
