"""The architectures that are compared, as stages of calls, and the least time they can take.

A reply takes 50 ms and 1 ms for each of the `max_tokens` that were asked for: see `latency.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

BEFORE_S, TOKEN_S = 0.05, 0.001


@dataclass(frozen=True)
class Stage:
    """So many calls at once, each of which reads the question and what the stage before wrote."""

    role: str
    calls: int
    tokens: int
    own: bool = False
    """Whether each call reads one text only: its own."""

    @property
    def seconds(self) -> float:
        return BEFORE_S + TOKEN_S * self.tokens

    def prompts(self, question: str, texts: list[str]) -> list[str]:
        shown = [[text] for text in texts] if self.own else [texts] * self.calls
        return [f"{self.role}\n\n{question}\n\n" + "\n\n".join(some) for some in shown]


SHAPES: dict[str, list[Stage]] = {
    "A": [
        Stage("Answer the question.", 8, 150),
        Stage("Criticise each of these answers.", 1, 250),
        Stage("Rank these answers, best first.", 1, 50),
        Stage("Write one better answer from all of these.", 1, 150),
        Stage("Reason about whether this answer is right.", 1, 100),
        Stage("Is it right? Say yes or no.", 1, 100),
    ],
    "B": [Stage("Answer the question.", 32, 150)],
    "C": [Stage("Answer the question.", 16, 150), Stage("Score this answer from 1 to 10.", 16, 50, own=True)],
    "D": [
        Stage("Answer the question.", 6, 150),
        Stage("Write one better answer from all of these.", 6, 150),
        Stage("Write one better answer from all of these.", 6, 150),
        Stage("Write one better answer from all of these.", 1, 150),
    ],
}
NAMES = {
    "A": "8 samples, critic, ranker, fuser, verifier",
    "B": "self-consistency of 32",
    "C": "16 samples with a judge each",
    "D": "mixture of agents, 3 layers of 6",
}


def calls(shape: str) -> int:
    return sum(stage.calls for stage in SHAPES[shape])


def limit(shape: str, questions: int, at_once: int) -> float:
    """Seconds that no schedule can beat: for any stretch of stages, what comes before it once, its work at full
    width, and what comes after it once; for one stage in whole waves.
    """
    stages = SHAPES[shape]
    least = 0.0
    for first in range(len(stages)):
        head = sum(stage.seconds for stage in stages[:first])
        work = 0.0
        for last in range(first, len(stages)):
            work += questions * stages[last].calls * stages[last].seconds / at_once
            tail = sum(stage.seconds for stage in stages[last + 1 :])
            longest = sum(stage.seconds for stage in stages[first : last + 1])
            least = max(least, head + max(work, longest) + tail)
        waves = -(-questions * stages[first].calls // at_once)
        tail = sum(stage.seconds for stage in stages[first + 1 :])
        least = max(least, head + waves * stages[first].seconds + tail)
    return least
