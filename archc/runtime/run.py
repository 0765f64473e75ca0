"""Run: one execution for one question, and what it came to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from archc.calls import Spend
from archc.diagnostics import Diagnostic
from archc.ir.graph import Graph
from archc.runtime.trace import Event
from archc.values import Candidate

Status = Literal["ok", "exhausted", "failed", "stopped"]


@dataclass(slots=True)
class NodeTally:
    """What one node did, folded from the trace."""

    calls: int = 0
    """Completions bought."""
    cached: int = 0
    """Completions found in the journal."""
    executed: int = 0
    """Tests of programs whose outcome it asked for, run now or before."""
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    started: float | None = None
    """Seconds from the start of the session."""
    ended: float | None = None
    candidates: int = 0
    """How many left the node."""
    level: int = 0
    """How many blocks it lies in; a node with blocks counts what is in them."""

    @property
    def seconds(self) -> float:
        """From its start to its end; 0 if it never ran."""
        return self.ended - self.started if self.started is not None and self.ended is not None else 0.0

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "calls": self.calls,
            "cached": self.cached,
            "executed": self.executed,
            "retries": self.retries,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "usd": self.usd,
            "seconds": round(self.seconds, 6),
            "candidates": self.candidates,
        }


def tallies_of(graph: Graph) -> dict[str, NodeTally]:
    """An empty table with a row for each node of a graph."""
    return {node.id: NodeTally(level=level) for node, level in graph.levels()}


@dataclass
class Tally:
    """A listener that folds a question's events into a table; node order is the graph's."""

    query: str
    nodes: dict[str, NodeTally]
    owners: Mapping[str, tuple[str, ...]]
    """The nodes in whose blocks a node lies."""
    notes: list[Event] = field(default_factory=list)
    """Fallbacks taken and judgements that failed."""

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        if event.get("query") != self.query or "node" not in event:
            return
        match event["event"]:
            case "call" | "cached" | "executed":
                for name in (event["node"], *self.owners.get(event["node"], ())):
                    _count(self.nodes[name], event)
            case "node":
                self._node(self.nodes[event["node"]], event)
            case "note" | "refused" | "spared":
                self.notes.append(event)

    def _node(self, node: NodeTally, event: Event) -> None:
        if event["state"] == "started":
            node.started = event["at"] if node.started is None else node.started
        else:
            node.ended, node.candidates = event["at"], event["candidates"]


def _count(node: NodeTally, event: Event) -> None:
    if event["event"] == "cached":
        node.cached += event["calls"]
        return
    if event["event"] == "executed":
        node.executed += event["tests"]
        return
    node.calls += event["calls"]
    node.prompt_tokens += event["prompt_tokens"]
    node.completion_tokens += event["completion_tokens"]
    node.usd += event["usd"]
    node.retries += int(event["attempt"] > 0)


@dataclass(frozen=True)
class Run:
    """One question's outcome. `exhausted`: a budget ended it, the answer is the best so far, if there is one."""

    id: str
    status: Status
    answer: str | None
    """The extracted answer where there is one, else the text of the first candidate."""
    candidates: tuple[Candidate, ...]
    nodes: dict[str, NodeTally]
    notes: tuple[Event, ...]
    seconds: float
    error: Diagnostic | None = None
    exhausted: str = ""
    """Which budget ended it."""
    abstained: bool = False
    """Whether the answer is that there is none."""
    earlier: tuple[Run, ...] = ()
    """Those of the turns before, where a conversation went on."""

    @property
    def digest(self) -> str:
        """SHA-256 of what it came to, the same for every run that takes the same answers from its models."""
        content = [self.status, self.answer, [candidate_json(c) for c in self.candidates]]
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def text(self) -> str | None:
        """The whole text of the first candidate."""
        return self.candidates[0].text if self.candidates else None

    @property
    def spent(self) -> Spend:
        """What was bought for it; what came from the journal is not in it."""
        tallies = self._outer
        return Spend(
            sum(t.calls for t in tallies),
            sum(t.prompt_tokens for t in tallies),
            sum(t.completion_tokens for t in tallies),
            sum(t.usd for t in tallies),
        )

    @property
    def cached(self) -> int:
        """Completions that came from the journal."""
        return sum(t.cached for t in self._outer)

    @property
    def _outer(self) -> list[NodeTally]:
        return [tally for tally in self.nodes.values() if not tally.level]

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "id": self.id,
            "status": self.status,
            "answer": self.answer,
            "text": self.text,
            "candidates": [candidate_json(c) for c in self.candidates],
            "calls": self.spent.calls,
            "cached": self.cached,
            "prompt_tokens": self.spent.prompt,
            "completion_tokens": self.spent.completion,
            "usd": self.spent.usd,
            "seconds": round(self.seconds, 6),
            "nodes": {name: tally.as_json() for name, tally in self.nodes.items()},
            "notes": [dict(note) for note in self.notes],
            "exhausted": self.exhausted or None,
            "abstained": self.abstained,
            "error": self.error.as_json() if self.error else None,
        }


def candidate_json(candidate: Candidate) -> dict[str, Any]:
    """A candidate with what is known of it, JSON-ready."""
    facets = {
        "answer": candidate.answer.text if candidate.answer else None,
        "score": candidate.score,
        "passed": candidate.verdict.passed if candidate.verdict else None,
        "logprob": candidate.logprob,
        "critique": candidate.critique,
        "abstained": candidate.abstained or None,
    }
    present = {name: value for name, value in facets.items() if value is not None}
    return {"text": candidate.text, "truncated": candidate.truncated, **present}
