"""Learned: how a spec behaved so far, from traces: what each node asked, how long it wrote, how long it took.

A trace tells what was drawn for a question whether it was bought then or found in the journal.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Event = Mapping[str, Any]


@dataclass
class Seen:
    """One node, over all questions."""

    visits: int = 0
    """How often it ran."""
    calls: int = 0
    prompt: int = 0
    completion: int = 0
    usd: float = 0.0
    seconds: list[float] = field(default_factory=list)
    """Of each request that was answered, from leaving to its end, in order of length."""

    def add(self, other: Seen) -> None:
        """Counts another one's in."""
        self.visits += other.visits
        self.calls += other.calls
        self.prompt += other.prompt
        self.completion += other.completion
        self.usd += other.usd
        self.seconds = sorted(self.seconds + other.seconds)


@dataclass
class Experience:
    """What is known of a spec."""

    questions: int = 0
    """How many were brought to an end."""
    seconds: float = 0.0
    """Of all of them, from beginning to answer."""
    nodes: dict[str, Seen] = field(default_factory=dict)


def learned(sessions: Iterable[Sequence[Event]]) -> tuple[Experience, ...]:
    """The experience of each question that came to an end, in the order in which they did."""
    experiences = []
    for events in sessions:
        nodes: dict[str, dict[str, Seen]] = {}
        for event in events:
            if "query" not in event:
                continue
            own = nodes.setdefault(event["query"], {})
            if event["event"] == "answer":
                experiences.append(Experience(1, float(event.get("seconds", 0.0)), nodes.pop(event["query"])))
            elif "node" in event:
                _take(own.setdefault(event["node"], Seen()), event)
    return tuple(experiences)


def together(experiences: Sequence[Experience]) -> Experience:
    """What several questions tell."""
    whole = Experience(sum(one.questions for one in experiences), sum(one.seconds for one in experiences))
    for experience in experiences:
        for name, seen in experience.nodes.items():
            whole.nodes.setdefault(name, Seen()).add(seen)
    return whole


def _take(seen: Seen, event: Event) -> None:
    match event["event"]:
        case "node" if event["state"] == "started":
            seen.visits += 1
        case "call" | "cached" if event.get("outcome", "ok") == "ok":
            seen.calls += event.get("calls", 0)
            seen.prompt += event.get("prompt_tokens", 0)
            seen.completion += event.get("completion_tokens", 0)
            seen.usd += event.get("usd", 0.0)
            if event["event"] == "call":
                sent = event.get("sent")
                insort(seen.seconds, event["seconds"] if sent is None else event["at"] - sent)


def longest(seconds: Sequence[float], of: float) -> float:
    """How long the longest `of` so many takes, on average, when each is drawn from these, which are in order."""
    n = len(seconds)
    return math.fsum(x * ((i / n) ** of - ((i - 1) / n) ** of) for i, x in enumerate(seconds, 1))
